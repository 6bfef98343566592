/* channel/deadline.h - when a channel is to be looked at again: names by time, in slots of a
 * quarter of a second.
 *
 * Nature   any thread adds (a leaf lock); the service thread takes. A deadline names a channel and
 *          nothing else: who takes it looks at what the record says then
 * Limits   resolution DEADLINE_SLOT_MS
 */
#ifndef CHANNEL_DEADLINE_H
#define CHANNEL_DEADLINE_H

#include <pthread.h>

#include "base/base.h"

enum { DEADLINE_SLOT_MS = 250, DEADLINE_SLOTS = 64 };

struct deadline {
    struct deadline *next;
    int64_t due_ms;
    uint32_t app_n, name_n;
    char text[];
};
struct deadlines {
    pthread_mutex_t lock;
    struct deadline *slots[DEADLINE_SLOTS];
    int64_t tick; /* slots up to here have been taken */
};

/* now_ms: nothing is due before it. */
void deadlines_init(struct deadlines *d, int64_t now_ms);
void deadlines_finish(struct deadlines *d);
void deadlines_add(struct deadlines *d, str app, str name, int64_t due_ms);
/* Those that are due, to be freed one by one; all there are with now_ms INT64_MAX. */
struct deadline *deadlines_take(struct deadlines *d, int64_t now_ms);
static inline str deadline_app(const struct deadline *d)
{
    return str_of(d->text, d->app_n);
}
static inline str deadline_name(const struct deadline *d)
{
    return str_of(d->text + d->app_n, d->name_n);
}

#endif
