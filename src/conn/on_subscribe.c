/* pusher:subscribe. Source: websocket-protocol.md §6-§11, §14.4; three steps: design §4. */
#include <stdlib.h>

#include "base/log.h"
#include "conn/pending.h"
#include "pusher/channel_name.h"
#include "pusher/frames.h"
#include "pusher/member.h"
#include "pusher/sign.h"

struct request { /* a subscribe that has been read */
    str channel, auth, channel_data;
    bool has_auth;
    struct channel_kind kind;
    struct member_data member;
};

/* ---- refusing ---- */

/* Two frames, the first for Echo's error(), the second for everybody (§7.2); java on encrypted
 * channels gets the second alone and without the channel (WS-122). */
static void refuse(struct conn *c, const struct request *q, const struct wire_error *e)
{
    struct buf *b = conn_worker(c)->json;
    conn_log(c, "subscribe refused", LOG_TEXT("channel", q->channel));
    conn_trace(c, .what = TRACE_SUBSCRIBE_REFUSED, .channel = q->channel, .code = e->code);
    if (q->kind.base == CHANNEL_ENCRYPTED && c->is_java) {
        conn_error(c, S(""), e);
        return;
    }
    buf_clear(b);
    frame_subscription_error(b, q->channel, str_z(e->type), str_z(e->text), e->status);
    conn_send(c, buf_str(b));
    conn_error(c, q->channel, e);
}

static void refuse_full(struct conn *c, str channel)
{
    struct request q = {.channel = channel, .kind = channel_kind(channel)};
    struct wire_error e = wire_error(WIRE_CHANNEL_FULL);
    refuse(c, &q, &e);
}

/* ---- checking ---- */

static bool name_is_fine(struct conn *c, struct request *q, struct wire_error *e)
{
    struct err why;
    if (channel_name_check(q->channel, c->app->app->max_channel_name, &why))
        return true;
    *e = wire_error_f(why.kind == ERR_LIMIT ? WIRE_CHANNEL_NAME_LENGTH : WIRE_CHANNEL_NAME, "%s",
                      why.text);
    return false;
}

static bool user_channel_is_fine(struct conn *c, const struct request *q, struct wire_error *e)
{
    if (c->user && str_eq(c->user->id, channel_user_id(q->channel)))
        return true;
    *e = wire_error(WIRE_USER_CHANNEL);
    return false;
}

static bool auth_is_fine(struct conn *c, const struct request *q, struct wire_error *e)
{
    char id[24];
    const struct app_entry *a = c->app;
    if (!q->has_auth || q->auth.n == 0) {
        *e = wire_error(WIRE_AUTH_REQUIRED);
        return false;
    }
    str socket_id = str_of(id, conn_socket_id(c, id));
    if (sign_check_channel(a->hmac, a->app->key, socket_id, q->channel, q->channel_data, q->kind,
                           q->auth))
        return true;
    *e = wire_error(WIRE_AUTH_INVALID);
    return false;
}

static bool member_is_fine(struct conn *c, struct request *q, struct wire_error *e)
{
    uint32_t kb = c->app->app->max_presence_member_kb;
    if (q->channel_data.n)
        return member_parse(q->channel_data, (size_t)kb * 1024, kb, &conn_worker(c)->scratch,
                            &q->member, e);
    if (!c->user) {
        *e = wire_error(WIRE_NO_CHANNEL_DATA);
        return false;
    }
    q->member = (struct member_data){c->user->id, c->user->user_info};
    return true;
}

static bool request_is_fine(struct conn *c, struct request *q, struct wire_error *e)
{
    q->kind = channel_kind(q->channel);
    if (!name_is_fine(c, q, e))
        return false;
    if (q->kind.base == CHANNEL_USER)
        return user_channel_is_fine(c, q, e);
    if (!channel_needs_auth(q->kind))
        return true;
    if (!auth_is_fine(c, q, e))
        return false;
    return q->kind.base != CHANNEL_PRESENCE || member_is_fine(c, q, e);
}

/* ---- answering ---- */

