/* server/worker.h - drives a worker: accepting, hand-over, turns, drain.
 *
 * Nature   worker_turn on the worker's thread, or wherever a test calls it
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "api/http.h"
#include "conn/worker.h"

enum { WORKER_LISTENERS = 4 };

struct worker_thread;
struct listener {
    struct worker_thread *thread;
    int fd;
    uint64_t key;
    enum http_kind kind;
    bool is_alone; /* the only one of the node: its sockets go to all workers in turn */
    uint32_t next;
};
struct worker_thread { /* a worker and what drives it */
    struct worker worker;
    pthread_t thread;
    bool is_started;
    struct listener listeners[WORKER_LISTENERS];
    uint32_t listener_count;
    int64_t listen_again_ms;   /* few descriptors left: look again then; 0: accepting */
    uint32_t live_at_pause;    /* or when fewer sockets than these are left */
    _Atomic uint32_t load;     /* live sockets, for the hand-over */
    _Atomic uint32_t most;     /* the most of them since the last trim */
    _Atomic uint32_t draining; /* sockets that the drain still waits for, + 1 until it has begun */
    _Atomic uint64_t unsent;   /* bytes that wait for sockets */
    _Atomic int64_t turned_ms; /* when the last turn ended, for the watchdog */
    bool is_draining;
    int64_t drain_begin_ms, drain_ms;
    uint32_t drain_total, drain_done; /* WebSockets: when it began, told */
    uint32_t drain_slot;              /* the next to look at */
};

/* clock NULL: monotonic. */
NODISCARD bool worker_init(struct worker_thread *t, struct node *n, uint16_t index,
                           int64_t (*clock)(void *), void *clock_ctx, struct err *e);
/* Ends all connections without a farewell; all workers first, then worker_finish for each: leaving
 * posts to the others. */
void worker_close_streams(struct worker_thread *t);
void worker_finish(struct worker_thread *t);
/* Takes the listener, also on error. */
NODISCARD bool worker_listen(struct worker_thread *t, int fd, enum http_kind kind, struct err *e);
NODISCARD bool worker_start(struct worker_thread *t, struct err *e);
void worker_turn(struct worker_thread *t, int max_wait_ms);
/* From another thread: close all WebSockets with 4200, spread over spread_ms. */
void worker_drain(struct worker_thread *t, int64_t spread_ms);
/* From another thread: new settings, taken between turns. References of their own are made. */
void worker_use_settings(struct worker_thread *t, struct settings *s);
/* From another thread: certificates for new connections. A reference of its own is made. */
void worker_use_tls(struct worker_thread *t, struct tls_set *set);
/* From another thread: the app store's records have changed; `apps` are all there are now. Takes
 * newer ones into use; who is connected to one that is gone or disabled hears 4003. */
struct app_list;
void worker_use_apps(struct worker_thread *t, struct app_list *apps);
/* From another thread: memory is short. Idle HTTP connections close, then those with most unsent
 * bytes, until so many bytes waited for them (security R10). */
void worker_shed(struct worker_thread *t, uint64_t unsent_bytes);
/* From another thread: many connections have left; gives their memory back. */
void worker_trim(struct worker_thread *t);
/* From another thread: ends the thread and waits for it. */
void worker_stop(struct worker_thread *t);

#endif
