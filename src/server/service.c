#include "server/service.h"

enum { TICK_MS = 250 };

static void tick(void *ctx)
{
    struct service *s = ctx;
    struct loop *l = service_loop(s);
    registry_tick(s->thread.worker.node->registry, l->now_ms);
    loop_alarm(l, &s->tick, l->now_ms + TICK_MS);
}

bool service_open(struct service *s, struct node *n, struct err *e)
{
    if (!worker_init(&s->thread, n, n->worker_count, NULL, NULL, e))
        return false;
    s->tick = (struct alarm){.fn = tick, .ctx = s};
    return true;
}

bool service_start(struct service *s, struct err *e)
{
    struct loop *l = service_loop(s);
    loop_alarm(l, &s->tick, l->now_ms + TICK_MS);
    return worker_start(&s->thread, e);
}

void service_stop(struct service *s)
{
    worker_stop(&s->thread);
}
