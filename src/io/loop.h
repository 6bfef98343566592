/* io/loop.h - the event loop of every thread: turns of mailbox, sockets, mailbox, timers, flush.
 *
 * Nature   one thread, but for loop_post from another
 * Turn     epoll_wait, mailbox, sockets, mailbox, timers, flush (design §2): what was posted before
 *          the turn comes before what sockets bring, what they post to ourselves leaves in the
 *          same turn
 * Limits   a mailbox step ends after MAILBOX_STEP_MS between two messages; the rest comes first
 *          next time
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "io/alarm.h"
#include "io/mailbox.h"
#include "io/timer.h"

enum { MAILBOX_STEP_MS = 5, LOOP_MAX_WAIT_MS = 1000, LOOP_EVENTS = 512, LOOP_WATCHES = 65536 };

struct loop;
/* What the owner of a loop does; every slot is mandatory. */
struct loop_owner {
    void (*ready)(void *ctx, uint64_t key, uint32_t epoll_events);
    bool (*again)(void *ctx); /* sockets left over from the last turn; true: there is still more */
    void (*timer)(void *ctx, struct timer *t);
    bool (*flush)(void *ctx); /* true: not everything was tried, come back at once */
};
struct loop_watch { /* a descriptor with a function of its own */
    void (*fn)(void *ctx, uint32_t epoll_events);
    void *ctx;
    uint32_t generation;
};
struct loop {
    int epoll_fd;
    int64_t now_ms; /* monotonic; read once a turn */
    int64_t (*clock)(void *ctx);
    void *clock_ctx;
    struct mailbox mailbox;
    struct mail *backlog; /* taken but not yet run, oldest first */
    struct mail **backlog_end;
    struct timer_wheel timers; /* of the owner */
    struct alarms alarms;
    const struct loop_owner *owner;
    void *ctx;
    struct mailbox **wake; /* posted to in this turn, not yet woken */
    uint32_t wake_count, wake_cap;
    bool busy; /* something was left over: do not sleep */
    bool stop;
    struct loop_watch *watches;
    uint32_t watch_count, watch_cap;
};

int64_t loop_clock_monotonic(void *unused);
/* Fills `l`; clock NULL means monotonic. */
NODISCARD bool loop_init(struct loop *l, const struct loop_owner *owner, void *ctx,
                         int64_t (*clock)(void *), void *clock_ctx, struct err *e);
void loop_finish(struct loop *l);
/* One turn; waits at most max_wait_ms for something to happen. */
void loop_turn(struct loop *l, int max_wait_ms);

/* Sockets of the owner: `key` comes back in owner->ready. Keys have the top bit clear. */
NODISCARD bool loop_add(struct loop *l, int fd, uint32_t epoll_events, uint64_t key, struct err *e);
void loop_change(struct loop *l, int fd, uint32_t epoll_events, uint64_t key);
void loop_remove(struct loop *l, int fd);
/* A descriptor with a function of its own: listeners, and those of libraries. *key_out serves
 * loop_rewatch and loop_unwatch; events that were read already are not reported after an unwatch.
 */
NODISCARD bool loop_watch(struct loop *l, int fd, uint32_t epoll_events,
                          void (*fn)(void *ctx, uint32_t epoll_events), void *ctx,
                          uint64_t *key_out, struct err *e);
void loop_rewatch(struct loop *l, int fd, uint32_t epoll_events, uint64_t key);
void loop_unwatch(struct loop *l, int fd, uint64_t key);

/* Sets or moves a deadline: a->fn runs once, in the timer step of a turn. alarm_stop ends it. */
static inline void loop_alarm(struct loop *l, struct alarm *a, int64_t due_ms)
{
    alarm_set(&l->alarms, a, due_ms);
}

/* Posts to another loop or to ourselves from a turn of `from`: the target is woken once, before
 * the flush. from NULL: from a thread without a loop, woken at once. */
void loop_post(struct loop *from, struct loop *to, struct mail *m);

#endif
