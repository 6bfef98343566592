/* client-* events. Source: websocket-protocol.md §13, the checks in its order. */
#include <time.h>

#include "channel/message.h"
#include "base/utf8.h"
#include "conn/conn.h"
#include "conn/pending.h"
#include "conn/rate.h"
#include "pusher/channel_name.h"

struct client_event {
    str event, channel;
    bool has_channel;
    struct json data;
    str text; /* the decoded string, or the JSON text of anything else */
    struct subscription *subscription;
};

static bool refused(struct conn *c, const struct client_event *q, const struct wire_error *e)
{
    conn_trace(c, .what = TRACE_CLIENT_EVENT_REFUSED, .channel = q->channel, .name = q->event,
               .code = e->code);
    conn_error(c, q->channel, e);
    return false;
}

static bool rate_is_fine(struct conn *c, const struct client_event *q)
{
    const struct app *app = c->app->app;
    if (app->max_client_events_per_second == 0)
        return true;
    METRICS_APP(c->app->metrics, rate_limit_checks[label_limiter_type_CLIENT_EVENTS], 1);
    if (rate_take(&conn_extra(c)->client_events, conn_worker(c)->loop.now_ms,
                  app->max_client_events_per_second, app->decay_seconds))
        return true;
    METRICS_APP(c->app->metrics, rate_limit_triggered[label_limiter_type_CLIENT_EVENTS], 1);
    if (app->terminate_on_limit) {
        struct wire_error e = wire_error(WIRE_RATE_LIMIT_CLOSE);
        conn_close(c, &e);
        return false;
    }
    struct wire_error e = wire_error(WIRE_RATE_LIMIT);
    return refused(c, q, &e);
}

static bool event_is_fine(struct conn *c, const struct client_event *q)
{
    const struct app *app = c->app->app;
    struct wire_error e;
    if (!q->has_channel)
        e = wire_error(WIRE_CLIENT_NO_CHANNEL);
    else if (!app->enable_client_messages)
        e = wire_error(WIRE_CLIENT_OFF);
    else if (utf8_length(q->event) > app->max_event_name)
        e = wire_error_f(WIRE_CLIENT_NAME_LENGTH, "%u", app->max_event_name);
    else if (!channel_takes_client_events(channel_kind(q->channel)))
        e = wire_error(WIRE_CLIENT_CHANNEL);
    else if (app->max_event_payload_kb && q->text.n > (size_t)app->max_event_payload_kb * 1024)
        e = wire_error_f(WIRE_CLIENT_PAYLOAD, "(%zu bytes) exceeds limit (%uKB)", q->text.n,
                         app->max_event_payload_kb);
    else
        return true;
    return refused(c, q, &e);
}

static bool is_subscribed(struct conn *c, struct client_event *q)
{
    struct worker *w = conn_worker(c);
    struct local_channel *l =
        registry_local(w->node->registry, w->index, c->app->app->id, q->channel);
    q->subscription = l ? subscriber_find(&c->sub, l, false) : NULL;
    if (q->subscription)
        return true;
    char id[24];
    size_t n = conn_socket_id(c, id);
    struct wire_error e =
        wire_error_f(WIRE_CLIENT_NOT_SUBSCRIBED, "Socket %.*s is not subscribed to channel %.*s",
                     (int)n, id, FMT(q->channel));
    return refused(c, q, &e);
}

/* data goes out as a JSON string: verbatim if it is one, else its text as one (§13.4). False: it
 * would be longer than our texts may be. */
static bool data_literal(struct conn *c, const struct client_event *q, str *out)
{
    struct buf *b = conn_worker(c)->json;
    *out = q->data.raw;
    if (q->data.type == JSON_STRING)
        return true;
    buf_clear(b);
    if (!json_add_string(b, q->text)) {
        struct wire_error e = wire_error_f(WIRE_CLIENT_PAYLOAD, "(%zu bytes) exceeds limit (%zuKB)",
                                           q->text.n, b->max / 1024);
        return refused(c, q, &e);
    }
    *out = buf_str(b);
    return true;
}

/* Some worker with subscribers is behind: the sender waits, nothing is lost (design §5). */
static bool is_behind(struct conn *c, str channel)
{
    struct node *n = conn_worker(c)->node;
    for (uint16_t i = 0; i < n->worker_count; i++)
        if (mailbox_is_full(&n->workers[i]->loop.mailbox))
            return registry_is_full(n->registry, c->app->app->id, channel);
    return false;
}

/* Only for apps whose webhooks want to hear it: it costs as much as the checks above. */
static void tell(struct conn *c, const struct client_event *q, const struct message *m)
{
    struct worker *w = conn_worker(c);
    char id[24];
    struct channel_event e = {.kind = WEBHOOK_CLIENT_EVENT,
                              .app = m->app,
                              .channel = q->channel,
                              .user_id = m->user_id,
                              .event = q->event,
                              .data = m->data,
                              .socket_id = str_of(id, conn_socket_id(c, id))};
    registry_tell(w->node->registry, &w->loop, c->app, &e);
}

void on_client_event(struct conn *c, str event, struct json channel, struct json data, str text)
{
    struct worker *w = conn_worker(c);
    struct client_event q = {.event = event, .data = data, .text = S("null")};
    q.has_channel = json_text(c, channel, &q.channel);
    if (!json_text(c, data, &q.text) && data.type != JSON_NONE)
        q.text = data.raw;
    if (q.has_channel && is_behind(c, q.channel)) {
        pending_defer(c, text);
        conn_block(c, CONN_BLOCKED_MS);
        return;
    }
    str literal;
    if (!rate_is_fine(c, &q) || !event_is_fine(c, &q) || !is_subscribed(c, &q) ||
        !data_literal(c, &q, &literal))
        return;
    const struct member *m = q.subscription->member;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct message *out =
        message_create(c->app->app->id, q.channel, event, literal, m ? m->user_id : S(""), 0);
    out->exclude = (struct message_exclude){
        .set = true, .worker = w->index, .slot = c->sub.stream.slot, .number = c->sub.number};
    out->received_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    conn_trace(c, .what = TRACE_CLIENT_EVENT, .channel = q.channel, .name = event,
               .bytes = out->data.n);
    bool is_told = c->app->app->webhook_events & WEBHOOK_CLIENT_EVENT;
    if (is_told)
        message_ref(out);
    registry_publish(w->node->registry, &w->loop, out);
    if (!is_told)
        return;
    tell(c, &q, out);
    message_unref(out);
}
