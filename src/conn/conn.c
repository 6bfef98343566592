#include "conn/conn.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "conn/count.h"
#include "conn/pending.h"
#include "conn/rate.h"
#include "pusher/api_sign.h"
#include "pusher/events.h"
#include "pusher/frames.h"
#include "pusher/origin.h"
#include "pusher/socket_id.h"
#include "wire/ws_encode.h"

size_t conn_socket_id(const struct conn *c, char out[24])
{
    struct socket_id id = socket_id_make(0, conn_worker(c)->index, c->sub.stream.slot);
    id.number = c->sub.number;
    return socket_id_print(id, out);
}

void conn_log_event(const struct conn *c, const struct log_place *at, str message,
                    const struct log_field *more)
{
    char id[24];
    struct log_field f[] = {
        LOG_TEXT("app_id", c->app ? c->app->app->id : S("")),
        LOG_TEXT("socket_id", str_of(id, conn_socket_id(c, id))),
        *more,
    };
    log_event(at, message, f, more->name ? 3 : 2);
}

void conn_trace_event(const struct conn *c, struct traced t)
{
    char id[24];
    t.socket_id = str_of(id, conn_socket_id(c, id));
    trace_tell(c->app->live, conn_worker(c)->loop.now_ms, &t);
}

/* ---- sending ---- */

void conn_send_frame(struct conn *c, struct frame *f)
{
    const struct stream_pool *pool = c->sub.stream.pool;
    uint64_t dropped = pool->dropped;
    stream_send(conn_stream(c), f);
    if (pool->dropped == dropped)
        count_sent(c, f->payload);
}

void conn_send(struct conn *c, str json)
{
    struct frame *f = ws_text_frame(json, c->sub.stream.deflate);
    conn_send_frame(c, f);
    frame_unref(f);
}

static void send_control(struct conn *c, enum ws_opcode opcode, str payload)
{
    struct frame *f = ws_control_frame(opcode, payload);
    stream_send(conn_stream(c), f);
    frame_unref(f);
}

static struct buf *json_start(struct conn *c)
{
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    return b;
}

void conn_error(struct conn *c, str channel, const struct wire_error *e)
{
    struct buf *b = json_start(c);
    frame_error(b, channel, e->code, str_z(e->text));
    conn_send(c, buf_str(b));
    count_error(c, e->id);
}

/* ---- farewell ---- */

/* Leaves everything; from here on the connection counts nowhere. */
static void conn_leave_all(struct conn *c, bool abrupt)
{
    struct worker *w = conn_worker(c);
    struct leave leave = {.app = c->app, .now_ms = w->loop.now_ms, .abrupt = abrupt};
    pending_finish(c);
    while (c->sub.count)
        registry_leave(w->node->registry, w->index, &c->sub, c->sub.count - 1, &leave);
    c->channels = 0;
    if (c->has_quota) {
        quota_give(&c->app->live->connections);
        quota_give(&w->node->connections);
        c->app->connections--;
        c->has_quota = false;
        METRICS_APP(c->app->metrics, connected[0], -1);
        METRICS_APP(c->app->metrics, new_disconnections[0], 1);
    }
    free(c->user);
    c->user = NULL;
}

/* Of one who is too slow: the queue goes, the farewell is all that he may still read (§16). */
static void make_room(struct stream *s)
{
    stream_drop_output(s);
    s->reset = true;
}

static void conn_part(struct conn *c, const struct wire_error *e, uint16_t code, str reason)
{
    conn_log(c, "closing socket", LOG_INTEGER("code", code));
    conn_trace(c, .what = c->is_open ? TRACE_CLOSED : TRACE_REFUSED, .code = code);
    c->is_open = false;
    conn_leave_all(c, e && e->id == WIRE_PONG_TIMEOUT);
    if (c->sub.stream.over)
        make_room(conn_stream(c)); /* nothing is queued for him until he is judged */
    if (e)
        conn_error(c, S(""), e);
    struct frame *f = ws_close_frame(code, reason);
    stream_send(conn_stream(c), f);
    frame_unref(f);
    c->sub.stream.hears_end = true;
    stream_end(conn_stream(c), CONN_CLOSE_TIMEOUT_MS);
}

