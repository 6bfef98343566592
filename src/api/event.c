#include "api/event.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "pusher/socket_id.h"

struct reading {
    struct request *q;
    const struct app *app;
    const char *prefix;
    struct event *e;
    struct refusal *r;
};

static bool refuse(struct reading *x, int status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);
static bool refuse(struct reading *x, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    x->r->status = status;
    x->r->code = code;
    int n = snprintf(x->r->text, sizeof x->r->text, "%s", x->prefix);
    va_start(ap, fmt);
    vsnprintf(x->r->text + n, sizeof x->r->text - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

static bool wrong_type(struct reading *x, const char *name, const char *want)
{
    return refuse(x, 400, "invalid_input", "'%s' must be %s", name, want);
}

/* 64 characters of a peer's text are enough in an error (http-api.md §14). */
static str cut_for_echo(str s)
{
    size_t at = 0, characters = 0;
    for (; at < s.n; at++)
        if (((unsigned char)s.p[at] & 0xc0) != 0x80 && characters++ == 64)
            break;
    return str_of(s.p, at);
}

static bool is_absent(struct json v)
{
    return v.type == JSON_NONE || v.type == JSON_NULL;
}

static bool name_read(struct reading *x, struct json v)
{
    if (is_absent(v))
        return refuse(x, 400, "invalid_input", "Event name is required");
    if (v.type != JSON_STRING)
        return wrong_type(x, "name", "a string");
    x->e->name = json_string(v, &x->q->memory);
    if (x->e->name.n == 0)
        return refuse(x, 400, "invalid_input", "Event name is required");
    if (utf8_length(x->e->name) <= x->app->max_event_name)
        return true;
    str cut = cut_for_echo(x->e->name);
    return refuse(x, 400, "limit_exceeded", "Event name '%.*s' exceeds maximum length of %u",
                  FMT(cut), x->app->max_event_name);
}

/* Which channels the event has already: a list may be as long as the body, so none is walked. */
struct seen {
    uint32_t *slots; /* index + 1; 0: free */
    size_t mask;
};

static struct seen seen_of(arena *a, size_t n)
{
    size_t size = 4;
    while (size < 2 * n)
        size *= 2;
    return (struct seen){arena_zero(a, size * sizeof(uint32_t)), size - 1};
}

static void channel_add(struct event *e, struct seen *seen, str name)
{
    size_t at = hash_bytes(name) & seen->mask;
    for (; seen->slots[at]; at = (at + 1) & seen->mask)
        if (str_eq(e->channels[seen->slots[at] - 1], name))
            return; /* published once */
    e->channels[e->channel_count++] = name;
    seen->slots[at] = (uint32_t)e->channel_count;
}

static bool channel_check(struct reading *x, str name)
{
    struct err why;
    return channel_name_check(name, x->app->max_channel_name, &why) ||
           refuse(x, 400, "invalid_input", "%s", why.text);
}

static bool channel_list_read(struct reading *x, struct json list)
{
    struct json item;
    size_t n = 0;
    struct json_iter it = json_iter(list);
    while (json_next(&it, NULL, &item)) {
        n++;
        if (item.type != JSON_STRING)
            return wrong_type(x, "channels", "an array of strings");
    }
    if (x->app->max_event_channels && n > x->app->max_event_channels)
        return refuse(x, 400, "limit_exceeded", "Number of channels (%zu) exceeds limit (%u)", n,
                      x->app->max_event_channels);
    struct seen seen = seen_of(&x->q->memory, n);
    x->e->channels = arena_get(&x->q->memory, n * sizeof *x->e->channels);
    it = json_iter(list);
    while (json_next(&it, NULL, &item))
        channel_add(x->e, &seen, json_string(item, &x->q->memory));
    return true;
}

static bool channels_read(struct reading *x, struct json list, struct json one)
{
    if (!is_absent(list)) {
        if (list.type != JSON_ARRAY)
            return wrong_type(x, "channels", "an array of strings");
        if (!channel_list_read(x, list))
            return false;
    } else if (!is_absent(one)) {
        if (one.type != JSON_STRING)
            return wrong_type(x, "channel", "a string");
        x->e->channels = arena_get(&x->q->memory, sizeof *x->e->channels);
        x->e->channels[x->e->channel_count++] = json_string(one, &x->q->memory);
    }
    if (x->e->channel_count == 0)
        return refuse(x, 400, "missing_channel_info",
                      "Request must contain 'channels' (list) or 'channel' (string)");
    return true;
}

/* A string goes out byte for byte, other JSON as its compact text, nothing as null. */
static bool data_read(struct reading *x, struct json v)
{
    arena *a = &x->q->memory;
    size_t bytes = 4;
    if (v.type == JSON_STRING) {
        x->e->data = v.raw;
        bytes = json_string(v, a).n;
    } else if (is_absent(v)) {
        x->e->data = S("\"null\"");
    } else {
        struct buf compact, literal;
        buf_init(&compact, SIZE_MAX);
        buf_init(&literal, SIZE_MAX);
        json_add_compact(&compact, v.raw);
        json_add_string(&literal, buf_str(&compact));
        bytes = compact.n;
        x->e->data = arena_str(a, buf_str(&literal));
        buf_finish(&compact);
        buf_finish(&literal);
    }
    uint32_t kb = x->app->max_event_payload_kb;
    if (kb == 0 || bytes <= (size_t)kb * 1024)
        return true;
    str cut = cut_for_echo(x->e->name);
    return refuse(x, 413, "payload_too_large",
                  "Event payload size (%zu bytes) for event '%.*s' exceeds limit (%uKB)", bytes,
                  FMT(cut), kb);
}

static bool socket_read(struct reading *x, struct json v)
{
    struct socket_id id;
    struct message_exclude *out = &x->e->exclude;
    if (is_absent(v))
        return true;
    if (v.type != JSON_STRING)
        return wrong_type(x, "socket_id", "a string");
    str text = json_string(v, &x->q->memory);
    if (!socket_id_parse(text, &id)) {
        str cut = cut_for_echo(text);
        return refuse(x, 400, "invalid_input", "Invalid socket id: %.*s", FMT(cut));
    }
    out->set = socket_id_place(id, &out->worker, &out->slot); /* else it is nobody's */
    out->number = id.number;
    return true;
}

static bool info_read(struct reading *x, struct json v)
{
    str word;
    if (is_absent(v))
        return true;
    if (v.type != JSON_STRING)
        return wrong_type(x, "info", "a string");
    str rest = json_string(v, &x->q->memory);
    x->e->wants_info = rest.n > 0;
    while (http1_list_next(&rest, &word)) {
        x->e->wants_users |= str_eq(word, S("user_count"));
        x->e->wants_subscriptions |= str_eq(word, S("subscription_count"));
    }
    return true;
}

bool event_read(struct request *q, struct json object, const char *prefix, struct event *out,
                struct refusal *r)
{
    struct json_field f[] = {{S("name"), {0}}, {S("channels"), {0}},  {S("channel"), {0}},
                             {S("data"), {0}}, {S("socket_id"), {0}}, {S("info"), {0}}};
    struct reading x = {q, q->app->app, prefix, out, r};
    *out = (struct event){0};
    if (object.type != JSON_OBJECT)
        return refuse(&x, 400, "invalid_input", "Event must be a JSON object");
    json_fields(object, f, COUNT_OF(f));
    if (!name_read(&x, f[0].value) || !channels_read(&x, f[1].value, f[2].value) ||
        !data_read(&x, f[3].value))
        return false;
    for (size_t i = 0; i < out->channel_count; i++)
        if (!channel_check(&x, out->channels[i]))
            return false;
    return socket_read(&x, f[4].value) && info_read(&x, f[5].value);
}

bool event_is_blocked(struct request *q, const struct event *e)
{
    if (atomic_load_explicit(&q->worker->node->is_short, memory_order_relaxed))
        return true;
    for (size_t i = 0; i < e->channel_count; i++)
        if (registry_is_full(q->worker->node->registry, q->app->app->id, e->channels[i]))
            return true;
    return false;
}

static void event_trace(struct request *q, const struct event *e)
{
    struct app_live *live = q->app->live;
    int64_t now_ms = q->worker->loop.now_ms;
    if (trace_on(&live->trace, now_ms))
        trace_tell(live, now_ms,
                   &(struct traced){.what = TRACE_PUBLISHED,
                                    .channel = e->channels[0],
                                    .name = e->name,
                                    .bytes = e->data.n,
                                    .channels = (uint32_t)e->channel_count});
}

void event_send(struct request *q, const struct event *e)
{
    event_trace(q, e);
    struct frame *data = e->channel_count > 1 ? frame_of(e->data) : NULL;
    for (size_t i = 0; i < e->channel_count; i++) {
        str app = q->app->app->id, channel = e->channels[i];
        struct message *m =
            data ? message_create_shared(app, channel, e->name, data, MESSAGE_HTTP)
                 : message_create(app, channel, e->name, e->data, S(""), MESSAGE_HTTP);
        m->exclude = e->exclude;
        m->received_ns = q->complete_ns;
        registry_publish(q->worker->node->registry, &q->worker->loop, m);
    }
    if (data)
        frame_unref(data);
}

void event_info(struct request *q, const struct event *e, str channel, struct buf *b)
{
    struct channel_counts n = registry_counts(q->worker->node->registry, q->app->app->id, channel);
    bool users = e->wants_users && channel_kind(channel).base == CHANNEL_PRESENCE;
    buf_char(b, '{');
    if (users)
        buf_printf(b, "\"user_count\":%u", n.users);
    if (e->wants_subscriptions)
        buf_printf(b, "%s\"subscription_count\":%u", users ? "," : "", n.subscriptions);
    buf_char(b, '}');
}
