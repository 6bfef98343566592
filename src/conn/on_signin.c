/* pusher:signin. Source: websocket-protocol.md §14; signed-in users are hidden channels, design §4.
 */
#include <stdlib.h>

#include "conn/pending.h"
#include "pusher/frames.h"
#include "pusher/sign.h"

static void refuse(struct conn *c, const struct wire_error *e)
{
    conn_log(c, "sign-in refused", LOG_INTEGER("code", e->code));
    conn_trace(c, .what = TRACE_SIGNIN_REFUSED, .code = e->code);
    conn_error(c, S(""), e);
}

/* ---- reserving ---- */

static void confirmed(struct handle asker, bool is_confirmed)
{
    struct conn *c;
    struct step *s = pending_asked(asker, WAIT_ADAPTER, &c);
    (void)is_confirmed; /* without the others it goes on alone (design §7) */
    if (!s || --s->unconfirmed > 0)
        return;
    pending_wait(c, s, WAIT_NOTHING, 0);
    pending_settle(c);
}

static struct local_channel *reserve(struct conn *c, struct step *s, str user_id)
{
    struct worker *w = conn_worker(c);
    struct buf name;
    struct reservation x = {
        .hidden = true, .asker = stream_handle(conn_stream(c)), .cb = confirmed};
    x.asker.tag = s->id;
    buf_init(&name, SIZE_MAX);
    registry_user_channel(&name, user_id);
    struct local_channel *l =
        registry_reserve(w->node->registry, w->index, c->app->app->id, buf_str(&name), &x);
    buf_finish(&name);
    if (x.when == LATER)
        s->unconfirmed++;
    return l;
}

static void reserve_all(struct conn *c, struct step *s)
{
    struct signin *in = s->signin;
    if (!c->user)
        in->channel = reserve(c, s, in->user.id);
    in->watched = arena_get(&s->memory, in->user.watch_count * sizeof *in->watched);
    for (size_t i = 0; i < in->user.watch_count; i++)
        in->watched[i] = reserve(c, s, in->user.watchlist[i]);
}

void signin_unreserve(struct conn *c, struct step *s)
{
    struct worker *w = conn_worker(c);
    struct signin *in = s->signin;
    if (in->channel)
        registry_unreserve(w->node->registry, w->index, in->channel);
    for (size_t i = 0; i < in->user.watch_count; i++)
        registry_unreserve(w->node->registry, w->index, in->watched[i]);
}

/* Its strings shall live as long as the step that waits. */
static void keep(struct step *s)
{
    struct signin *in = s->signin;
    in->text = arena_str(&s->memory, in->text);
    in->user.id = arena_str(&s->memory, in->user.id);
    in->user.user_info = arena_str(&s->memory, in->user.user_info);
    str *ids = arena_get(&s->memory, in->user.watch_count * sizeof *ids);
    for (size_t i = 0; i < in->user.watch_count; i++)
        ids[i] = arena_str(&s->memory, in->user.watchlist[i]);
    in->user.watchlist = ids;
}

/* ---- activating ---- */

/* Gives whether the user of the channel is online, for a watcher. */
static bool join(struct conn *c, struct local_channel *channel, bool watches)
{
    struct worker *w = conn_worker(c);
    struct join j = {
        .who = &c->sub, .watches = watches, .now_ms = w->loop.now_ms, .held_seq = UINT64_MAX};
    struct cache_answer none = {0};
    bool joined = registry_activate(w->node->registry, w->index, channel, &j, &w->scratch, &none);
    CHECK(joined); /* no limit is set */
    return j.is_occupied;
}

static void user_set(struct conn *c, const struct signin *in)
{
    const struct user_data *u = &in->user;
    struct conn_user *user = mem_zero(sizeof *user + u->id.n + u->user_info.n);
    memcpy(user->text, u->id.p, u->id.n);
    memcpy(user->text + u->id.n, u->user_info.p, u->user_info.n);
    user->id = str_of(user->text, u->id.n);
    user->user_info = str_of(user->text + u->id.n, u->user_info.n);
    free(c->user);
    c->user = user;
    if (in->channel)
        join(c, in->channel, false);
}

