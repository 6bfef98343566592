/* rate_limiter/memory.c - counts in this process.
 *
 * Clients are spread over shards by a hash that nobody outside can aim, each shard a leaf mutex
 * around a hash table whose entries are also in a list by last use. Entries whose windows are over
 * go from the old end of that list, two with every request. A shard that is full of entries that
 * still count gives new clients no entry: they share one with others whose hash is alike, so that a
 * flood of addresses costs neither memory nor the limit.
 * Source: http-api.md §12.1; drivers.md §9.12
 */
#include "rate_limiter/driver.h"

#include "base/hash.h"
#include "base/limits.h"

#include <stdlib.h>

enum { SHARDS = 16, FIRST_BUCKETS = 64, SHARED_WINDOWS = 1024 };

struct entry {
    struct entry *chain;         /* same bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    struct rate_window window;
    uint8_t key_n;
    char key[];
};

struct shard {
    pthread_mutex_t lock; /* leaf; everything below */
    struct entry **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t count;
    struct entry *newest, *oldest;
    struct rate_window *shared; /* SHARED_WINDOWS, made when first needed */
};

struct memory {
    struct rate_limiter base;
    uint32_t shard_entries;
    struct shard shards[SHARDS];
};

static struct entry **bucket_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[hash & (s->bucket_count - 1)];
}

static void list_drop(struct shard *s, struct entry *x)
{
    *(x->newer ? &x->newer->older : &s->newest) = x->older;
    *(x->older ? &x->older->newer : &s->oldest) = x->newer;
}

static void list_front(struct shard *s, struct entry *x)
{
    x->newer = NULL;
    x->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = x;
    s->newest = x;
}

static void drop(struct shard *s, struct entry *x)
{
    struct entry **at = bucket_of(s, x->hash);
    while (*at != x)
        at = &(*at)->chain;
    *at = x->chain;
    list_drop(s, x);
    s->count--;
    free(x);
}

static void drop_over(struct shard *s, const struct rate_limit *limit, int64_t now_ms)
{
    for (int i = 0; i < 2; i++)
        if (s->oldest && rate_window_is_over(&s->oldest->window, limit, now_ms))
            drop(s, s->oldest);
}

static void resize(struct shard *s, uint32_t bucket_count)
{
    struct entry **old = s->buckets;
    uint32_t old_count = s->bucket_count;
    s->bucket_count = bucket_count;
    s->buckets = mem_zero(bucket_count * sizeof(struct entry *));
    for (uint32_t i = 0; i < old_count; i++)
        for (struct entry *x = old[i], *next; x != NULL; x = next) {
            next = x->chain;
            x->chain = *bucket_of(s, x->hash);
            *bucket_of(s, x->hash) = x;
        }
    free(old);
}

static struct entry *find(struct shard *s, str key, uint64_t hash)
{
    struct entry *x = *bucket_of(s, hash);
    while (x != NULL && !(x->hash == hash && str_eq(str_of(x->key, x->key_n), key)))
        x = x->chain;
    return x;
}

static struct entry *insert(struct shard *s, str key, uint64_t hash)
{
    struct entry *x = mem_zero(sizeof *x + key.n);
    x->hash = hash;
    x->key_n = (uint8_t)key.n;
    memcpy(x->key, key.p, key.n);
    if (s->count >= s->bucket_count)
        resize(s, s->bucket_count * 2);
    x->chain = *bucket_of(s, hash);
    *bucket_of(s, hash) = x;
    list_front(s, x);
    s->count++;
    return x;
}

/* The windows of a client: his own, or in a full shard those that he shares. */
static struct rate_window *window_of(struct memory *m, struct shard *s, str key, uint64_t hash)
{
    struct entry *x = find(s, key, hash);
    if (x != NULL) {
        list_drop(s, x);
        list_front(s, x);
        return &x->window;
    }
    if (s->count < m->shard_entries)
        return &insert(s, key, hash)->window;
    if (!s->shared)
        s->shared = mem_zero(SHARED_WINDOWS * sizeof *s->shared);
    return &s->shared[hash >> 32 & (SHARED_WINDOWS - 1)];
}

static bool memory_open(struct rate_limiter *r, const struct rate_limiter_options *opt,
                        struct err *e)
{
    (void)e;
    struct memory *m = (struct memory *)r;
    uint32_t entries = opt->memory.max_entries ? opt->memory.max_entries : RATE_ADDRESSES_MAX;
    m->shard_entries = (entries + SHARDS - 1) / SHARDS;
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&m->shards[i].lock, NULL);
        resize(&m->shards[i], FIRST_BUCKETS);
    }
    return true;
}

static void memory_close(struct rate_limiter *r)
{
    struct memory *m = (struct memory *)r;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &m->shards[i];
        while (s->oldest != NULL)
            drop(s, s->oldest);
        free(s->buckets);
        free(s->shared);
        pthread_mutex_destroy(&s->lock);
    }
}

static enum when memory_count(struct rate_limiter *r, struct rate_answer *out,
                              const struct rate_call *call)
{
    struct memory *m = (struct memory *)r;
    str key = str_of(call->key, call->key_n);
    uint64_t hash = hash_bytes(key);
    struct shard *s = &m->shards[hash >> 60];
    int64_t now = r->now_ms(r->now_ctx);
    pthread_mutex_lock(&s->lock);
    drop_over(s, &call->limit, now);
    rate_window_count(window_of(m, s, key, hash), &call->limit, now, out);
    pthread_mutex_unlock(&s->lock);
    return DONE;
}

extern const struct rate_limiter_driver rate_limiter_memory;
const struct rate_limiter_driver rate_limiter_memory = {
    .name = "memory",
    .counts_here = true,
    .size = sizeof(struct memory),
    .open = memory_open,
    .close = memory_close,
    .count = memory_count,
};
