/* config/validate.c - what the values must be together, and what this build can start with.
 *
 * Source: spec/configuration.md §7, §8.2, §9 (CFG-28, CFG-29, CFG-76, CFG-79, CFG-81, CFG-84)
 */
#include "config/load.h"
#include "pusher/origin.h"

struct driver_row {
    str name;
    bool built;
};
#define ROW(name, built) {STR(name), built},
#define ADAPTER_DRIVER(name, others, symbol, built, package) ROW(name, built)
static const struct driver_row adapters[] = {
#include "drivers.def"
};
#undef ADAPTER_DRIVER
#define APP_DRIVER(name, others, symbol, built, package) ROW(name, built)
static const struct driver_row app_managers[] = {
#include "drivers.def"
};
#undef APP_DRIVER
#define CACHE_DRIVER(name, others, symbol, built, package) ROW(name, built)
static const struct driver_row caches[] = {
#include "drivers.def"
};
#undef CACHE_DRIVER
#define RATE_LIMITER_DRIVER(name, others, symbol, built, package) ROW(name, built)
static const struct driver_row rate_limiters[] = {
#include "drivers.def"
};
#undef RATE_LIMITER_DRIVER
#define QUEUE_DRIVER(name, others, symbol, built, package) ROW(name, built)
static const struct driver_row queues[] = {
#include "drivers.def"
};
#undef QUEUE_DRIVER

/* "a, b or c" */
static const char *list_of(arena *a, const struct driver_row *rows, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_printf(a, "%s%s%.*s", text,
                            i == 0           ? ""
                            : i + 1 == count ? " or "
                                             : ", ",
                            FMT(rows[i].name));
    return text;
}

/* What this build cannot do yet: a start fails, a check warns (--check-config). */
static bool unserved(struct loading *l, enum option id, const char *what)
{
    if (!l->args->check_only)
        return config_fail_option(l, id, "%s is not part of this build", what);
    config_say_strict(l, "%s is not part of this build, a start would fail", what);
    return true;
}

static str lower(struct loading *l, str s)
{
    str copy = arena_str(&l->c->memory, s);
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        p[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
    return copy;
}

/* Puts the driver's own name into *name_out. */
static bool choose(struct loading *l, enum option id, enum option cluster_mode,
                   const struct driver_row *rows, size_t count, bool must_start, str *name_out)
{
    arena *a = &l->c->memory;
    str name = lower(l, option(l, id)->s), path = config_options[id].path;
    if (str_eq(name, S("redis")) && cluster_mode < OPTION_COUNT && option(l, cluster_mode)->b)
        name = S("redis-cluster");
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(name, rows[i].name))
            continue;
        *name_out = rows[i].name;
        return rows[i].built || !must_start ||
               unserved(l, id, arena_printf(a, "%.*s \"%.*s\"", FMT(path), FMT(name)));
    }
    return config_fail_option(l, id, "%.*s \"%.*s\" is not supported; use %s", FMT(path), FMT(name),
                              list_of(a, rows, count));
}

static bool uses_redis(struct loading *l)
{
    return is_written(l, OPT_queue_redis_url_override) ||
           tree_at(l->root, S("database.redis")) != NULL ||
           str_starts(l->c->adapter_driver, S("redis")) ||
           str_starts(l->c->cache_driver, S("redis"));
}

static bool some_webhook(const struct config *c)
{
    for (size_t i = 0; i < c->app_count; i++)
        if (c->apps[i]->webhook_count > 0)
            return true;
    return false;
}

/* Not written: what is at hand. A Redis that this build cannot use is not at hand. */
static bool choose_queue(struct loading *l)
{
    if (!option(l, OPT_queue_driver)->is_null)
        return choose(l, OPT_queue_driver, OPT_queue_redis_cluster_mode, queues, COUNT_OF(queues),
                      true, &l->c->queue_driver);
    bool redis_is_built = false;
    for (size_t i = 0; i < COUNT_OF(queues); i++)
        redis_is_built |= str_eq(queues[i].name, S("redis")) && queues[i].built;
    l->c->queue_driver = uses_redis(l) && redis_is_built ? S("redis") : S("memory");
    if (some_webhook(l->c))
        config_say(l, SAY_INFO, "queue.driver is not written, using %.*s", FMT(l->c->queue_driver));
    return true;
}

