#include "pusher/frames.h"

#include "base/json.h"
#include "pusher/wire_error.h"

static void begin(struct buf *b, str event, str channel)
{
    buf_add(b, S("{\"event\":"));
    json_add_string(b, event);
    if (channel.n) {
        buf_add(b, S(",\"channel\":"));
        json_add_string(b, channel);
    }
    buf_add(b, S(",\"data\":"));
}

void frame_established(struct buf *b, str socket_id, uint32_t activity_timeout_s)
{
    begin(b, S("pusher:connection_established"), S(""));
    buf_add(b, S("\"{\\\"socket_id\\\":\\\""));
    buf_add(b, socket_id);
    buf_add(b, S("\\\",\\\"activity_timeout\\\":"));
    buf_u64(b, activity_timeout_s);
    buf_add(b, S("}\"}"));
}

static void empty_data(struct buf *b, str event, str channel)
{
    begin(b, event, channel);
    buf_add(b, S("\"{}\"}"));
}

void frame_ping(struct buf *b)
{
    empty_data(b, S("pusher:ping"), S(""));
}

void frame_pong(struct buf *b)
{
    empty_data(b, S("pusher:pong"), S(""));
}

void frame_subscribed(struct buf *b, str channel)
{
    empty_data(b, S("pusher_internal:subscription_succeeded"), channel);
}

void frame_cache_miss(struct buf *b, str channel)
{
    empty_data(b, S("pusher:cache_miss"), channel);
}

void frame_error(struct buf *b, str channel, int code, str text)
{
    begin(b, S("pusher:error"), channel);
    buf_add(b, S("{\"code\":"));
    if (code == WIRE_NULL)
        buf_add(b, S("null"));
    else
        buf_u64(b, (uint64_t)code);
    buf_add(b, S(",\"message\":"));
    json_add_string(b, text);
    buf_add(b, S("}}"));
}

void frame_subscription_error(struct buf *b, str channel, str type, str text, int status)
{
    begin(b, S("pusher:subscription_error"), channel);
    buf_add(b, S("{\"type\":"));
    json_add_string(b, type);
    buf_add(b, S(",\"error\":"));
    json_add_string(b, text);
    buf_add(b, S(",\"status\":"));
    buf_u64(b, (uint64_t)status);
    buf_add(b, S("}}"));
}

void frame_subscribed_presence(struct buf *b, str channel, str ids, str hash, uint32_t count)
{
    begin(b, S("pusher_internal:subscription_succeeded"), channel);
    buf_add(b, S("\"{\\\"presence\\\":{\\\"ids\\\":["));
    buf_add(b, ids);
    buf_add(b, S("],\\\"hash\\\":{"));
    buf_add(b, hash);
    buf_add(b, S("},\\\"count\\\":"));
    buf_u64(b, count);
    buf_add(b, S("}}\"}"));
}

void frame_event_raw(struct buf *b, str event, str channel, str data, str user_id)
{
    begin(b, event, channel);
    buf_add(b, data);
    if (user_id.n) {
        buf_add(b, S(",\"user_id\":"));
        json_add_string(b, user_id);
    }
    buf_char(b, '}');
}

void frame_signin_success(struct buf *b, str user_data)
{
    begin(b, S("pusher:signin_success"), S(""));
    buf_add(b, S("{\"user_data\":"));
    json_add_string(b, user_data);
    buf_add(b, S("}}"));
}

static void watch_entry(struct buf *inner, str name, str ids)
{
    if (ids.n == 0)
        return;
    if (inner->n && inner->p[inner->n - 1] == '}')
        buf_char(inner, ',');
    buf_add(inner, S("{\"name\":"));
    json_add_string(inner, name);
    buf_add(inner, S(",\"user_ids\":["));
    buf_add(inner, ids);
    buf_add(inner, S("]}"));
}

void frame_watchlist(struct buf *b, str online, str offline)
{
    struct buf inner;
    buf_init(&inner, SIZE_MAX);
    buf_add(&inner, S("{\"events\":["));
    watch_entry(&inner, S("online"), online);
    watch_entry(&inner, S("offline"), offline);
    buf_add(&inner, S("]}"));
    begin(b, S("pusher_internal:watchlist_events"), S(""));
    json_add_string(b, buf_str(&inner));
    buf_char(b, '}');
    buf_finish(&inner);
}