void conn_close(struct conn *c, const struct wire_error *e)
{
    if (!c->sub.stream.ending)
        conn_part(c, e, (uint16_t)e->code, str_z(e->text));
}

void conn_close_code(struct conn *c, uint16_t code, str reason)
{
    if (c->sub.stream.ending)
        return;
    count_close(c, code);
    conn_part(c, NULL, code, reason);
}

/* ---- admission ---- */

struct admission {
    str query, origin;
    arena memory;
};

static void admission_free(struct conn *c)
{
    if (!c->admission)
        return;
    arena_finish(&c->admission->memory);
    free(c->admission);
    c->admission = NULL;
}

static void refuse(struct conn *c, enum wire_error_id id)
{
    struct wire_error e = wire_error(id);
    conn_close(c, &e);
}

/* Source: websocket-protocol.md §1.2. protocol=2 gets the Close alone (WS-7). */
static bool protocol_is_fine(struct conn *c, str query)
{
    struct worker *w = conn_worker(c);
    struct api_param *params;
    size_t n = api_query_parse(query, true, &w->scratch, &params);
    str protocol = {0};
    for (size_t i = 0; i < n; i++) {
        if (str_eq(params[i].key, S("protocol")))
            protocol = params[i].value;
        else if (str_eq(params[i].key, S("client")))
            c->is_java = str_eq(params[i].value, S("java-client"));
    }
    uint64_t v = 7;
    if (protocol.p && (!str_u64(protocol, 255, &v) || v < 4)) {
        struct wire_error e = wire_error_f(WIRE_UNSUPPORTED_PROTOCOL, "%.*s",
                                           (int)(protocol.n < 32 ? protocol.n : 32), protocol.p);
        if (v == 2 && str_eq(protocol, S("2"))) {
            count_error(c, e.id);
            conn_close_code(c, (uint16_t)e.code, str_z(e.text));
        } else {
            conn_close(c, &e);
        }
        return false;
    }
    return true;
}

static bool app_is_fine(struct conn *c, str origin)
{
    const struct app *app = c->app->app;
    if (!app->enabled)
        refuse(c, WIRE_APP_DISABLED);
    else if (app->allowed_origin_count &&
             !origin_allowed(app->allowed_origins, app->allowed_origin_count, origin))
        refuse(c, WIRE_ORIGIN_NOT_ALLOWED);
    else
        return true;
    return false;
}

static bool quotas_taken(struct conn *c)
{
    struct node *n = conn_worker(c)->node;
    if (!quota_take(&n->connections, conn_worker(c)->settings->max_connections)) {
        refuse(c, WIRE_OVER_CAPACITY);
        return false;
    }
    if (!quota_take(&c->app->live->connections, c->app->app->max_connections)) {
        quota_give(&n->connections);
        refuse(c, WIRE_APP_OVER_QUOTA);
        return false;
    }
    c->app->connections++;
    c->has_quota = true;
    METRICS_APP(c->app->metrics, connected[0], 1);
    METRICS_APP(c->app->metrics, new_connections[0], 1);
    return true;
}

static void conn_timer(struct stream *s);

static void established(struct conn *c)
{
    struct worker *w = conn_worker(c);
    const struct settings *set = w->settings;
    char id[24];
    size_t n = conn_socket_id(c, id);
    struct buf *b = json_start(c);
    frame_established(b, str_of(id, n), (uint32_t)(set->activity_timeout_ms / 1000));
    conn_send(c, buf_str(b));
    c->is_open = true;
    conn_log(c, "socket connected", LOG_NOTHING);
    conn_trace(c, .what = TRACE_CONNECTED);
    c->sub.stream.limited = true;
    if (c->app->app->enable_user_authentication && set->user_authentication_timeout_ms)
        c->authorize_by_ms = w->loop.now_ms + set->user_authentication_timeout_ms;
    conn_timer(conn_stream(c));
}