static void watches_drop(struct conn *c)
{
    struct worker *w = conn_worker(c);
    struct leave leave = {.app = c->app, .now_ms = w->loop.now_ms};
    for (uint32_t i = c->sub.count; i-- > 0;)
        if (c->sub.list[i].watches)
            registry_leave(w->node->registry, w->index, &c->sub, i, &leave);
}

static void watch(struct conn *c, const struct signin *in)
{
    struct buf online, offline;
    buf_init(&online, SIZE_MAX);
    buf_init(&offline, SIZE_MAX);
    for (size_t i = 0; i < in->user.watch_count; i++) {
        struct buf *b = join(c, in->watched[i], true) ? &online : &offline;
        if (b->n)
            buf_char(b, ',');
        json_add_string(b, in->user.watchlist[i]);
    }
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    frame_watchlist(b, buf_str(&online), buf_str(&offline));
    conn_send(c, buf_str(b));
    buf_finish(&online);
    buf_finish(&offline);
}

void signin_activate(struct conn *c, struct step *s)
{
    const struct signin *in = s->signin;
    user_set(c, in);
    c->authorize_by_ms = 0;
    conn_log(c, "signed in", LOG_TEXT("user_id", in->user.id));
    conn_trace(c, .what = TRACE_SIGNED_IN, .name = in->user.id);
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    frame_signin_success(b, in->text);
    conn_send(c, buf_str(b));
    watches_drop(c);
    if (in->user.watch_truncated) {
        struct wire_error e = wire_error(WIRE_WATCHLIST);
        conn_error(c, S(""), &e);
    }
    if (in->user.watch_count)
        watch(c, in);
}

/* ---- starting ---- */

static void start(struct conn *c, str text, const struct user_data *u)
{
    struct signin in = {.user = *u, .text = text};
    struct step step = {.kind = STEP_SIGNIN, .id = (uint16_t)++c->step_ids, .signin = &in};
    if (!c->app->app->enable_watchlist_events) {
        in.user.watch_count = 0;
        in.user.watch_truncated = false;
    }
    reserve_all(c, &step);
    if (step.unconfirmed == 0) {
        signin_activate(c, &step);
        step_finish(&step);
        return;
    }
    keep(&step);
    step.signin = arena_get(&step.memory, sizeof in);
    *step.signin = in;
    struct step *s = pending_add(c, &step);
    pending_wait(c, s, WAIT_ADAPTER, STEP_ADAPTER_MS);
}

static bool request_read(struct conn *c, struct json data, str *auth, str *user_data,
                         struct wire_error *e)
{
    struct json_field f[] = {{S("auth"), {0}}, {S("user_data"), {0}}};
    struct json object = data_object(c, data);
    if (object.type == JSON_OBJECT)
        json_fields(object, f, COUNT_OF(f));
    if (!c->app->app->enable_user_authentication)
        *e = wire_error(WIRE_SIGNIN_OFF);
    else if (!json_text(c, f[1].value, user_data))
        *e = wire_error_f(WIRE_SIGNIN_FIELD, "user_data");
    else if (!json_text(c, f[0].value, auth))
        *e = wire_error_f(WIRE_SIGNIN_FIELD, "auth");
    else
        return true;
    return false;
}

void on_signin(struct conn *c, struct json data, str text)
{
    const struct app_entry *a = c->app;
    str auth, user_data;
    struct user_data u = {0};
    struct wire_error e;
    char id[24];
    if (!request_read(c, data, &auth, &user_data, &e)) {
        refuse(c, &e);
        return;
    }
    str socket_id = str_of(id, conn_socket_id(c, id));
    if (!sign_check_user(a->hmac, a->app->key, socket_id, user_data, auth)) {
        e = wire_error(WIRE_SIGNIN_INVALID);
        refuse(c, &e);
        return;
    }
    if (!user_data_parse(user_data, &conn_worker(c)->scratch, &u, &e)) {
        refuse(c, &e);
        return;
    }
    if (c->user && !str_eq(c->user->id, u.id)) {
        e = wire_error(WIRE_SIGNIN_OTHER);
        refuse(c, &e);
        return;
    }
    if (c->user && !conn_may_repeat(c, false, text))
        return;
    start(c, user_data, &u);
}
