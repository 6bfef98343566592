/* pusher:signin. Source: websocket-protocol.md §14; signed-in users are hidden channels, design §4.
 */
#include <stdlib.h>

#include "conn/conn.h"
#include "pusher/frames.h"
#include "pusher/member.h"
#include "pusher/sign.h"

static void refuse(struct conn *c, const struct wire_error *e)
{
    conn_log(c, "sign-in refused", LOG_INTEGER("code", e->code));
    conn_trace(c, .what = TRACE_SIGNIN_REFUSED, .code = e->code);
    conn_error(c, S(""), e);
}

static void not_waited_for(struct handle asker, bool is_confirmed)
{
    (void)asker, (void)is_confirmed;
}

static struct local_channel *join_hidden(struct conn *c, str user_id, bool watches, bool *is_online)
{
    struct worker *w = conn_worker(c);
    struct buf name;
    buf_init(&name, SIZE_MAX);
    registry_user_channel(&name, user_id);
    struct reservation x = {.hidden = true, .cb = not_waited_for};
    struct local_channel *l =
        registry_reserve(w->node->registry, w->index, c->app->app->id, buf_str(&name), &x);
    struct join j = {
        .who = &c->sub, .watches = watches, .now_ms = w->loop.now_ms, .held_seq = UINT64_MAX};
    struct cache_answer none = {0};
    bool joined = registry_activate(w->node->registry, w->index, l, &j, &w->scratch, &none);
    CHECK(joined); /* no limit is set */
    if (is_online)
        *is_online = j.is_occupied;
    buf_finish(&name);
    return l;
}

static void user_set(struct conn *c, const struct user_data *u)
{
    struct local_channel *channel = c->user ? c->user->channel : NULL;
    struct conn_user *user = mem_zero(sizeof *user + u->id.n + u->user_info.n);
    memcpy(user->text, u->id.p, u->id.n);
    memcpy(user->text + u->id.n, u->user_info.p, u->user_info.n);
    user->id = str_of(user->text, u->id.n);
    user->user_info = str_of(user->text + u->id.n, u->user_info.n);
    free(c->user);
    c->user = user;
    user->channel = channel ? channel : join_hidden(c, user->id, false, NULL);
}

static void watches_drop(struct conn *c)
{
    struct worker *w = conn_worker(c);
    struct leave leave = {.app = c->app, .now_ms = w->loop.now_ms};
    for (uint32_t i = c->sub.count; i-- > 0;)
        if (c->sub.list[i].watches)
            registry_leave(w->node->registry, w->index, &c->sub, i, &leave);
}

static void watch(struct conn *c, const struct user_data *u)
{
    struct buf online, offline;
    buf_init(&online, SIZE_MAX);
    buf_init(&offline, SIZE_MAX);
    for (size_t i = 0; i < u->watch_count; i++) {
        bool is_online;
        join_hidden(c, u->watchlist[i], true, &is_online);
        struct buf *b = is_online ? &online : &offline;
        if (b->n)
            buf_char(b, ',');
        json_add_string(b, u->watchlist[i]);
    }
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    frame_watchlist(b, buf_str(&online), buf_str(&offline));
    conn_send(c, buf_str(b));
    buf_finish(&online);
    buf_finish(&offline);
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
    if (c->user && !conn_may_repeat(c, text, true))
        return;
    user_set(c, &u);
    c->authorize_by_ms = 0;
    conn_log(c, "signed in", LOG_TEXT("user_id", u.id));
    conn_trace(c, .what = TRACE_SIGNED_IN, .name = u.id);
    struct buf *b = conn_worker(c)->json;
    buf_clear(b);
    frame_signin_success(b, user_data);
    conn_send(c, buf_str(b));
    if (!a->app->enable_watchlist_events)
        return;
    watches_drop(c);
    if (u.watch_truncated) {
        e = wire_error(WIRE_WATCHLIST);
        conn_error(c, S(""), &e);
    }
    if (u.watch_count)
        watch(c, &u);
}