bool config_choose_drivers(struct loading *l)
{
    struct config *c = l->c;
    return choose(l, OPT_adapter_driver, OPTION_COUNT, adapters, COUNT_OF(adapters), true,
                  &c->adapter_driver) &&
           choose(l, OPT_app_manager_driver, OPTION_COUNT, app_managers, COUNT_OF(app_managers),
                  true, &c->app_driver) &&
           choose(l, OPT_cache_driver, OPT_cache_redis_cluster_mode, caches, COUNT_OF(caches), true,
                  &c->cache_driver) &&
           choose(l, OPT_rate_limiter_driver, OPT_rate_limiter_redis_cluster_mode, rate_limiters,
                  COUNT_OF(rate_limiters), option(l, OPT_rate_limiter_enabled)->b,
                  &c->rate_limiter.driver) &&
           choose_queue(l);
}

/* Numbers that must not be 0, or not above another one. */
static bool check_numbers(struct loading *l)
{
    static const enum option above_zero[] = {OPT_cleanup_queue_buffer_size,
                                             OPT_cleanup_batch_size,
                                             OPT_cleanup_batch_timeout_ms,
                                             OPT_presence_update_rate_limit,
                                             OPT_queue_redis_concurrency,
                                             OPT_webhooks_batching_duration,
                                             OPT_webhooks_batching_size,
                                             OPT_queue_reliability_max_attempts,
                                             OPT_queue_reliability_lease_duration_ms,
                                             OPT_queue_reliability_lease_renew_interval_ms,
                                             OPT_queue_reliability_stalled_batch_size,
                                             OPT_queue_reliability_worker_prefetch,
                                             OPT_queue_reliability_memory_capacity,
                                             OPT_queue_reliability_max_batch_size,
                                             OPT_adapter_cluster_health_heartbeat_interval_ms,
                                             OPT_adapter_cluster_health_node_timeout_ms,
                                             OPT_adapter_cluster_health_cleanup_interval_ms,
                                             OPT_rate_limiter_api_window_seconds,
                                             OPT_rate_limiter_ws_window_seconds,
                                             OPT_rate_limiter_ipv6_prefix};
    static const struct {
        enum option small;
        int64_t factor;
        enum option large;
        bool may_be_equal;
    } orders[] = {{OPT_queue_reliability_lease_renew_interval_ms, 1,
                   OPT_queue_reliability_lease_duration_ms, false},
                  {OPT_queue_reliability_retry_base_delay_ms, 1,
                   OPT_queue_reliability_retry_max_delay_ms, true},
                  {OPT_adapter_cluster_health_heartbeat_interval_ms, 3,
                   OPT_adapter_cluster_health_node_timeout_ms, true},
                  {OPT_adapter_cluster_health_cleanup_interval_ms, 1,
                   OPT_adapter_cluster_health_node_timeout_ms, true}};
    for (size_t i = 0; i < COUNT_OF(above_zero); i++)
        if (option(l, above_zero[i])->i == 0)
            return config_fail_option(l, above_zero[i], "\"%.*s\" must be above 0",
                                      FMT(config_options[above_zero[i]].path));
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        int64_t small = option(l, orders[i].small)->i, large = option(l, orders[i].large)->i;
        if (small > large / orders[i].factor || (small == large && !orders[i].may_be_equal))
            return config_fail_option(l, orders[i].small, "\"%.*s\" is too large for \"%.*s\"",
                                      FMT(config_options[orders[i].small].path),
                                      FMT(config_options[orders[i].large].path));
    }
    const struct option_value *chunk = option(l, OPT_adapter_nats_presence_sync_chunk_size);
    if (!chunk->is_null && chunk->i == 0)
        return config_fail_option(l, OPT_adapter_nats_presence_sync_chunk_size,
                                  "\"adapter.nats.presence_sync_chunk_size\" must be above 0");
    double jitter = option(l, OPT_queue_reliability_retry_jitter)->f;
    if (jitter < 0 || jitter > 1)
        return config_fail_option(l, OPT_queue_reliability_retry_jitter,
                                  "\"queue.reliability.retry_jitter\" must be from 0 to 1");
    if (option(l, OPT_rate_limiter_ipv6_prefix)->i > 128)
        return config_fail_option(l, OPT_rate_limiter_ipv6_prefix,
                                  "\"rate_limiter.ipv6_prefix\" must be from 1 to 128");
    return true;
}

