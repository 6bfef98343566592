/* conn/settings.h - what connections and requests need of the configuration.
 *
 * Nature   immutable once made and counted, like app records: each worker holds a reference and
 *          takes a newer one between turns (worker_use_settings). Units in the names
 */
#ifndef CONN_SETTINGS_H
#define CONN_SETTINGS_H

#include "base/arena.h"
#include "io/stream.h"

struct cors; /* api/cors.h */
struct settings {
    _Atomic uint32_t refs;
    arena memory; /* every slice below */

    /* user_authentication_timeout_ms 0: none */
    int64_t activity_timeout_ms, user_authentication_timeout_ms, shutdown_grace_ms,
        health_check_timeout_ms;
    int64_t max_connections;                                        /* of the node; 0: none */
    uint64_t max_payload_bytes, max_message_bytes, max_frame_bytes; /* websocket-protocol §2.5 */
    uint64_t max_body_bytes;                                        /* of an API request */
    struct stream_limits output;                                    /* of a WebSocket */
    bool compression, usage_enabled, status_enabled;
    str usage_token; /* bearer token of /stats; empty: not served here */

    /* of HTTP requests */
    uint32_t api_trust_hops, connect_trust_hops; /* proxies whose X-Forwarded-For counts */
    uint8_t ipv6_prefix;     /* leading bits of an address that make one client */
    const struct cors *cors; /* in `memory`; NULL: no fields (tests) */
};

/* All zero, one reference: the maker fills it. */
struct settings *settings_create(void);
struct settings *settings_ref(struct settings *s);
/* Takes *s and sets it NULL; NULL is fine. */
void settings_unref(struct settings **s);

#endif