static void admit(struct conn *c, struct app_answer *a)
{
    struct worker *w = conn_worker(c);
    if (atomic_load(&w->node->draining)) { /* it has begun since */
        app_unref(&a->app);
        refuse(c, WIRE_DRAINING);
    } else if (a->err.kind != ERR_NONE) {
        app_unref(&a->app);
        refuse(c, WIRE_APP_LOOKUP_FAILED);
    } else if (!a->found) {
        refuse(c, WIRE_APP_UNKNOWN);
    } else {
        c->app = app_table_take(&w->apps, &a->app);
        bool fine = app_is_fine(c, c->admission->origin);
        admission_free(c);
        if (fine && quotas_taken(c))
            established(c);
    }
    admission_free(c);
}

/* The app store answers, perhaps turns later; the connection may be gone. */
static void admit_later(struct handle asker, struct app_answer *a)
{
    struct stream *s = node_find(asker);
    struct conn *c = s && s->user == &conn_stream_user ? conn_of(s) : NULL;
    if (!c || !c->admission) {
        app_unref(&a->app);
        return;
    }
    conn_worker(c)->parked--;
    admit(c, a);
    if (c->is_open)
        stream_resume(s);
}

static void ask_for_app(struct conn *c, str key)
{
    struct worker *w = conn_worker(c);
    struct app_answer a = {0};
    if (w->parked >= CONN_PARKED_MAX) {
        refuse(c, WIRE_APP_LOOKUP_FAILED);
        admission_free(c);
        return;
    }
    if (app_by_key(w->node->apps, stream_handle(conn_stream(c)), key, &a, admit_later) == DONE) {
        admit(c, &a);
        return;
    }
    w->parked++;
    stream_pause(conn_stream(c));
}

void conn_upgrade(struct stream *s, const struct upgrade *u)
{
    struct conn *c = conn_of(s);
    struct worker *w = worker_of(s);
    memset((char *)c + sizeof *s, 0, sizeof *c - sizeof *s);
    s->user = &conn_stream_user;
    s->deflate = u->deflate;
    c->sub.number =
        socket_id_make(w->next_number++ * w->node->worker_count + w->index, w->index, s->slot)
            .number;
    c->active_ms = w->loop.now_ms;
    stream_deadline(s, w->loop.now_ms + w->settings->activity_timeout_ms);
    if (atomic_load(&w->node->draining)) {
        refuse(c, WIRE_DRAINING);
        return;
    }
    if (u->is_surplus || atomic_load_explicit(&w->node->is_short, memory_order_relaxed)) {
        refuse(c, WIRE_OVER_CAPACITY);
        return;
    }
    if (!protocol_is_fine(c, u->query))
        return;
    c->admission = mem_zero(sizeof *c->admission);
    c->admission->origin = arena_str(&c->admission->memory, u->origin);
    ask_for_app(c, u->key);
}

/* ---- commands ---- */

struct json data_object(struct conn *c, struct json data)
{
    struct json inner;
    size_t at;
    if (data.type == JSON_STRING) {
        str text = json_string(data, &conn_worker(c)->scratch);
        if (!json_parse(text, &inner, &at))
            return (struct json){0};
        data = inner;
    }
    return data.type == JSON_OBJECT ? data : (struct json){0};
}

bool json_text(struct conn *c, struct json v, str *out)
{
    if (v.type != JSON_STRING)
        return false;
    *out = json_string(v, &conn_worker(c)->scratch);
    return true;
}

static void pong(struct conn *c)
{
    struct buf *b = json_start(c);
    frame_pong(b);
    conn_send(c, buf_str(b));
}

