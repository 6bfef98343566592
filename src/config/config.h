/* config/config.h - what the operator wants: defaults, one file, the environment, checked.
 *
 * Nature   config_load reads files and answers once, on the main thread; the result is immutable
 * Limits   file up to 16 MiB, CONFIG_APPS_MAX apps
 * Source   spec/configuration.md; every key is a row of config/options.def
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "app/app.h"
#include "config/args.h"

enum { CONFIG_FILE_MAX = 16 << 20, CONFIG_APPS_MAX = 100000 };

/* Every option of options.def by name: OPT_port, OPT_cache_memory_ttl … */
enum option {
#define OPTION(id, ...) OPT_##id,
#include "config/options.def"
#undef OPTION
    OPTION_COUNT
};

/* Where a value came from; higher wins. */
enum config_source { FROM_DEFAULT, FROM_FILE, FROM_ENV };

struct value; /* config/tree.h */
struct option_value {
    enum config_source source;
    uint32_t line, col; /* FROM_FILE */
    str variable;       /* FROM_ENV */
    bool is_null;       /* an optional one that is not set */
    bool b;
    int64_t i; /* every integer type; octal modes as their number */
    double f;
    str s;
    str *list; /* STR_LIST */
    size_t list_count;
    const struct value *tree; /* TREE: as written, NULL if absent */
};

/* What load says besides success: in order, each once, never with a secret in it. */
struct config_message {
    enum say { SAY_INFO, SAY_WARN } level;
    char *text;
};
struct config_report {
    struct config_message *messages;
    size_t count, cap;
    uint32_t *places; /* by the hash of the text, number of the message + 1; 0: free */
    size_t place_count;
    size_t warnings;
    size_t strict; /* unknown keys and keys without effect: fatal with --strict-config */
};

struct config {
    arena memory; /* every slice below */
    str file;     /* path of the file that was read; empty: none */

    /* process */
    str host;
    uint16_t port;
    uint32_t workers; /* 0: CPUs this process may use */
    bool debug;
    str process_id; /* empty: choose one */
    bool io_uring_auto;
    uint64_t memory_limit_mb; /* 0: found out */
    uint64_t shutdown_grace_period_s;
    uint64_t health_check_timeout_ms;
    struct {
        bool colors, include_target, json;
        str filter; /* RUST_LOG and its relatives; empty: by debug */
    } log;

    /* connections */
    uint32_t max_connections; /* 0: no limit */
    uint64_t activity_timeout_s;
    uint64_t user_authentication_timeout_s;
    uint32_t websocket_max_payload_kb;
    struct {
        uint64_t max_messages, max_bytes; /* outbound queue; 0: no limit */
        bool disconnect_on_buffer_full;
        uint64_t max_message_size, max_frame_size; /* inbound, bytes */
        uint64_t max_backpressure;
        bool compression;
    } websocket;

    /* HTTP */
    struct {
        uint32_t request_limit_in_mb;
        bool usage_enabled;
        str usage_token; /* empty: none */
        bool status_enabled;
    } http_api;
    struct {
        bool credentials;
        bool any_origin;
        str *origins, *methods, *headers;
        size_t origin_count, method_count, header_count;
    } cors;
    struct {
        bool enabled;
        str path;
        uint32_t mode;
    } unix_socket;
    struct {
        bool enabled;
        bool ktls, redirect_http;
        uint16_t http_port;
        uint64_t reload_interval_s; /* 0: only SIGHUP */
        struct config_certificate {
            str cert_path, key_path, passphrase; /* passphrase empty: none */
        } * certificates;                        /* the first is the default one */
        size_t certificate_count;
    } ssl;
    struct {
        bool enabled;
        str host;
        uint16_t port;
        str prefix; /* of every metric's name */
    } metrics;
    struct {
        bool enabled;
        str driver; /* as in drivers.def */
        bool fail_closed;
        uint8_t ipv6_prefix; /* 1..128 */
        struct config_rate {
            uint32_t max_requests;
            uint64_t window_s; /* at least 1 */
            uint32_t trust_hops;
        } api, websocket;
    } rate_limiter;

    /* families */
    str app_driver, cache_driver, queue_driver, adapter_driver;
    struct {
        uint64_t ttl_s, max_capacity;
    } cache_memory;
    uint64_t channel_cache_ttl_s;
    struct {
        uint64_t ungraceful_timeout_s;
    } presence;
    struct {
        bool batching;
        uint64_t batch_ms, batch_size; /* at least 1 */
        bool ordered;
        bool deny_private;
        uint64_t request_timeout_ms;
        struct {
            bool enabled;
            uint32_t max_attempts; /* 0: no limit */
            uint64_t max_elapsed_ms, initial_backoff_ms, max_backoff_ms;
        } retry;
    } webhooks;
    struct {
        bool include_secret;
        uint32_t max_attempts;
        uint64_t retry_base_delay_ms, retry_max_delay_ms;
        double retry_jitter; /* 0..1 */
        uint64_t lease_duration_ms, lease_renew_interval_ms;
        uint64_t poll_interval_ms, shutdown_timeout_ms;
        uint64_t failed_retention, memory_capacity; /* jobs */
    } queue;

    /* apps, each with one reference that config_finish gives back */
    struct app **apps;
    size_t app_count;

    struct option_value values[OPTION_COUNT]; /* everything, for what has no member above */
};

/* Reads, checks and fills *c and *r. On false *e is the one line for the operator, *c is finished
 * already; *r stays readable either way. With args->check_only what this build does not serve yet
 * is a warning, otherwise an error.
 * Errors   ERR_CONFIG */
NODISCARD bool config_load(const struct config_args *args, char **environ_list, struct config *c,
                           struct config_report *r, struct err *e);
void config_finish(struct config *c);

/* The options that the process has started with, as far as they cannot change while it runs. */
struct config_start {
    uint64_t prints[OPTION_COUNT]; /* 0: it can */
};
void config_remember(const struct config *c, struct config_start *out);
/* Adds a warning for each option that differs from the start and cannot change while the server
 * runs, with its path and never its value. Returns whether there was one. */
bool config_needs_restart(const struct config_start *start, const struct config *fresh,
                          struct config_report *r);

/* Writes the effective configuration as JSON, secrets as "***"; the list of all options. false: fd
 * did not take it. */
NODISCARD bool config_print(const struct config *c, int fd);
NODISCARD bool config_help(int fd);

void config_report_init(struct config_report *r);
void config_report_finish(struct config_report *r);
/* Prints every message as "config: LEVEL: TEXT" lines. */
void config_report_print(const struct config_report *r, int fd);

#endif
