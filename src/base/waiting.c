#include "base/waiting.h"

void waiting_init(struct waiting_list *l)
{
    l->first = NULL;
    pthread_mutex_init(&l->lock, NULL);
}

void waiting_finish(struct waiting_list *l)
{
    CHECK(!l->first);
    pthread_mutex_destroy(&l->lock);
}

void *waiting_keep(struct waiting_list *l, const void *call, size_t n)
{
    struct waiter *w = mem_alloc(n);
    memcpy(w, call, n);
    w->list = l;
    pthread_mutex_lock(&l->lock);
    w->next = l->first;
    w->prev = &l->first;
    if (w->next)
        w->next->prev = &w->next;
    l->first = w;
    pthread_mutex_unlock(&l->lock);
    return w;
}

void waiting_end(struct waiter *w)
{
    struct waiting_list *l = w->list;
    pthread_mutex_lock(&l->lock);
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    pthread_mutex_unlock(&l->lock);
}

struct waiter *waiting_any(struct waiting_list *l)
{
    pthread_mutex_lock(&l->lock);
    struct waiter *w = l->first;
    pthread_mutex_unlock(&l->lock);
    return w;
}
