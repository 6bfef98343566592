/* config/config.c - the order of a load, and the members that the server reads by name. */
#include "config/config.h"

#include "config/load.h"

#include <stdlib.h>

/* Seconds or milliseconds that still fit when they become milliseconds behind now; 68 years, or 24
 * days, are for ever. */
static uint64_t duration(const struct loading *l, enum option id)
{
    int64_t n = option(l, id)->i;
    return (uint64_t)(n < INT32_MAX ? n : INT32_MAX);
}

static void fill_process(struct loading *l)
{
    struct config *c = l->c;
    c->host = option(l, OPT_host)->s;
    c->port = (uint16_t)option(l, OPT_port)->i;
    c->workers = (uint32_t)option(l, OPT_workers)->i;
    c->debug = option(l, OPT_debug)->b;
    c->process_id = option(l, OPT_instance_process_id)->s;
    c->io_uring_auto = str_eq_nocase(option(l, OPT_io_uring)->s, S("auto"));
    c->shutdown_grace_period_s = duration(l, OPT_shutdown_grace_period);
    c->health_check_timeout_ms = duration(l, OPT_health_check_timeout_ms);
    c->log.colors = option(l, OPT_logging_colors_enabled)->b;
    c->log.include_target = option(l, OPT_logging_include_target)->b;
}

/* Another word than these means disabled, with a warning. */
static bool wants_compression(struct loading *l)
{
    static const str words[] = {STR("dedicated"), STR("shared"),     STR("window256b"),
                                STR("window1kb"), STR("window2kb"),  STR("window4kb"),
                                STR("window8kb"), STR("window16kb"), STR("window32kb")};
    str word = option(l, OPT_websocket_compression)->s;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq_nocase(word, words[i]))
            return true;
    if (!str_eq_nocase(word, S("disabled")))
        config_say(l, SAY_WARN, "\"websocket.compression\" is unknown, taken as disabled");
    return false;
}

static void fill_websocket(struct loading *l)
{
    struct config *c = l->c;
    c->max_connections = (uint32_t)option(l, OPT_max_connections)->i;
    c->memory_limit_mb = (uint64_t)option(l, OPT_memory_limit_mb)->i;
    c->activity_timeout_s = duration(l, OPT_activity_timeout);
    c->user_authentication_timeout_s = duration(l, OPT_user_authentication_timeout);
    c->websocket_max_payload_kb = (uint32_t)option(l, OPT_websocket_max_payload_kb)->i;
    c->websocket.max_messages = (uint64_t)option(l, OPT_websocket_max_messages)->i;
    c->websocket.max_bytes = (uint64_t)option(l, OPT_websocket_max_bytes)->i;
    if (c->websocket.max_messages == 0 && c->websocket.max_bytes == 0)
        c->websocket.max_messages = 1000;
    c->websocket.disconnect_on_buffer_full = option(l, OPT_websocket_disconnect_on_buffer_full)->b;
    c->websocket.max_message_size = (uint64_t)option(l, OPT_websocket_max_message_size)->i;
    c->websocket.max_frame_size = (uint64_t)option(l, OPT_websocket_max_frame_size)->i;
    c->websocket.max_backpressure = (uint64_t)option(l, OPT_websocket_max_backpressure)->i;
    c->websocket.compression = wants_compression(l);
}

static bool allows_any(const struct option_value *origins)
{
    for (size_t i = 0; i < origins->list_count; i++)
        if (str_eq(origins->list[i], S("*")) || str_eq_nocase(origins->list[i], S("any")))
            return true;
    return origins->list_count == 0;
}

