/* app/app.h - the record of one app: who it is, what it may do, where its webhooks go.
 *
 * Nature   immutable once made and counted: any thread reads it, the last reference frees it
 * Limits   0 means no limit in every number, but for the two name lengths, which are resolved
 * Source   spec/configuration.md §5.2-§5.4, §6.1 (explicit global limits are folded in)
 */
#ifndef APP_APP_H
#define APP_APP_H

#include "base/arena.h"
#include "base/base.h"
#include "base/pattern.h"

enum { APP_NAME_LENGTH_DEFAULT = 200 }; /* of channels and events, in code points */

/* Names of webhook events as bits, in the order of the list in configuration.md §5.3. */
enum app_webhook_event {
    WEBHOOK_CHANNEL_OCCUPIED = 1 << 0,
    WEBHOOK_CHANNEL_VACATED = 1 << 1,
    WEBHOOK_MEMBER_ADDED = 1 << 2,
    WEBHOOK_MEMBER_REMOVED = 1 << 3,
    WEBHOOK_CLIENT_EVENT = 1 << 4,
    WEBHOOK_CACHE_MISS = 1 << 5,
    WEBHOOK_SUBSCRIPTION_COUNT = 1 << 6,
};

struct app_header {
    str name, value;
};

/* One target. Exactly one of url and lambda_function is set, or none: never sent. */
struct app_webhook {
    str url;
    str lambda_function, lambda_region;
    bool lambda_async;
    uint32_t events; /* enum app_webhook_event */
    struct {
        str channel_prefix, channel_suffix; /* empty: not asked for */
        struct pattern *channel_pattern;    /* unanchored; NULL: not asked for */
        str *namespaces;
        size_t namespace_count;
    } filter; /* everything that is present must match */
    struct app_header *headers;
    size_t header_count;
    struct {
        bool is_set; /* one of the members was written */
        bool enabled;
        uint32_t max_attempts;                                            /* 0: no limit */
        uint64_t max_elapsed_time_ms, initial_backoff_ms, max_backoff_ms; /* 0: the global value */
    } retry;
    uint64_t request_timeout_ms; /* 0: the global value */
};

struct app {
    _Atomic uint32_t refs;
    arena memory; /* every slice below, and the struct itself */

    str id, key, secret;
    bool enabled;

    /* connections and what they send */
    int64_t max_connections;
    uint32_t max_client_events_per_second;
    uint32_t decay_seconds; /* window of the client-event limit, at least 1 */
    bool terminate_on_limit;
    struct {
        bool enabled;
        uint32_t max_attempts, decay_seconds;
        bool terminate_on_limit;
    } message_rate;

    /* sizes */
    uint32_t max_presence_members;
    uint32_t max_presence_member_kb;
    uint32_t max_channel_name; /* never 0 */
    uint32_t max_event_channels;
    uint32_t max_event_name; /* never 0 */
    uint32_t max_event_payload_kb;
    uint32_t max_batch;

    bool enable_client_messages;
    bool enable_user_authentication;
    bool enable_watchlist_events;
    bool enable_subscription_count;

    str *allowed_origins; /* none: every origin */
    size_t allowed_origin_count;
    struct app_webhook *webhooks;
    size_t webhook_count;
    uint32_t webhook_events; /* union over those that can be sent; 0: nobody wants anything */
};

/* A record with one reference and the defaults of an app that writes no limit: the maker fills it,
 * with memory from &a->memory, and from then on nobody changes it. */
struct app *app_create(void);
struct app *app_ref(struct app *a);
/* A webhook that can be sent: it has a target that is served here. */
bool app_webhook_is_usable(const struct app_webhook *h);
/* The maker has written the webhooks: sets webhook_events. */
void app_count_webhook_events(struct app *a);
/* Takes *a and sets it NULL; NULL is fine. */
void app_unref(struct app **a);

#endif