static bool check_words(struct loading *l)
{
    static const struct {
        enum option id;
        const char *words; /* a blank before and behind each */
    } rows[] = {
        {OPT_io_uring, " auto off "},
        {OPT_webhooks_private_addresses, " allow deny "},
        {OPT_metrics_driver, " prometheus "},
        {OPT_database_mysql_ssl_mode, " disabled preferred required verify_ca verify_identity "}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str word = lower(l, option(l, rows[i].id)->s);
        const char *padded = arena_printf(&l->c->memory, " %.*s ", FMT(word));
        if (word.n == 0 || strstr(rows[i].words, padded) == NULL)
            return config_fail_option(l, rows[i].id, "\"%.*s\" must be one of: %.*s",
                                      FMT(config_options[rows[i].id].path),
                                      FMT(str_trim(str_z(rows[i].words))));
    }
    if (str_eq(lower(l, option(l, OPT_server_role)->s), S("api")))
        return config_fail_option(l, OPT_server_role,
                                  "server_role \"api\" is not supported by this server");
    if (!str_eq(lower(l, option(l, OPT_server_role)->s), S("default")))
        return config_fail_option(l, OPT_server_role, "\"server_role\" must be default");
    return true;
}

static bool consists_of(str s, const char *others, bool digit_first)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool is_digit = c >= '0' && c <= '9' && (i > 0 || digit_first);
        if (c == '\0' || (!is_letter && !is_digit && strchr(others, c) == NULL))
            return false;
    }
    return true;
}

static bool check_names(struct loading *l)
{
    const struct option_value *methods = option(l, OPT_cors_methods);
    const struct option_value *headers = option(l, OPT_cors_allowed_headers);
    str table = option(l, OPT_database_mysql_table_name)->s;
    if (table.n == 0 || !consists_of(table, "_$", true))
        return config_fail_option(
            l, OPT_database_mysql_table_name,
            "\"database.mysql.table_name\" may hold letters, digits, _ and $");
    if (!consists_of(option(l, OPT_metrics_prometheus_prefix)->s, "_:", false))
        return config_fail_option(l, OPT_metrics_prometheus_prefix,
                                  "\"metrics.prometheus.prefix\" is no start of a metric's name");
    for (size_t i = 0; i < methods->list_count; i++)
        if (methods->list[i].n == 0 || !consists_of(methods->list[i], "!#$%&'*+-.^_`|~", true))
            return config_fail_option(l, OPT_cors_methods,
                                      "\"cors.methods\": entry %zu is no method", i + 1);
    for (size_t i = 0; i < headers->list_count; i++)
        if (headers->list[i].n == 0 || !consists_of(headers->list[i], "!#$%&'*+-.^_`|~", true))
            return config_fail_option(l, OPT_cors_allowed_headers,
                                      "\"cors.allowed_headers\": entry %zu is no header name",
                                      i + 1);
    return true;
}

static bool check_origins(struct loading *l)
{
    const struct option_value *v = option(l, OPT_cors_origin);
    struct err e = {.kind = ERR_NONE};
    for (size_t i = 0; i < v->list_count; i++)
        if (!origin_pattern_check(v->list[i], &e))
            return config_fail_option(l, OPT_cors_origin, "\"cors.origin\": %s", e.text);
    return true;
}

