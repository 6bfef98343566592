#include "io/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool mailbox_init(struct mailbox *mb, struct err *e)
{
    memset(mb, 0, sizeof *mb);
    mb->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mb->fd < 0)
        return err_set(e, ERR_SYSTEM, "eventfd: %s", strerror(errno));
    return true;
}

void mailbox_finish(struct mailbox *mb)
{
    for (struct mail *m = mailbox_take(mb), *next; m; m = next) {
        next = m->next;
        free(m);
    }
    if (mb->fd >= 0)
        close(mb->fd);
    mb->fd = -1;
}

void mailbox_push(struct mailbox *mb, struct mail *m)
{
    atomic_fetch_add_explicit(&mb->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&mb->bytes, m->bytes, memory_order_relaxed);
    struct mail *head = atomic_load_explicit(&mb->head, memory_order_relaxed);
    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&mb->head, &head, m, memory_order_seq_cst,
                                                  memory_order_relaxed));
}

void mailbox_wake(struct mailbox *mb)
{
    /* Pairs with mailbox_sleep: either we see `sleeping`, or the owner sees our entry. */
    if (!atomic_load(&mb->sleeping) || !atomic_exchange(&mb->sleeping, false))
        return;
    uint64_t one = 1;
    ssize_t n = write(mb->fd, &one, sizeof one);
    (void)n; /* EAGAIN: the counter is full, so the owner wakes anyway */
}

struct mail *mailbox_take(struct mailbox *mb)
{
    struct mail *newest = atomic_exchange_explicit(&mb->head, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (newest) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void mailbox_done(struct mailbox *mb, uint32_t bytes)
{
    atomic_fetch_sub_explicit(&mb->count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&mb->bytes, bytes, memory_order_relaxed);
}

bool mailbox_is_full(const struct mailbox *mb)
{
    return atomic_load_explicit(&mb->count, memory_order_relaxed) >= MAILBOX_SOFT_COUNT ||
           atomic_load_explicit(&mb->bytes, memory_order_relaxed) >= MAILBOX_SOFT_BYTES;
}

bool mailbox_sleep(struct mailbox *mb)
{
    atomic_store(&mb->sleeping, true);
    if (!atomic_load(&mb->head))
        return true;
    atomic_store(&mb->sleeping, false);
    return false;
}

void mailbox_awake(struct mailbox *mb)
{
    atomic_store_explicit(&mb->sleeping, false, memory_order_relaxed);
}
