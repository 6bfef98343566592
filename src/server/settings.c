#include "server/settings.h"

#include "api/cors.h"

/* max_bytes and max_backpressure count alike, the smaller wins; none of all: 1000 messages. */
static struct stream_limits limits_of(const struct config *c)
{
    uint64_t bytes = c->websocket.max_backpressure;
    if (c->websocket.max_bytes && (bytes == 0 || c->websocket.max_bytes < bytes))
        bytes = c->websocket.max_bytes;
    uint64_t messages = c->websocket.max_messages;
    if (!messages && !c->websocket.max_bytes)
        messages = 1000;
    return (struct stream_limits){
        .max_messages = messages < UINT32_MAX ? (uint32_t)messages : UINT32_MAX,
        .max_bytes = bytes,
        .drop_when_full = !c->websocket.disconnect_on_buffer_full,
    };
}

static const struct cors *cors_of(arena *a, const struct config *c)
{
    struct cors_options opt = {
        .origins = c->cors.origins,
        .methods = c->cors.methods,
        .headers = c->cors.headers,
        .origin_count = c->cors.origin_count,
        .method_count = c->cors.method_count,
        .header_count = c->cors.header_count,
        .any_origin = c->cors.any_origin,
        .credentials = c->cors.credentials,
    };
    return cors_make(a, &opt);
}

struct settings *settings_of(const struct config *c)
{
    struct settings *s = settings_create();
    s->activity_timeout_ms = (int64_t)(c->activity_timeout_s ? c->activity_timeout_s : 1) * 1000;
    s->user_authentication_timeout_ms = (int64_t)c->user_authentication_timeout_s * 1000;
    s->shutdown_grace_ms = (int64_t)c->shutdown_grace_period_s * 1000;
    s->health_check_timeout_ms = (int64_t)c->health_check_timeout_ms;
    s->max_connections = c->max_connections;
    s->max_payload_bytes = (uint64_t)c->websocket_max_payload_kb * 1024;
    s->max_message_bytes = c->websocket.max_message_size;
    s->max_frame_bytes = c->websocket.max_frame_size;
    s->max_body_bytes = (uint64_t)c->http_api.request_limit_in_mb * 1024 * 1024;
    s->output = limits_of(c);
    s->compression = c->websocket.compression;
    s->usage_enabled = c->http_api.usage_enabled;
    s->status_enabled = c->http_api.status_enabled;
    s->usage_token = arena_str(&s->memory, c->http_api.usage_token);
    s->api_trust_hops = c->rate_limiter.api.trust_hops;
    s->connect_trust_hops = c->rate_limiter.websocket.trust_hops;
    s->ipv6_prefix = c->rate_limiter.ipv6_prefix;
    s->cors = cors_of(&s->memory, c);
    return s;
}
