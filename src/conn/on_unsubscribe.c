/* pusher:unsubscribe. Source: websocket-protocol.md §12: no answer; unknown channels are silent. */
#include "conn/conn.h"

static bool channel_of(struct conn *c, struct json data, str *out)
{
    struct json_field f[] = {{S("channel"), {0}}};
    struct json object = data_object(c, data);
    if (object.type == JSON_OBJECT) {
        json_fields(object, f, 1);
        return json_text(c, f[0].value, out) && out->n > 0;
    }
    return json_text(c, data, out) && out->n > 0; /* the bare name (WS-91) */
}

void on_unsubscribe(struct conn *c, struct json data)
{
    struct worker *w = conn_worker(c);
    str channel;
    if (!channel_of(c, data, &channel)) {
        struct wire_error e = wire_error(WIRE_NO_CHANNEL_UNSUBSCRIBE);
        conn_error(c, S(""), &e);
        return;
    }
    if (channel.p[0] == '\x01')
        return; /* no client may name a hidden channel */
    const struct app *app = c->app->app;
    struct local_channel *l = registry_local(w->node->registry, w->index, app->id, channel);
    struct subscription *s = l ? subscriber_find(&c->sub, l, false) : NULL;
    if (!s)
        return;
    c->channels--;
    conn_log(c, "unsubscribed", LOG_TEXT("channel", channel));
    conn_trace(c, .what = TRACE_UNSUBSCRIBED, .channel = channel);
    struct leave leave = {.app = c->app, .now_ms = w->loop.now_ms};
    registry_leave(w->node->registry, w->index, &c->sub, (uint32_t)(s - c->sub.list), &leave);
}
