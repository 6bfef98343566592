/* server/worker.h - drives a worker: accepting, hand-over, turns, drain.
 *
 * Nature   worker_turn on the worker's thread, or wherever a test calls it
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "conn/worker.h"

struct worker_thread { /* a worker and what drives it */
    struct worker worker;
    pthread_t thread;
    bool is_started;
    int listener; /* -1: none */
    uint64_t listen_key;
    int64_t listen_again_ms;   /* out of descriptors: accept again then; 0: accepting */
    _Atomic uint32_t load;     /* live sockets, for the hand-over */
    _Atomic uint32_t draining; /* sockets that the drain still waits for, + 1 until it has begun */
    bool is_draining;
    int64_t drain_begin_ms, drain_ms;
    uint32_t drain_total, drain_slot;
};

/* clock NULL: monotonic. */
NODISCARD bool worker_init(struct worker_thread *t, struct node *n, uint16_t index,
                           int64_t (*clock)(void *), void *clock_ctx, struct err *e);
/* Ends all connections without a farewell; all workers first, then worker_finish for each: leaving
 * posts to the others. */
void worker_close_streams(struct worker_thread *t);
void worker_finish(struct worker_thread *t);
/* Takes the listener. */
NODISCARD bool worker_listen(struct worker_thread *t, int listener, struct err *e);
NODISCARD bool worker_start(struct worker_thread *t, struct err *e);
void worker_turn(struct worker_thread *t, int max_wait_ms);
/* From another thread: close all WebSockets with 4200, spread over spread_ms. */
void worker_drain(struct worker_thread *t, int64_t spread_ms);
/* From another thread: ends the thread and waits for it. */
void worker_stop(struct worker_thread *t);

#endif