static bool message_rate_is_fine(struct conn *c, struct json channel)
{
    const struct app *app = c->app->app;
    if (!app->message_rate.enabled)
        return true;
    METRICS_APP(c->app->metrics, rate_limit_checks[label_limiter_type_MESSAGES], 1);
    if (rate_take(&conn_extra(c)->messages, conn_worker(c)->loop.now_ms,
                  app->message_rate.max_attempts, app->message_rate.decay_seconds))
        return true;
    METRICS_APP(c->app->metrics, rate_limit_triggered[label_limiter_type_MESSAGES], 1);
    if (app->message_rate.terminate_on_limit) {
        refuse(c, WIRE_RATE_LIMIT_CLOSE);
        return false;
    }
    str name = S("");
    json_text(c, channel, &name);
    struct wire_error e = wire_error(WIRE_RATE_LIMIT);
    conn_error(c, name, &e);
    return false;
}

/* A command that has to wait for those in front of it. */
static bool deferred(struct conn *c, enum inbound in, str text)
{
    if (pending_is_clear(c) || in == IN_PONG || in == IN_OTHER || in == IN_SUBSCRIBE)
        return false;
    pending_defer(c, text);
    return true;
}

void conn_execute(struct conn *c, str text)
{
    struct json top;
    size_t at;
    struct json_field f[] = {{S("event"), {0}}, {S("channel"), {0}}, {S("data"), {0}}};
    str event;
    if (!json_parse(text, &top, &at) || top.type != JSON_OBJECT) {
        struct wire_error e = wire_error(WIRE_BAD_MESSAGE);
        conn_error(c, S(""), &e);
        return;
    }
    json_fields(top, f, COUNT_OF(f));
    if (!json_text(c, f[0].value, &event) || event.n == 0) {
        struct wire_error e = wire_error(WIRE_NO_EVENT);
        conn_error(c, S(""), &e);
        return;
    }
    enum inbound in = inbound_of(event);
    if (deferred(c, in, text))
        return;
    if (in == IN_PING)
        pong(c);
    else if (in == IN_SUBSCRIBE)
        on_subscribe(c, f[2].value, text);
    else if (in == IN_UNSUBSCRIBE)
        on_unsubscribe(c, f[2].value);
    else if (in == IN_SIGNIN)
        on_signin(c, f[2].value, text);
    else if (in == IN_CLIENT)
        on_client_event(c, event, f[1].value, f[2].value, text);
}

static bool rate_checked(struct conn *c, str text)
{
    if (!c->app->app->message_rate.enabled)
        return true;
    struct json top;
    size_t at;
    struct json_field f[] = {{S("channel"), {0}}};
    if (json_parse(text, &top, &at) && top.type == JSON_OBJECT)
        json_fields(top, f, 1);
    return message_rate_is_fine(c, f[0].value);
}

static void on_message(struct conn *c, str text)
{
    if (rate_checked(c, text))
        conn_execute(c, text);
}

static struct ws_limits limits_of(const struct conn *c)
{
    const struct settings *set = conn_worker(c)->settings;
    uint64_t app = (uint64_t)c->app->app->max_event_payload_kb * 1024;
    uint64_t max = app ? app + 16 * 1024 : 0;
    if (max < set->max_payload_bytes)
        max = set->max_payload_bytes;
    if (max > set->max_message_bytes)
        max = set->max_message_bytes;
    return (struct ws_limits){max, set->max_frame_bytes, c->sub.stream.deflate};
}

/* Of Pongs that cannot leave only the newest waits: a million Pings cost one frame (R9). */
static void protocol_pong(struct conn *c, str payload)
{
    if (!stream_is_blocked(conn_stream(c))) {
        send_control(c, WS_OP_PONG, payload);
        return;
    }
    struct conn_extra *x = conn_extra(c);
    if (x->pong)
        frame_unref(x->pong);
    x->pong = ws_control_frame(WS_OP_PONG, payload);
}

