/* base/waiting.h - the calls of a driver family that wait for their answer.
 *
 * Nature   any thread; the lock is a leaf
 */
#ifndef BASE_WAITING_H
#define BASE_WAITING_H

#include <pthread.h>

#include "base/base.h"

struct waiting_list;
struct waiter { /* first member of a family's call */
    struct waiting_list *list;
    struct waiter *next, **prev;
};
struct waiting_list {
    pthread_mutex_t lock;
    struct waiter *first; /* the newest */
};

void waiting_init(struct waiting_list *l);
void waiting_finish(struct waiting_list *l); /* nobody waits any more */
/* A copy of the call of n bytes, in the list. */
void *waiting_keep(struct waiting_list *l, const void *call, size_t n);
/* Takes a kept call out; it is the caller's to free(). */
void waiting_end(struct waiter *w);
/* One that waits, still in the list, or NULL. */
struct waiter *waiting_any(struct waiting_list *l);

#endif
