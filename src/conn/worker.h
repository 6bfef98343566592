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
#include "conn/settings.h"
#include "io/stream.h"
#include "metrics/metrics.h"

/* What is remembered of a backend (http-api.md §9): /up and the metrics say the same. */
enum backend_state { BACKEND_UP, BACKEND_AWAY, BACKEND_NEVER /* not reached since the start */ };

struct worker;
struct headless;
struct rate_limiter;
struct node {
    struct settings *settings; /* the newest; workers hold their own (main thread only) */
    struct registry *registry;
    struct app_manager *apps;
    struct adapter *adapter;
    struct cache *cache;
    struct rate_limiter *api_limiter, *connect_limiter; /* NULL: off */
    struct headless *headless;                          /* api/headless.h; NULL: off */
    struct app_lives lives;
    _Atomic int64_t connections; /* admitted WebSockets */
    _Atomic int64_t body_bytes;  /* received of API bodies not complete (security R8) */
    int64_t bodies_max;          /* of them; 0: HTTP_BODIES_MAX */
    _Atomic bool draining;
    _Atomic bool is_short; /* of memory: no new WebSockets, no publishes (security R10) */
    /* The kernel gives the lowest free number, so a number is a count: who gets full_fd or more is
     * told that the node is full, at last_fd accepting stops (security R6). 0: no such limit */
    int full_fd, last_fd;
    _Atomic uint8_t backends[label_backend_COUNT]; /* enum backend_state */
    uint16_t tls_port;                             /* where the redirect listener sends clients */
    int64_t (*wall_s)(void);                       /* Unix seconds, for signed requests */
    const struct metrics_format *metrics;          /* NULL: not served */
    uint16_t worker_count;
    /* [worker_count] is the service thread's, which serves no clients of the main listener */
    struct worker *workers[REGISTRY_WORKERS_MAX + 1];
};

struct worker {
    struct loop loop;
    struct stream_pool pool;
    struct node *node;
    struct settings *settings; /* a reference; swapped between turns */
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
static inline enum backend_state node_backend(const struct node *n, enum label_backend b)
{
    return (enum backend_state)atomic_load_explicit(&n->backends[b], memory_order_relaxed);
}
/* The node whose workers answer callbacks of driver families; one per process, tests set it. */
void node_use(struct node *n);
/* The connection that a late answer is for, or NULL. */
struct stream *node_find(struct handle h);

/* In place of a user's first bytes (admission of a WebSocket, conn/conn.h). */
struct upgrade {
    str key;         /* app key, percent-decoded */
    str query;       /* raw */
    str origin;      /* empty: none */
    bool deflate;    /* agreed in the 101 that has been sent */
    bool is_surplus; /* it came when few descriptors were left */
};
/* Turns the stream of an HTTP request into a WebSocket connection. All slices are borrowed. */
void conn_upgrade(struct stream *s, const struct upgrade *u);

#endif