static void on_item(struct conn *c, const struct ws_event *ev)
{
    switch (ev->item) {
    case WS_MESSAGE: /* binary is read as text, so it must be text */
        METRICS_APP(c->app->metrics, ws_messages_received[0], 1);
        METRICS_APP(c->app->metrics, socket_received_bytes[0], ev->payload.n);
        if (ev->binary && !utf8_ok(ev->payload))
            conn_close_code(c, 1007, S("Invalid UTF-8"));
        else
            on_message(c, ev->payload);
        break;
    case WS_PING:
        protocol_pong(c, ev->payload);
        break;
    case WS_CLOSE:
        c->sub.stream.peer_done = true;
        conn_part(c, NULL, ev->close_code == 1005 ? 1000 : ev->close_code, S(""));
        break;
    case WS_BAD:
        conn_close_code(c, ev->close_code, str_z(ev->why));
        break;
    case WS_PONG:
    case WS_MORE:
        break;
    }
}

/* Our Close has been queued: of what still comes only the peer's Close counts (§2.7). */
static size_t farewell_data(struct conn *c, char *in, size_t n)
{
    const struct settings *set = conn_worker(c)->settings;
    struct ws_limits lim = {set->max_payload_bytes, set->max_frame_bytes, c->sub.stream.deflate};
    size_t done = 0, used;
    struct ws_event ev;
    do {
        ws_read(&c->reader, &lim, in + done, n - done, &used, &ev);
        done += used;
    } while (used && done < n && ev.item != WS_CLOSE && ev.item != WS_BAD);
    if (ev.item == WS_CLOSE) {
        ws_reader_release(&c->reader);
        stream_peer_done(conn_stream(c));
        return n;
    }
    ws_reader_release(&c->reader);
    return ev.item == WS_BAD ? n : done;
}

static size_t conn_data(struct stream *s, char *in, size_t n, bool *more)
{
    struct conn *c = conn_of(s);
    size_t done = 0;
    if (s->ending)
        return farewell_data(c, in, n);
    if (!c->is_open)
        return 0; /* waits for the app store */
    struct ws_limits lim = limits_of(c);
    c->active_ms = worker_of(s)->loop.now_ms;
    if (c->pinged_ms) { /* answered: the next probe is due earlier than the verdict was */
        c->pinged_ms = 0;
        conn_timer(s);
        if (s->ending)
            return n; /* another deadline had passed: nothing is executed any more */
    }
    for (int frames = 0; done < n && !s->paused; frames++) {
        struct ws_event ev;
        size_t used;
        if (frames == CONN_FRAMES_PER_TURN) {
            *more = true;
            break;
        }
        ws_read(&c->reader, &lim, in + done, n - done, &used, &ev);
        if (ev.item != WS_MORE)
            on_item(c, &ev);
        if (s->fd < 0 || s->ending)
            return n;
        if (used == 0)
            break;
        done += used;
        if (!ws_reader_midway(&c->reader))
            c->message_ms = 0; /* that one was whole in time */
    }
    ws_reader_release(&c->reader);
    bool midway = ws_reader_midway(&c->reader) || (done < n && !*more && !s->paused);
    if (!midway)
        c->message_ms = 0;
    else if (c->message_ms == 0) {
        c->message_ms = c->active_ms;
        if (s->timer.due_ms > c->message_ms + CONN_MESSAGE_TIMEOUT_MS)
            stream_deadline(s, c->message_ms + CONN_MESSAGE_TIMEOUT_MS);
    }
    return done;
}

void conn_block(struct conn *c, int64_t ms)
{
    c->is_blocked = true;
    stream_pause(conn_stream(c));
    timer_stop(&conn_worker(c)->loop.timers, &c->sub.stream.timer);
    stream_deadline(conn_stream(c), conn_worker(c)->loop.now_ms + ms);
}

struct conn_extra *conn_extra(struct conn *c)
{
    if (!c->extra)
        c->extra = mem_zero(sizeof *c->extra);
    return c->extra;
}

static void extra_free(struct conn *c)
{
    if (c->extra && c->extra->pong)
        frame_unref(c->extra->pong);
    free(c->extra);
    c->extra = NULL;
}

bool conn_may_repeat(struct conn *c, bool is_free, str text)
{
    int64_t now = conn_worker(c)->loop.now_ms;
    struct conn_extra *x = conn_extra(c);
    if (!is_free && x->repeated_ms && now - x->repeated_ms < CONN_REPEAT_MS) {
        pending_defer(c, text);
        conn_block(c, x->repeated_ms + CONN_REPEAT_MS - now);
        return false;
    }
    x->repeated_ms = now;
    return true;
}

