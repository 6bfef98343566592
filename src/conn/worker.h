/* conn/worker.h - a worker thread's state, and what all workers of the node share.
 *
 * Nature   struct worker: its own thread only. struct node: fixed after the start, but for the
 *          atomics. A worker is an object with worker_turn (server/worker.h); a thread is only what
 *          drives it, and tests drive several on one thread
 */
#ifndef CONN_WORKER_H
#define CONN_WORKER_H

#include <stdatomic.h>

#include "app/app_manager.h"
#include "app/app_table.h"
#include "cache/cache.h"
#include "channel/registry.h"
#include "io/stream.h"

/* What connections and requests need of the configuration; units in the names. */
struct settings {
    int64_t activity_timeout_ms, user_authentication_timeout_ms, shutdown_grace_ms;
    int64_t max_connections;                                        /* of the node; 0: none */
    uint64_t max_payload_bytes, max_message_bytes, max_frame_bytes; /* websocket-protocol §2.5 */
    uint64_t max_body_bytes;                                        /* of an API request */
    bool compression, usage_enabled;
    str usage_token; /* bearer token of /stats; empty: not served here */
};

struct worker;
struct node {
    struct settings settings;
    struct registry *registry;
    struct app_manager *apps;
    struct cache *cache;
    struct app_lives lives;
    _Atomic int64_t connections; /* admitted WebSockets */
    _Atomic int64_t body_bytes;  /* API bodies in receipt (security R8) */
    _Atomic bool draining;
    int64_t (*wall_s)(void); /* Unix seconds, for signed requests */
    uint16_t worker_count;
    struct worker *workers[REGISTRY_WORKERS_MAX];
};

struct worker {
    struct loop loop;
    struct stream_pool pool;
    struct node *node;
    struct app_table apps;
    uint64_t next_number; /* of connections: socket_id */
    uint16_t index;
    arena scratch;    /* cleared after each turn: never keep a pointer into it */
    struct buf *json; /* scratch text, cleared by who uses it */
    uint32_t parked;  /* admissions that wait for the app store */
};

static inline struct worker *worker_of(const struct stream *s)
{
    return CONTAINER_OF(s->pool, struct worker, pool);
}
/* The node whose workers answer callbacks of driver families; one per process, tests set it. */
void node_use(struct node *n);
/* The connection that a late answer is for, or NULL. */
struct stream *node_find(struct handle h);

/* In place of a user's first bytes (admission of a WebSocket, conn/conn.h). */
struct upgrade {
    str key;      /* app key, percent-decoded */
    str query;    /* raw */
    str origin;   /* empty: none */
    bool deflate; /* agreed in the 101 that has been sent */
};
/* Turns the stream of an HTTP request into a WebSocket connection. All slices are borrowed. */
void conn_upgrade(struct stream *s, const struct upgrade *u);

#endif
