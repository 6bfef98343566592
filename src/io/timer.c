#include "io/timer.h"

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms)
{
    memset(w, 0, sizeof *w);
    w->tick = now_ms / TIMER_TICK_MS;
}

static void link_in(struct timer_wheel *w, struct timer *t)
{
    int64_t tick = t->due_ms / TIMER_TICK_MS + 1;
    if (tick <= w->tick)
        tick = w->tick + 1;
    if (tick > w->tick + TIMER_SLOTS - 1)
        tick = w->tick + TIMER_SLOTS - 1; /* looked at then, and put further on */
    struct timer **slot = &w->slots[(uint64_t)tick % TIMER_SLOTS];
    t->next = *slot;
    if (t->next)
        t->next->back = &t->next;
    t->back = slot;
    *slot = t;
    w->count++;
}

static void unlink_from(struct timer_wheel *w, struct timer *t)
{
    *t->back = t->next;
    if (t->next)
        t->next->back = t->back;
    t->back = NULL;
    t->next = NULL;
    w->count--;
}

void timer_set(struct timer_wheel *w, struct timer *t, int64_t due_ms)
{
    bool later = timer_is_set(t) && due_ms >= t->due_ms;
    t->due_ms = due_ms;
    if (later)
        return;
    if (timer_is_set(t))
        unlink_from(w, t);
    link_in(w, t);
}

void timer_stop(struct timer_wheel *w, struct timer *t)
{
    if (timer_is_set(t))
        unlink_from(w, t);
}

bool timer_run(struct timer_wheel *w, int64_t now_ms, void (*fire)(void *, struct timer *),
               void *ctx)
{
    int64_t last = now_ms / TIMER_TICK_MS;
    int left = TIMER_BURST;
    if (last - w->tick > TIMER_SLOTS)
        w->tick = last - TIMER_SLOTS; /* one full round sees every slot */
    while (w->tick < last) {
        struct timer **slot = &w->slots[(uint64_t)(w->tick + 1) % TIMER_SLOTS];
        while (*slot && left > 0) {
            struct timer *t = *slot;
            unlink_from(w, t);
            if (t->due_ms <= now_ms) {
                left--;
                fire(ctx, t);
            } else {
                link_in(w, t); /* moved since: its place is another slot, behind `last` */
            }
        }
        if (*slot)
            return true;
        w->tick++;
    }
    return false;
}

int timer_wait_ms(const struct timer_wheel *w, int64_t now_ms, int max_ms)
{
    if (w->count == 0)
        return max_ms;
    for (int i = 1; i < TIMER_SLOTS; i++) {
        int64_t at = (w->tick + i) * TIMER_TICK_MS;
        if (at - now_ms >= max_ms)
            return max_ms;
        if (w->slots[(uint64_t)(w->tick + i) % TIMER_SLOTS])
            return at > now_ms ? (int)(at - now_ms) : 0;
    }
    return max_ms;
}
