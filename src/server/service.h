/* server/service.h - the service thread: what must delay no connection.
 *
 * It is a worker without clients of the main listener: deadlines of channel records, webhooks, the
 * metrics listener and the status page run on its loop (design §2).
 *
 * Nature   service_open and service_close on the main thread; the thread runs in between
 */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include "config/config.h"
#include "queue/queue.h"
#include "server/memory_watch.h"
#include "server/worker.h"
#include "webhook/webhook.h"

struct service {
    struct worker_thread thread; /* worker index: node->worker_count */
    struct alarm tick;
    struct memory_watch memory;
    struct queue *queue;
    struct webhooks *webhooks;
    bool is_leaving;          /* what still waits for its time is told now */
    _Atomic bool is_flushed;  /* and nothing of it is left here */
    _Atomic uint64_t jobs[4]; /* of the queue, by enum label_state, for the metrics */
};

NODISCARD bool service_open(struct service *s, struct node *n, struct err *e);
/* The queue, and webhooks from the registry's records; apps and registry are there. */
NODISCARD bool service_open_webhooks(struct service *s, const struct config *c, struct err *e);
NODISCARD bool service_start(struct service *s, struct err *e);
static inline struct loop *service_loop(struct service *s)
{
    return &s->thread.worker.loop;
}
/* From the main thread: a newer configuration. */
void service_use_config(struct service *s, const struct config *c);
/* From the main thread, when the sockets are closed: tells what waits, delivers what is in memory;
 * s->is_flushed becomes true. */
void service_flush(struct service *s);
void service_stop(struct service *s);
/* Behind the stop: gives back what service_open_webhooks made. */
void service_close_webhooks(struct service *s);

#endif
