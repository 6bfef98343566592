#include "channel/deadline.h"

#include <stdlib.h>

void deadlines_init(struct deadlines *d, int64_t now_ms)
{
    *d = (struct deadlines){.tick = now_ms / DEADLINE_SLOT_MS};
    pthread_mutex_init(&d->lock, NULL);
}

void deadlines_finish(struct deadlines *d)
{
    for (size_t i = 0; i < DEADLINE_SLOTS; i++)
        while (d->slots[i]) {
            struct deadline *gone = d->slots[i];
            d->slots[i] = gone->next;
            free(gone);
        }
    pthread_mutex_destroy(&d->lock);
}

/* What is further off than the wheel goes round stops at its far end and is put on again. */
static void put(struct deadlines *d, struct deadline *x)
{
    int64_t tick = (x->due_ms + DEADLINE_SLOT_MS - 1) / DEADLINE_SLOT_MS;
    if (tick <= d->tick)
        tick = d->tick + 1;
    if (tick >= d->tick + DEADLINE_SLOTS)
        tick = d->tick + DEADLINE_SLOTS - 1;
    struct deadline **slot = &d->slots[(uint64_t)tick % DEADLINE_SLOTS];
    x->next = *slot;
    *slot = x;
}

void deadlines_add(struct deadlines *d, str app, str name, int64_t due_ms)
{
    struct deadline *x = mem_alloc(sizeof *x + app.n + name.n);
    x->due_ms = due_ms;
    x->app_n = (uint32_t)app.n;
    x->name_n = (uint32_t)name.n;
    memcpy(x->text, app.p, app.n);
    memcpy(x->text + app.n, name.p, name.n);
    pthread_mutex_lock(&d->lock);
    put(d, x);
    pthread_mutex_unlock(&d->lock);
}

static void slot_take(struct deadlines *d, int64_t tick, int64_t now_ms, struct deadline **ripe)
{
    struct deadline *list = d->slots[(uint64_t)tick % DEADLINE_SLOTS];
    d->slots[(uint64_t)tick % DEADLINE_SLOTS] = NULL;
    while (list) {
        struct deadline *x = list;
        list = x->next;
        if (x->due_ms > now_ms) {
            put(d, x);
            continue;
        }
        x->next = *ripe;
        *ripe = x;
    }
}

struct deadline *deadlines_take(struct deadlines *d, int64_t now_ms)
{
    struct deadline *ripe = NULL;
    pthread_mutex_lock(&d->lock);
    int64_t last = now_ms == INT64_MAX ? d->tick + DEADLINE_SLOTS - 1 : now_ms / DEADLINE_SLOT_MS;
    if (last - d->tick > DEADLINE_SLOTS)
        d->tick = last - DEADLINE_SLOTS;
    while (d->tick < last) {
        d->tick++;
        slot_take(d, d->tick, now_ms, &ripe);
    }
    pthread_mutex_unlock(&d->lock);
    return ripe;
}
