/* io/mailbox.h - how threads speak: many producers, one consumer, in order of arrival.
 *
 * Nature   mailbox_push and mailbox_wake on any thread; the rest on the owner's
 * Limits   soft: MAILBOX_SOFT_COUNT entries or MAILBOX_SOFT_BYTES (design §5); nothing is refused
 *          here, callers ask mailbox_is_full before they begin work
 * Order    what one thread pushes keeps its order; so does what several push under one lock
 */
#ifndef IO_MAILBOX_H
#define IO_MAILBOX_H

#include <stdatomic.h>

#include "base/base.h"

enum { MAILBOX_SOFT_COUNT = 64 * 1024, MAILBOX_SOFT_BYTES = 64 * 1024 * 1024 };

struct mail;
/* Runs on the owner's thread and owns m from then on. */
typedef void mail_fn(void *owner, struct mail *m);
struct mail { /* first member of what is posted; allocated with mem_alloc */
    struct mail *next;
    mail_fn *run;
    uint32_t bytes; /* what it weighs against the soft limit */
};

struct mailbox {
    _Atomic(struct mail *) head; /* newest first; turned round by mailbox_take */
    _Atomic uint32_t count;
    _Atomic uint64_t bytes;
    _Atomic bool sleeping; /* the owner is, or is about to be, in epoll_wait */
    int fd;                /* eventfd */
};

NODISCARD bool mailbox_init(struct mailbox *mb, struct err *e);
/* Drops what still lies there unread: the owner has run everything before. */
void mailbox_finish(struct mailbox *mb);
void mailbox_push(struct mailbox *mb, struct mail *m);
/* Writes the eventfd if the owner sleeps. */
void mailbox_wake(struct mailbox *mb);
/* All that lies there, oldest first, or NULL. */
struct mail *mailbox_take(struct mailbox *mb);
/* The owner has run m: takes its weight off. */
void mailbox_done(struct mailbox *mb, uint32_t bytes);
/* May be stale by the time it returns. */
bool mailbox_is_full(const struct mailbox *mb);
/* The owner goes to sleep: true if nothing lies there. */
bool mailbox_sleep(struct mailbox *mb);
void mailbox_awake(struct mailbox *mb);

#endif