/* False: the members are more than our text holds, and nothing was said. */
static bool answer_subscribed(struct conn *c, str channel, struct snapshot *snapshot)
{
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    if (snapshot->ids)
        frame_subscribed_presence(b, channel, snapshot_ids(snapshot), snapshot_hash(snapshot),
                                  snapshot->count);
    else
        frame_subscribed(b, channel);
    if (b->full)
        return false;
    conn_send(c, buf_str(b));
    return true;
}

/* The stored value names event and data; `channel` may be missing in what others wrote (§10). */
static bool cached_read(struct conn *c, struct buf *b, str channel, str stored)
{
    struct json top;
    size_t at;
    str event;
    struct json_field f[] = {{S("event"), {0}}, {S("data"), {0}}};
    if (!json_parse(stored, &top, &at) || top.type != JSON_OBJECT)
        return false;
    json_fields(top, f, COUNT_OF(f));
    if (!json_text(c, f[0].value, &event) || f[1].value.type != JSON_STRING)
        return false;
    frame_event_raw(b, event, channel, f[1].value.raw, S(""));
    return true;
}

static void tell_miss(struct conn *c, str channel)
{
    struct worker *w = conn_worker(c);
    struct channel_event e = {
        .kind = WEBHOOK_CACHE_MISS, .app = c->app->app->id, .channel = channel};
    METRICS_NODE(channel_cache[label_channel_cache_result_MISS], 1);
    registry_tell(w->node->registry, &w->loop, c->app, &e);
}

/* A cache that failed is a miss for the client, and no news for webhooks (webhooks.md §1.4). */
static void answer_cached(struct conn *c, str channel, enum fetched found, str event)
{
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    if (found == FETCHED && cached_read(c, b, channel, event)) {
        METRICS_NODE(channel_cache[label_channel_cache_result_HIT], 1);
    } else {
        frame_cache_miss(b, channel);
        if (found == FETCHED_NOTHING)
            tell_miss(c, channel);
        else
            METRICS_NODE(channel_cache[label_channel_cache_result_ERROR], 1);
    }
    conn_send(c, buf_str(b));
}

/* What was fetched is never newer than what came by meanwhile. */
static void answer_held(struct conn *c, struct step *s)
{
    if (s->hold.newest)
        conn_send_frame(c, message_frame(s->hold.newest, conn_stream(c)->deflate));
    else
        answer_cached(c, s->channel_name, s->fetched, s->cached);
}

void subscribe_activate(struct conn *c, struct step *s)
{
    struct worker *w = conn_worker(c);
    const struct app *app = c->app->app;
    struct channel_kind kind = channel_kind(s->channel_name);
    struct cache_answer cached = {0};
    struct join j = {
        .who = &c->sub,
        .user_id = s->user_id,
        .user_info = s->user_info,
        .max_members = kind.base == CHANNEL_PRESENCE ? app->max_presence_members : 0,
        .app = c->app,
        .now_ms = w->loop.now_ms,
        .held_seq = s->is_held ? s->reserved_seq : UINT64_MAX,
    };
    if (!registry_activate(w->node->registry, w->index, s->channel, &j, &w->scratch, &cached)) {
        refuse_full(c, s->channel_name);
        return;
    }
    bool is_told = answer_subscribed(c, s->channel_name, &j.snapshot);
    snapshot_release(&j.snapshot);
    if (!is_told) {
        struct leave leave = {.app = c->app, .now_ms = w->loop.now_ms};
        registry_leave(w->node->registry, w->index, &c->sub, c->sub.count - 1, &leave);
        refuse_full(c, s->channel_name);
        return;
    }
    c->channels++;
    conn_log(c, "subscribed", LOG_TEXT("channel", s->channel_name));
    conn_trace(c, .what = TRACE_SUBSCRIBED, .channel = s->channel_name);
    if (channel_needs_auth(kind))
        c->authorize_by_ms = 0;
    if (!kind.cache)
        return;
    if (s->is_held)
        answer_held(c, s);
    else
        answer_cached(c, s->channel_name,
                      cached.err.kind != ERR_NONE ? FETCH_FAILED
                      : cached.found              ? FETCHED
                                                  : FETCHED_NOTHING,
                      cached.value);
}

