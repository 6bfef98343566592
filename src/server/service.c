#include "server/service.h"

#include <stdlib.h>

enum { TICK_MS = 250 };

static void on_ready(void *ctx, uint64_t key, uint32_t events)
{
    (void)ctx;
    (void)key;
    (void)events;
}

static bool nothing_left(void *ctx)
{
    (void)ctx;
    return false;
}

static void on_timer(void *ctx, struct timer *t)
{
    struct service *s = ctx;
    registry_tick(s->registry, s->loop.now_ms);
    timer_set(&s->loop.timers, t, s->loop.now_ms + TICK_MS);
}

static const struct loop_owner owner = {
    .ready = on_ready,
    .again = nothing_left,
    .timer = on_timer,
    .flush = nothing_left,
};

static void *run(void *arg)
{
    loop_run(&((struct service *)arg)->loop);
    return NULL;
}

bool service_start(struct service *s, struct registry *r, struct err *e)
{
    memset(s, 0, sizeof *s);
    s->registry = r;
    if (!loop_init(&s->loop, &owner, s, NULL, NULL, e))
        return false;
    timer_set(&s->loop.timers, &s->tick, s->loop.now_ms + TICK_MS);
    int rc = pthread_create(&s->thread, NULL, run, s);
    if (rc != 0) {
        loop_finish(&s->loop);
        return err_set(e, ERR_SYSTEM, "cannot start the service thread: %s", strerror(rc));
    }
    s->is_started = true;
    return true;
}

static void stop_now(void *ctx, struct mail *m)
{
    ((struct service *)ctx)->loop.stop = true;
    free(m);
}

void service_stop(struct service *s)
{
    if (!s->is_started)
        return;
    struct mail *m = mem_zero(sizeof *m);
    m->run = stop_now;
    loop_post(NULL, &s->loop, m);
    pthread_join(s->thread, NULL);
    loop_finish(&s->loop);
    s->is_started = false;
}
