#include "io/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static const uint64_t WATCH_BIT = (uint64_t)1 << 63;
static const uint64_t MAILBOX_KEY = UINT64_MAX;

int64_t loop_clock_monotonic(void *unused)
{
    (void)unused;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool poll_add(struct loop *l, int fd, uint32_t events, uint64_t key, struct err *e)
{
    struct epoll_event ev = {.events = events, .data.u64 = key};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_set(e, ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    return true;
}

bool loop_init(struct loop *l, const struct loop_owner *owner, void *ctx, int64_t (*clock)(void *),
               void *clock_ctx, struct err *e)
{
    memset(l, 0, sizeof *l);
    l->owner = owner;
    l->ctx = ctx;
    l->clock = clock ? clock : loop_clock_monotonic;
    l->clock_ctx = clock_ctx;
    l->now_ms = l->clock(l->clock_ctx);
    l->backlog_end = &l->backlog;
    timer_wheel_init(&l->timers, l->now_ms);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0)
        return err_set(e, ERR_SYSTEM, "epoll_create1: %s", strerror(errno));
    if (!mailbox_init(&l->mailbox, e))
        goto undo_epoll;
    if (!poll_add(l, l->mailbox.fd, EPOLLIN, MAILBOX_KEY, e))
        goto undo_mailbox;
    return true;

undo_mailbox:
    mailbox_finish(&l->mailbox);
undo_epoll:
    close(l->epoll_fd);
    l->epoll_fd = -1;
    return false;
}

static void backlog_take(struct loop *l)
{
    *l->backlog_end = mailbox_take(&l->mailbox);
    while (*l->backlog_end)
        l->backlog_end = &(*l->backlog_end)->next;
}

static void mail_run(struct loop *l, struct mail *m)
{
    uint32_t bytes = m->bytes;
    m->run(l->ctx, m);
    mailbox_done(&l->mailbox, bytes);
}

void loop_finish(struct loop *l)
{
    backlog_take(l);
    while (l->backlog) {
        struct mail *m = l->backlog;
        l->backlog = m->next;
        mail_run(l, m);
    }
    l->backlog_end = &l->backlog;
    mailbox_finish(&l->mailbox);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    l->epoll_fd = -1;
    free(l->wake);
    l->wake = NULL;
    free(l->watches);
    l->watches = NULL;
    alarms_finish(&l->alarms);
}

static void mailbox_step(struct loop *l)
{
    backlog_take(l);
    int64_t begin = 0;
    for (uint32_t n = 0; l->backlog; n++) {
        if (n % 64 == 63) { /* a clock look costs as much as a message */
            int64_t now = l->clock(l->clock_ctx);
            if (begin == 0)
                begin = now;
            else if (now - begin >= MAILBOX_STEP_MS) {
                l->busy = true;
                return;
            }
        }
        struct mail *m = l->backlog;
        l->backlog = m->next;
        if (!l->backlog)
            l->backlog_end = &l->backlog;
        mail_run(l, m);
    }
}

static void wake_targets(struct loop *l)
{
    for (uint32_t i = 0; i < l->wake_count; i++)
        if (l->wake[i] != &l->mailbox)
            mailbox_wake(l->wake[i]);
    l->wake_count = 0;
}

static void mailbox_drain_fd(struct loop *l)
{
    uint64_t n;
    ssize_t got = read(l->mailbox.fd, &n, sizeof n);
    (void)got; /* EAGAIN is fine: it was only a wake-up */
}

static void watch_run(struct loop *l, uint64_t key, uint32_t events)
{
    const struct loop_watch *w = &l->watches[key & (LOOP_WATCHES - 1)];
    if (w->fn && w->generation == (uint32_t)(key >> 32 & 0x7fffffff))
        w->fn(w->ctx, events);
}

static void dispatch(struct loop *l, const struct epoll_event *ev)
{
    uint64_t key = ev->data.u64;
    if (key == MAILBOX_KEY)
        mailbox_drain_fd(l);
    else if (key & WATCH_BIT)
        watch_run(l, key, ev->events);
    else
        l->owner->ready(l->ctx, key, ev->events);
}

static int wait_for(struct loop *l, struct epoll_event *events, int max_wait_ms)
{
    int wait = 0;
    if (!l->busy && !l->backlog && max_wait_ms > 0 && mailbox_sleep(&l->mailbox))
        wait = alarms_wait_ms(&l->alarms, l->now_ms,
                              timer_wait_ms(&l->timers, l->now_ms, max_wait_ms));
    int n = epoll_wait(l->epoll_fd, events, LOOP_EVENTS, wait);
    mailbox_awake(&l->mailbox);
    l->now_ms = l->clock(l->clock_ctx);
    l->busy = n == LOOP_EVENTS;
    return n;
}

void loop_turn(struct loop *l, int max_wait_ms)
{
    struct epoll_event events[LOOP_EVENTS];
    int n = wait_for(l, events, max_wait_ms);
    mailbox_step(l);
    for (int i = 0; i < n; i++)
        dispatch(l, &events[i]);
    if (l->owner->again(l->ctx))
        l->busy = true;
    mailbox_step(l);
    if (timer_run(&l->timers, l->now_ms, l->owner->timer, l->ctx))
        l->busy = true;
    alarms_run(&l->alarms, l->now_ms);
    wake_targets(l);
    if (l->owner->flush(l->ctx))
        l->busy = true;
    wake_targets(l);
}

bool loop_add(struct loop *l, int fd, uint32_t events, uint64_t key, struct err *e)
{
    CHECK(!(key & WATCH_BIT));
    return poll_add(l, fd, events, key, e);
}

void loop_change(struct loop *l, int fd, uint32_t events, uint64_t key)
{
    struct epoll_event ev = {.events = events, .data.u64 = key};
    epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev);
}