static void fill_cors(struct loading *l)
{
    struct config *c = l->c;
    const struct option_value *origins = option(l, OPT_cors_origin);
    c->cors.origins = origins->list;
    c->cors.origin_count = origins->list_count;
    c->cors.methods = option(l, OPT_cors_methods)->list;
    c->cors.method_count = option(l, OPT_cors_methods)->list_count;
    c->cors.headers = option(l, OPT_cors_allowed_headers)->list;
    c->cors.header_count = option(l, OPT_cors_allowed_headers)->list_count;
    c->cors.any_origin = allows_any(origins);
    c->cors.credentials = option(l, OPT_cors_credentials)->b && !c->cors.any_origin;
    if (c->cors.any_origin && option(l, OPT_cors_credentials)->b &&
        (is_written(l, OPT_cors_credentials) || is_written(l, OPT_cors_origin)))
        config_say(l, SAY_WARN,
                   "\"cors.credentials\" is taken as false, because every origin is "
                   "allowed");
}

static void fill_http(struct loading *l)
{
    struct config *c = l->c;
    c->http_api.request_limit_in_mb = (uint32_t)option(l, OPT_http_api_request_limit_in_mb)->i;
    c->http_api.usage_enabled = option(l, OPT_http_api_usage_enabled)->b;
    c->http_api.usage_token = option(l, OPT_http_api_usage_token)->s;
    c->http_api.status_enabled = option(l, OPT_http_api_status_enabled)->b;
    c->unix_socket.enabled = option(l, OPT_unix_socket_enabled)->b;
    c->unix_socket.path = option(l, OPT_unix_socket_path)->s;
    c->unix_socket.mode = (uint32_t)option(l, OPT_unix_socket_permission_mode)->i;
    c->metrics.enabled = option(l, OPT_metrics_enabled)->b;
    c->metrics.host = option(l, OPT_metrics_host)->s;
    c->metrics.port = (uint16_t)option(l, OPT_metrics_port)->i;
    c->metrics.prefix = option(l, OPT_metrics_prometheus_prefix)->s;
}

static void fill_rate(struct loading *l, enum option max_requests, enum option window,
                      enum option trust_hops, struct config_rate *out)
{
    out->max_requests = (uint32_t)option(l, max_requests)->i;
    out->window_s = duration(l, window);
    out->trust_hops = (uint32_t)option(l, trust_hops)->i;
}

/* The driver was chosen already; without a cache the counts are this node's. */
static void fill_rate_limiter(struct loading *l)
{
    struct config *c = l->c;
    if (str_eq(c->rate_limiter.driver, S("none")))
        c->rate_limiter.driver = S("memory");
    c->rate_limiter.enabled = option(l, OPT_rate_limiter_enabled)->b;
    c->rate_limiter.fail_closed = option(l, OPT_rate_limiter_fail_closed)->b;
    c->rate_limiter.ipv6_prefix = (uint8_t)option(l, OPT_rate_limiter_ipv6_prefix)->i;
    fill_rate(l, OPT_rate_limiter_api_max_requests, OPT_rate_limiter_api_window_seconds,
              OPT_rate_limiter_api_trust_hops, &c->rate_limiter.api);
    fill_rate(l, OPT_rate_limiter_ws_max_requests, OPT_rate_limiter_ws_window_seconds,
              OPT_rate_limiter_ws_trust_hops, &c->rate_limiter.websocket);
}

static void fill_webhooks(struct loading *l)
{
    struct config *c = l->c;
    c->webhooks.batching = option(l, OPT_webhooks_batching_enabled)->b;
    c->webhooks.batch_ms = duration(l, OPT_webhooks_batching_duration);
    c->webhooks.batch_size = (uint64_t)option(l, OPT_webhooks_batching_size)->i;
    c->webhooks.ordered = option(l, OPT_webhooks_ordered)->b;
    c->webhooks.deny_private =
        str_eq_nocase(option(l, OPT_webhooks_private_addresses)->s, S("deny"));
    c->webhooks.request_timeout_ms = (uint64_t)option(l, OPT_webhooks_request_timeout_ms)->i;
    c->webhooks.retry.enabled = option(l, OPT_webhooks_retry_enabled)->b;
    c->webhooks.retry.max_attempts = (uint32_t)option(l, OPT_webhooks_retry_max_attempts)->i;
    c->webhooks.retry.max_elapsed_ms =
        (uint64_t)option(l, OPT_webhooks_retry_max_elapsed_time_ms)->i;
    c->webhooks.retry.initial_backoff_ms =
        (uint64_t)option(l, OPT_webhooks_retry_initial_backoff_ms)->i;
    c->webhooks.retry.max_backoff_ms = (uint64_t)option(l, OPT_webhooks_retry_max_backoff_ms)->i;
}