void subscribe_answer_again(struct conn *c, struct step *s)
{
    if (!answer_subscribed(c, s->channel_name, &s->snapshot))
        refuse_full(c, s->channel_name); /* what he has stays */
    else if (channel_kind(s->channel_name).cache)
        answer_held(c, s);
}

/* ---- starting ---- */

/* The cache answered, perhaps too late for anybody. */
static void fetched(struct handle asker, const struct cache_answer *a)
{
    struct conn *c;
    struct step *s = pending_asked(asker, WAIT_CACHE, &c);
    if (!s)
        return;
    s->fetched = a->err.kind != ERR_NONE ? FETCH_FAILED : a->found ? FETCHED : FETCHED_NOTHING;
    if (s->fetched == FETCHED)
        s->cached = arena_str(&s->memory, a->value);
    pending_wait(c, s, WAIT_NOTHING, 0);
    if (s->kind == STEP_AGAIN)
        subscribe_look_again(c, s);
    pending_settle(c);
}

struct marker {
    struct mail mail;
    struct handle asker;
};

static void marker_read(void *owner, struct mail *m)
{
    struct marker *marker = (struct marker *)m;
    (void)owner;
    struct conn *c;
    struct step *s = pending_asked(marker->asker, WAIT_MARKER, &c);
    if (s) {
        pending_wait(c, s, WAIT_NOTHING, 0);
        pending_settle(c);
    }
    free(marker);
}

void subscribe_look_again(struct conn *c, struct step *s)
{
    struct worker *w = conn_worker(c);
    struct cache_answer cached = {0};
    struct marker *m = mem_zero(sizeof *m);
    m->mail.run = marker_read;
    m->asker = stream_handle(conn_stream(c));
    m->asker.tag = s->id;
    pending_wait(c, s, WAIT_MARKER, 0);
    registry_look_again(w->node->registry, w->index, s->channel, &s->snapshot, &s->memory, &cached,
                        &m->mail);
    if (cached.err.kind != ERR_NONE) {
        s->fetched = FETCH_FAILED;
    } else if (cached.found) {
        s->fetched = FETCHED;
        s->cached = cached.value;
    }
}

/* Asks a cache that answers LATER. What comes by meanwhile is held. */
static void fetch(struct conn *c, struct step *s)
{
    struct worker *w = conn_worker(c);
    struct buf key;
    struct cache_answer a = {0};
    struct handle asker = stream_handle(conn_stream(c));
    asker.tag = s->id;
    s->is_held = true;
    pending_wait(c, s, WAIT_CACHE, STEP_CACHE_MS);
    local_channel_hold(s->channel, &s->hold, s->reserved_seq);
    buf_init(&key, SIZE_MAX); /* the cache refuses a key that is too long */
    registry_cache_key(&key, c->app->app->id, s->channel_name);
    if (cache_get(&s->memory, w->node->cache, asker, buf_str(&key), &a, fetched) == DONE)
        fetched(asker, &a);
    buf_finish(&key);
}

static bool cache_is_slow(const struct conn *c, struct channel_kind kind)
{
    return kind.cache && !(cache_caps(conn_worker(c)->node->cache) & CACHE_AT_ONCE);
}

static void start_again(struct conn *c, const struct request *q, struct local_channel *l)
{
    struct step step = {.kind = STEP_AGAIN, .channel = l, .id = (uint16_t)++c->step_ids};
    step.channel_name = arena_str(&step.memory, q->channel);
    struct step *s = pending_add(c, &step);
    if (cache_is_slow(c, q->kind)) {
        s->reserved_seq = registry_seq(conn_worker(c)->node->registry, l);
        fetch(c, s);
    } else {
        subscribe_look_again(c, s);
    }
}

/* The topic is subscribed, or the adapter is away: the cached event is next, then the answer. */
static void go_on_confirmed(struct conn *c, struct step *s)
{
    pending_wait(c, s, WAIT_NOTHING, 0);
    if (cache_is_slow(c, channel_kind(s->channel_name)))
        fetch(c, s);
}