static bool check_tls_blocks(struct loading *l)
{
    static const struct {
        enum option cert, key;
    } pairs[] = {
        {OPT_database_redis_sentinel_tls_client_cert_path,
         OPT_database_redis_sentinel_tls_client_key_path},
        {OPT_database_redis_master_tls_client_cert_path,
         OPT_database_redis_master_tls_client_key_path},
        {OPT_adapter_cluster_tls_client_cert_path, OPT_adapter_cluster_tls_client_key_path}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if ((option(l, pairs[i].cert)->s.n > 0) != (option(l, pairs[i].key)->s.n > 0))
            return config_fail_option(
                l, option(l, pairs[i].cert)->s.n ? pairs[i].cert : pairs[i].key,
                "\"%.*s\" and \"%.*s\" need each other", FMT(config_options[pairs[i].cert].path),
                FMT(config_options[pairs[i].key].path));
    return true;
}

static bool check_unix_socket(struct loading *l)
{
    str path = option(l, OPT_unix_socket_path)->s;
    if (!option(l, OPT_unix_socket_enabled)->b)
        return true;
    if (path.n == 0 || path.p[0] != '/' || memmem(path.p, path.n, "../", 3) != NULL)
        return config_fail_option(l, OPT_unix_socket_path,
                                  "\"unix_socket.path\" must be absolute and without ../");
    if (option(l, OPT_unix_socket_permission_mode)->i & 2)
        config_say(l, SAY_WARN, "\"unix_socket.permission_mode\" lets everybody write");
    return true;
}

static bool check_ports(struct loading *l)
{
    int64_t port = option(l, OPT_port)->i;
    if (option(l, OPT_metrics_enabled)->b && port != 0 && port == option(l, OPT_metrics_port)->i &&
        str_eq(option(l, OPT_host)->s, option(l, OPT_metrics_host)->s))
        return config_fail_option(l, is_written(l, OPT_metrics_port) ? OPT_metrics_port : OPT_port,
                                  "\"port\" and \"metrics.port\" are both %lld", (long long)port);
    return true;
}

static void clamp(struct loading *l, enum option id, int64_t min, int64_t max)
{
    struct option_value *v = &l->c->values[id];
    if (v->i >= min && v->i <= max)
        return;
    v->i = v->i < min ? min : max;
    config_say(l, SAY_WARN, "\"%.*s\" is out of range, using %lld", FMT(config_options[id].path),
               (long long)v->i);
}

static bool is_default(const struct loading *l, enum option id)
{
    const struct option_value *v = option(l, id);
    str fallback = config_options[id].fallback;
    if (config_options[id].type == TYPE_BOOL)
        return v->b == str_eq(fallback, S("true"));
    return v->is_null || str_eq(v->s, fallback);
}

static void say_notes(struct loading *l)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (config_options[i].class == CLASS_NOTE && is_written(l, (enum option)i) &&
            !is_default(l, (enum option)i))
            config_say_strict(l, "\"%.*s\" has no effect in this server; the key is ignored",
                              FMT(config_options[i].path));
}

static void say_combinations(struct loading *l)
{
    struct config *c = l->c;
    if (!str_eq(c->adapter_driver, S("local")) && str_eq(c->cache_driver, S("memory")))
        config_say(l, SAY_WARN,
                   "cache.driver memory with adapter.driver %.*s: cache channels are "
                   "per node",
                   FMT(c->adapter_driver));
    if (c->app_count == 0 && str_eq(c->app_driver, S("memory")))
        config_say(l, SAY_WARN, "no apps configured, every client is refused with 4001");
}

bool config_validate(struct loading *l)
{
    if (!check_numbers(l) || !check_words(l) || !check_names(l) || !check_origins(l) ||
        !check_tls_blocks(l) || !config_read_tls(l) || !check_unix_socket(l) || !check_ports(l))
        return false;
    clamp(l, OPT_queue_sqs_max_messages, 1, 10);
    clamp(l, OPT_queue_sqs_wait_time_seconds, 0, 20);
    say_notes(l);
    say_combinations(l);
    return true;
}
