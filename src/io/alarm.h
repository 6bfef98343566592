/* io/alarm.h - deadlines to the millisecond with a function each, for what is no connection.
 *
 * Nature   one thread; time is passed in. A heap: hundreds of them, where io/timer.h is for tens of
 *          thousands that are moved more often than they fire
 */
#ifndef IO_ALARM_H
#define IO_ALARM_H

#include "base/base.h"

struct alarm { /* lies in its user's memory; all zero but fn and ctx: not set */
    void (*fn)(void *ctx);
    void *ctx;
    int64_t due_ms;
    uint32_t place; /* in the heap, from 1; 0: not set */
};
struct alarms {
    struct alarm **v; /* v[0] is not used */
    uint32_t n, cap;
};

void alarms_finish(struct alarms *h);
/* Sets or moves. */
void alarm_set(struct alarms *h, struct alarm *a, int64_t due_ms);
void alarm_stop(struct alarms *h, struct alarm *a);
/* Runs those that are due, each already stopped; what they set anew waits for the next call. */
void alarms_run(struct alarms *h, int64_t now_ms);
/* Milliseconds until the earliest, at most max_ms. */
int alarms_wait_ms(const struct alarms *h, int64_t now_ms, int max_ms);

#endif