void loop_remove(struct loop *l, int fd)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static uint32_t watch_slot(struct loop *l)
{
    for (uint32_t i = 0; i < l->watch_count; i++)
        if (!l->watches[i].fn)
            return i;
    CHECK(l->watch_count < LOOP_WATCHES);
    if (l->watch_count == l->watch_cap) {
        l->watch_cap = l->watch_cap ? l->watch_cap * 2 : 8;
        l->watches = mem_resize(l->watches, l->watch_cap * sizeof *l->watches);
    }
    l->watches[l->watch_count].generation = 0;
    return l->watch_count++;
}

bool loop_watch(struct loop *l, int fd, uint32_t events, void (*fn)(void *, uint32_t), void *ctx,
                uint64_t *key_out, struct err *e)
{
    uint32_t i = watch_slot(l);
    struct loop_watch *w = &l->watches[i];
    w->fn = NULL;
    w->generation = (w->generation + 1) & 0x3fffffff;
    *key_out = WATCH_BIT | (uint64_t)w->generation << 32 | i;
    if (!poll_add(l, fd, events, *key_out, e))
        return false;
    w->fn = fn;
    w->ctx = ctx;
    return true;
}

void loop_rewatch(struct loop *l, int fd, uint32_t events, uint64_t key)
{
    loop_change(l, fd, events, key);
}

void loop_unwatch(struct loop *l, int fd, uint64_t key)
{
    loop_remove(l, fd);
    l->watches[key & (LOOP_WATCHES - 1)].fn = NULL;
}

void loop_post(struct loop *from, struct loop *to, struct mail *m)
{
    mailbox_push(&to->mailbox, m);
    if (!from) {
        mailbox_wake(&to->mailbox);
        return;
    }
    for (uint32_t i = 0; i < from->wake_count; i++)
        if (from->wake[i] == &to->mailbox)
            return;
    if (from->wake_count == from->wake_cap) {
        from->wake_cap = from->wake_cap ? from->wake_cap * 2 : 8;
        from->wake = mem_resize(from->wake, from->wake_cap * sizeof *from->wake);
    }
    from->wake[from->wake_count++] = &to->mailbox;
}
