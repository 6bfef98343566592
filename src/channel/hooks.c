#include "channel/hooks.h"

#include <stdlib.h>

#include "base/hash.h"

struct hooks *hooks_create(void)
{
    return mem_zero(sizeof(struct hooks));
}

void hooks_destroy(struct hooks *h)
{
    for (struct hooks_leaver *l = h->first, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    free(h->buckets);
    free(h);
}

bool hooks_are_idle(const struct hooks *h)
{
    return !h->occupied && h->leaver_count == 0 && h->count_due_ms == 0;
}

bool hooks_begin(struct hooks *h)
{
    bool is_news = !h->occupied;
    h->occupied = true;
    h->vacate_ms = 0;
    return is_news;
}

int64_t hooks_begin_failed(struct hooks *h, int64_t now_ms)
{
    h->occupied = false;
    return hooks_retell(h, now_ms + HOOKS_RETELL_MS);
}

int64_t hooks_retell(struct hooks *h, int64_t due_ms)
{
    if (h->retell_ms == 0)
        h->retell_ms = due_ms;
    return h->retell_ms;
}

bool hooks_retell_is_due(struct hooks *h, int64_t now_ms)
{
    if (h->retell_ms == 0 || h->retell_ms > now_ms)
        return false;
    h->retell_ms = 0;
    return true;
}

int64_t hooks_empty(struct hooks *h, int64_t now_ms)
{
    h->vacate_ms = h->occupied ? now_ms + HOOKS_GRACE_MS : 0;
    return h->vacate_ms;
}

bool hooks_vacate(struct hooks *h, int64_t now_ms)
{
    if (h->vacate_ms == 0 || h->vacate_ms > now_ms || h->leaver_count > 0)
        return false;
    h->vacate_ms = 0;
    h->occupied = false;
    return true;
}

/* ---- users ---- */

static void buckets_grow(struct hooks *h)
{
    uint32_t n = h->bucket_count ? h->bucket_count * 2 : 4;
    struct hooks_leaver **b = mem_zero(n * sizeof *b);
    for (struct hooks_leaver *l = h->first; l; l = l->next) {
        l->chain = b[l->hash & (n - 1)];
        b[l->hash & (n - 1)] = l;
    }
    free(h->buckets);
    h->buckets = b;
    h->bucket_count = n;
}

int64_t hooks_user_left(struct hooks *h, str user_id, int64_t now_ms)
{
    struct hooks_leaver *l = mem_alloc(sizeof *l + user_id.n);
    *l = (struct hooks_leaver){
        .due_ms = now_ms + HOOKS_GRACE_MS, .hash = hash_bytes(user_id), .n = (uint32_t)user_id.n};
    memcpy(l->id, user_id.p, user_id.n);
    if (h->leaver_count++ >= h->bucket_count)
        buckets_grow(h);
    struct hooks_leaver **bucket = &h->buckets[l->hash & (h->bucket_count - 1)];
    l->chain = *bucket;
    *bucket = l;
    l->prev = h->last;
    *(h->last ? &h->last->next : &h->first) = l;
    h->last = l;
    return l->due_ms;
}

static struct hooks_leaver **leaver_find(struct hooks *h, str user_id)
{
    uint64_t hash = hash_bytes(user_id);
    if (h->leaver_count == 0)
        return NULL;
    struct hooks_leaver **at = &h->buckets[hash & (h->bucket_count - 1)];
    while (*at && !((*at)->hash == hash && str_eq(str_of((*at)->id, (*at)->n), user_id)))
        at = &(*at)->chain;
    return *at ? at : NULL;
}

/* Takes the leaver to whom *at points out of his bucket and the list. */
static struct hooks_leaver *leaver_take(struct hooks *h, struct hooks_leaver **at)
{
    struct hooks_leaver *l = *at;
    *at = l->chain;
    *(l->prev ? &l->prev->next : &h->first) = l->next;
    *(l->next ? &l->next->prev : &h->last) = l->prev;
    h->leaver_count--;
    return l;
}

bool hooks_user_came(struct hooks *h, str user_id)
{
    struct hooks_leaver **at = leaver_find(h, user_id);
    if (!at)
        return true;
    free(leaver_take(h, at));
    return false;
}

struct hooks_leaver *hooks_user_gone(struct hooks *h, int64_t now_ms)
{
    struct hooks_leaver *l = h->first;
    if (!l || l->due_ms > now_ms)
        return NULL;
    struct hooks_leaver **at = &h->buckets[l->hash & (h->bucket_count - 1)];
    while (*at != l)
        at = &(*at)->chain;
    return leaver_take(h, at);
}

/* ---- counts ---- */

int64_t hooks_count(struct hooks *h, uint32_t count, int64_t now_ms)
{
    if (count == h->counted)
        return -1;
    int64_t next_ms = h->counted_ms + HOOKS_COUNT_SLOW_MS;
    if (count > HOOKS_COUNT_SLOW_ABOVE && h->counted_ms && now_ms < next_ms) {
        if (h->count_due_ms)
            return -1;
        h->count_due_ms = next_ms;
        return next_ms;
    }
    h->counted = count;
    h->counted_ms = now_ms;
    return 0;
}

int64_t hooks_count_failed(struct hooks *h, uint32_t before, int64_t now_ms)
{
    h->counted = before;
    h->count_due_ms = now_ms + HOOKS_COUNT_SLOW_MS;
    return h->count_due_ms;
}

/* A count of 100 or less is told at once, and moves counted_ms, while the deadline stays. */
bool hooks_count_is_due(struct hooks *h, int64_t now_ms)
{
    if (h->count_due_ms == 0 || h->count_due_ms > now_ms)
        return false;
    h->count_due_ms = 0;
    return true;
}

/* ---- deadlines ---- */

bool hooks_look(struct hooks *h, int64_t due_ms)
{
    if (h->look_ms && h->look_ms <= due_ms)
        return false;
    h->look_ms = due_ms;
    return true;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms == 0 || (b_ms && b_ms < a_ms) ? b_ms : a_ms;
}

int64_t hooks_looked(struct hooks *h, int64_t now_ms)
{
    if (h->look_ms > now_ms)
        return 0; /* it is set already */
    int64_t leaver_ms = h->first ? h->first->due_ms : 0;
    h->look_ms = earlier(earlier(h->count_due_ms, h->vacate_ms), earlier(h->retell_ms, leaver_ms));
    return h->look_ms;
}
