/* server/service.h - the service thread: what must delay no connection.
 *
 * It is a worker without clients of the main listener: deadlines of channel records, webhooks, the
 * metrics listener and the status page run on its loop (design §2).
 *
 * Nature   service_open and service_close on the main thread; the thread runs in between
 */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include "server/worker.h"

struct service {
    struct worker_thread thread; /* worker index: node->worker_count */
    struct alarm tick;
};

NODISCARD bool service_open(struct service *s, struct node *n, struct err *e);
NODISCARD bool service_start(struct service *s, struct err *e);
static inline struct loop *service_loop(struct service *s)
{
    return &s->thread.worker.loop;
}
void service_stop(struct service *s);

#endif