static void fill_queue(struct loading *l)
{
    struct config *c = l->c;
    c->queue.include_secret = option(l, OPT_queue_include_secret)->b;
    c->queue.max_attempts = (uint32_t)option(l, OPT_queue_reliability_max_attempts)->i;
    c->queue.retry_base_delay_ms =
        (uint64_t)option(l, OPT_queue_reliability_retry_base_delay_ms)->i;
    c->queue.retry_max_delay_ms = (uint64_t)option(l, OPT_queue_reliability_retry_max_delay_ms)->i;
    c->queue.retry_jitter = option(l, OPT_queue_reliability_retry_jitter)->f;
    c->queue.lease_duration_ms = (uint64_t)option(l, OPT_queue_reliability_lease_duration_ms)->i;
    c->queue.lease_renew_interval_ms =
        (uint64_t)option(l, OPT_queue_reliability_lease_renew_interval_ms)->i;
    c->queue.poll_interval_ms =
        (uint64_t)option(l, OPT_queue_reliability_worker_poll_interval_ms)->i;
    c->queue.shutdown_timeout_ms =
        (uint64_t)option(l, OPT_queue_reliability_shutdown_timeout_ms)->i;
    c->queue.failed_retention = (uint64_t)option(l, OPT_queue_reliability_failed_retention)->i;
    c->queue.memory_capacity = (uint64_t)option(l, OPT_queue_reliability_memory_capacity)->i;
}

static void fill_families(struct loading *l)
{
    struct config *c = l->c;
    c->cache_memory.ttl_s = duration(l, OPT_cache_memory_ttl);
    c->cache_memory.max_capacity = (uint64_t)option(l, OPT_cache_memory_max_capacity)->i;
    c->channel_cache_ttl_s = duration(l, OPT_channel_limits_cache_ttl);
    c->presence.ungraceful_timeout_s = duration(l, OPT_presence_ungraceful_timeout_seconds);
}

static bool check_strict(struct loading *l)
{
    if (!l->args->strict || l->r->strict == 0)
        return true;
    return config_fail(l, "%zu of the warnings %s refused by --strict-config", l->r->strict,
                       l->r->strict == 1 ? "is" : "are");
}

static bool run(struct loading *l)
{
    if (!config_read_file(l))
        return false;
    config_defaults(l);
    if (!config_apply_file(l) || !config_scope(l))
        return false;
    config_apply_env(l);
    if (!config_read_apps(l) || !config_bootstrap(l) || !config_choose_drivers(l) ||
        !config_validate(l))
        return false;
    fill_process(l);
    fill_websocket(l);
    fill_cors(l);
    fill_http(l);
    fill_families(l);
    fill_rate_limiter(l);
    fill_webhooks(l);
    fill_queue(l);
    return check_strict(l);
}

bool config_load(const struct config_args *args, char **environ_list, struct config *c,
                 struct config_report *r, struct err *e)
{
    *c = (struct config){.file = {"", 0}};
    struct loading l = {.args = args, .env = environ_list, .c = c, .r = r, .e = e};
    config_report_init(r);
    if (run(&l))
        return true;
    config_finish(c);
    return false;
}

void config_finish(struct config *c)
{
    for (size_t i = 0; i < c->app_count; i++)
        app_unref(&c->apps[i]);
    free(c->apps);
    arena_finish(&c->memory);
    *c = (struct config){.app_count = 0};
}
