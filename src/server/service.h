/* server/service.h - the service thread: deadlines of channel records.
 *
 * Nature   a loop of its own, so that nothing delays connections (design §2)
 */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include <pthread.h>

#include "channel/registry.h"

struct service {
    struct loop loop;
    struct timer tick;
    struct registry *registry;
    pthread_t thread;
    bool is_started;
};

NODISCARD bool service_start(struct service *s, struct registry *r, struct err *e);
void service_stop(struct service *s);

#endif
