#include "app/app_live.h"

#include <stdlib.h>

#include "base/hash.h"

void app_lives_init(struct app_lives *l)
{
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
}

void app_lives_finish(struct app_lives *l)
{
    for (size_t i = 0; i < COUNT_OF(l->buckets); i++)
        for (struct app_live *a = l->buckets[i], *next; a; a = next) {
            next = a->next;
            trace_finish(&a->trace);
            free(a);
        }
    pthread_mutex_destroy(&l->lock);
}

struct app_live *app_live_get(struct app_lives *l, str id)
{
    struct app_live **bucket = &l->buckets[hash_bytes(id) % COUNT_OF(l->buckets)];
    pthread_mutex_lock(&l->lock);
    struct app_live *a = *bucket;
    while (a && !str_eq(str_of(a->id, a->id_n), id))
        a = a->next;
    if (!a) {
        a = mem_zero(sizeof *a + id.n);
        trace_init(&a->trace);
        a->id_n = id.n;
        memcpy(a->id, id.p, id.n);
        a->next = *bucket;
        *bucket = a;
    }
    pthread_mutex_unlock(&l->lock);
    return a;
}

bool quota_take(_Atomic int64_t *count, int64_t max)
{
    if (atomic_fetch_add(count, 1) < max || max <= 0)
        return true;
    atomic_fetch_sub(count, 1);
    return false;
}

void quota_give(_Atomic int64_t *count)
{
    atomic_fetch_sub(count, 1);
}
