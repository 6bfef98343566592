/* io/timer.h - coarse timer wheel: thousands of deadlines, each cheap to move.
 *
 * Nature   one thread; time is passed in
 * Limits   resolution TIMER_TICK_MS; a timer fires at its deadline or up to two ticks later;
 *          at most TIMER_BURST fire in one call (security R5), the rest in the next
 */
#ifndef IO_TIMER_H
#define IO_TIMER_H

#include "base/base.h"
#include "base/limits.h"

enum { TIMER_TICK_MS = 50, TIMER_SLOTS = 1024 };

struct timer { /* lies in its owner; all zero: not set */
    struct timer *next, **back;
    int64_t due_ms;
};
struct timer_wheel {
    int64_t tick;
    struct timer *slots[TIMER_SLOTS];
    uint32_t count;
};

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms);
/* Sets or moves. A later deadline only stores it; the timer is looked at on its old place first. */
void timer_set(struct timer_wheel *w, struct timer *t, int64_t due_ms);
void timer_stop(struct timer_wheel *w, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return t->back != NULL;
}
/* Calls fire for each timer that is due, already stopped. True if some were left for next time. */
bool timer_run(struct timer_wheel *w, int64_t now_ms, void (*fire)(void *ctx, struct timer *t),
               void *ctx);
/* Milliseconds until the next tick that holds a timer, at most max_ms. */
int timer_wait_ms(const struct timer_wheel *w, int64_t now_ms, int max_ms);

#endif