static void confirmed(struct handle asker, bool is_confirmed)
{
    struct conn *c;
    struct step *s = pending_asked(asker, WAIT_ADAPTER, &c);
    (void)is_confirmed; /* without the others it goes on alone (design §7) */
    if (!s)
        return;
    go_on_confirmed(c, s);
    pending_settle(c);
}

void subscribe_go_on(struct conn *c, struct step *s)
{
    if (s->wait == WAIT_ADAPTER) {
        go_on_confirmed(c, s);
        return;
    }
    s->fetched = FETCH_FAILED;
    pending_wait(c, s, WAIT_NOTHING, 0);
    if (s->kind == STEP_AGAIN)
        subscribe_look_again(c, s);
}

static void start(struct conn *c, const struct request *q)
{
    struct worker *w = conn_worker(c);
    struct step step = {.kind = STEP_SUBSCRIBE, .id = (uint16_t)++c->step_ids};
    struct reservation x = {.asker = stream_handle(conn_stream(c)), .cb = confirmed};
    x.asker.tag = step.id;
    step.channel = registry_reserve(w->node->registry, w->index, c->app->app->id, q->channel, &x);
    step.reserved_seq = x.reserved_seq;
    step.channel_name = q->channel;
    step.user_id = q->member.user_id;
    step.user_info = q->member.user_info;
    if (x.when == DONE && !cache_is_slow(c, q->kind) && pending_is_clear(c)) {
        subscribe_activate(c, &step);
        return;
    }
    step.channel_name = arena_str(&step.memory, q->channel);
    step.user_id = arena_str(&step.memory, q->member.user_id);
    step.user_info = arena_str(&step.memory, q->member.user_info);
    struct step *s = pending_add(c, &step);
    if (x.when == LATER)
        pending_wait(c, s, WAIT_ADAPTER, STEP_ADAPTER_MS);
    else
        go_on_confirmed(c, s);
}

static bool request_read(struct conn *c, struct json data, struct request *q)
{
    struct json_field f[] = {{S("channel"), {0}}, {S("auth"), {0}}, {S("channel_data"), {0}}};
    struct json object = data_object(c, data);
    if (object.type == JSON_OBJECT)
        json_fields(object, f, COUNT_OF(f));
    q->has_auth = json_text(c, f[1].value, &q->auth);
    json_text(c, f[2].value, &q->channel_data);
    return json_text(c, f[0].value, &q->channel) && q->channel.n > 0;
}

void on_subscribe(struct conn *c, struct json data, str text)
{
    struct worker *w = conn_worker(c);
    struct request q = {0};
    struct wire_error e;
    bool is_read = request_read(c, data, &q);
    if (!pending_may_overlap(c, q.channel) ||
        (!pending_is_clear(c) && (!is_read || !request_is_fine(c, &q, &e)))) {
        pending_defer(c, text);
        return;
    }
    if (!is_read) {
        e = wire_error(WIRE_NO_CHANNEL);
        conn_error(c, S(""), &e);
        return;
    }
    if (!c->app->app->enabled) {
        e = wire_error(WIRE_APP_DISABLED);
        conn_close(c, &e);
        return;
    }
    if (!request_is_fine(c, &q, &e)) {
        refuse(c, &q, &e);
        return;
    }
    struct local_channel *l =
        registry_local(w->node->registry, w->index, c->app->app->id, q.channel);
    struct subscription *old = l ? subscriber_find(&c->sub, l, false) : NULL;
    if (old) {
        /* What it is told must be the truth when it is told: it looks when it is its turn. */
        if (!pending_is_clear(c)) {
            pending_defer(c, text);
            return;
        }
        bool is_free = !old->is_repeated;
        old->is_repeated = true;
        if (conn_may_repeat(c, is_free, text))
            start_again(c, &q, l);
    } else if (c->channels + c->step_count >= CONN_CHANNELS_MAX) {
        e = wire_error(WIRE_TOO_MANY_CHANNELS);
        refuse(c, &q, &e);
    } else {
        start(c, &q);
    }
}