static void unblock(struct conn *c)
{
    c->is_blocked = false;
    pending_settle(c); /* may block again */
    if (c->is_open && !c->is_blocked && !c->paused_steps)
        stream_resume(conn_stream(c));
}

/* ---- liveness ---- */

static void probe(struct conn *c)
{
    struct buf *b = json_start(c);
    send_control(c, WS_OP_PING, S(""));
    frame_ping(b);
    conn_send(c, buf_str(b));
    c->pinged_ms = conn_worker(c)->loop.now_ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return b && b < a ? b : a;
}

/* Source: websocket-protocol.md §4.2, §14.6; security.md R2. */
static void conn_timer(struct stream *s)
{
    struct conn *c = conn_of(s);
    int64_t now = worker_of(s)->loop.now_ms;
    int64_t idle = worker_of(s)->settings->activity_timeout_ms;
    if (c->admission) { /* the driver's own deadline ends this */
        stream_deadline(s, now + idle);
        return;
    }
    if (c->is_blocked)
        unblock(c);
    if (s->ending || c->is_blocked)
        return;
    int64_t step_due = pending_expire(c);
    if (s->ending || c->is_blocked)
        return;
    if (s->paused)
        c->active_ms = now; /* we are not reading: the silence is ours */
    if (!c->app->app->enable_user_authentication)
        c->authorize_by_ms = 0; /* a newer record of the app asks for nothing */
    int64_t authorize_due = pending_will_authorize(c) ? 0 : c->authorize_by_ms;
    if (authorize_due && now >= authorize_due) {
        refuse(c, WIRE_AUTH_TIMEOUT);
        return;
    }
    if (c->message_ms && now - c->message_ms >= CONN_MESSAGE_TIMEOUT_MS) {
        conn_close_code(c, 1002, S("Message not completed in time"));
        return;
    }
    if (c->pinged_ms && now - c->pinged_ms >= CONN_PONG_TIMEOUT_MS) {
        refuse(c, WIRE_PONG_TIMEOUT);
        return;
    }
    if (!c->pinged_ms && now - c->active_ms >= idle)
        probe(c);
    int64_t due = c->pinged_ms ? c->pinged_ms + CONN_PONG_TIMEOUT_MS : c->active_ms + idle;
    due = earlier(due, step_due);
    due = earlier(due, authorize_due);
    due = earlier(due, c->message_ms ? c->message_ms + CONN_MESSAGE_TIMEOUT_MS : 0);
    stream_deadline(s, due);
}

/* ---- stream events ---- */

static void conn_gone(struct stream *s)
{
    struct conn *c = conn_of(s);
    if (c->is_open)
        conn_trace(c, .what = TRACE_CLOSED, .code = CONN_LOST);
    c->is_open = false;
    conn_log(c, "socket disconnected", LOG_NOTHING);
    conn_leave_all(c, true); /* nothing is left of one that said farewell */
    extra_free(c);
    if (c->admission)
        worker_of(s)->parked--;
    admission_free(c);
    ws_reader_finish(&c->reader);
    subscriber_finish(&c->sub);
}

static void conn_full(struct stream *s)
{
    struct conn *c = conn_of(s);
    make_room(s);
    METRICS_APP(count_app(c), slow_consumer_closed[0], 1);
    refuse(c, WIRE_BUFFER_FULL);
}

static void conn_drained(struct stream *s)
{
    struct conn_extra *x = conn_of(s)->extra;
    if (!x || !x->pong)
        return;
    struct frame *f = x->pong;
    x->pong = NULL;
    stream_send(s, f);
    frame_unref(f);
}

const struct stream_user conn_stream_user = {
    .data = conn_data,
    .timer = conn_timer,
    .gone = conn_gone,
    .full = conn_full,
    .drained = conn_drained,
};
