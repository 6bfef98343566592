/* cache/memory.c - a cache in this process: least recently used goes first.
 *
 * One leaf mutex around a hash table whose entries are also in a list by last use. It is bounded by
 * entries and by bytes; expiry is looked at when an entry is met.
 * Source: spec/drivers.md §9.10; spec/configuration.md §6 cache.memory
 */
#include "cache/driver.h"

#include <stdlib.h>

#include "base/hash.h"

enum { ENTRIES_DEFAULT = 10000, FIRST_BUCKETS = 64 };
static const uint64_t bytes_default = 64 << 20;

struct entry {
    struct entry *chain;         /* same bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    int64_t expires_ms; /* 0: never */
    size_t key_n, value_n;
    char bytes[]; /* key, then value */
};

struct memory {
    struct cache base;
    int64_t ttl_ms;
    uint64_t max_entries, max_bytes;
    pthread_mutex_t lock; /* leaf; everything below */
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    struct entry *newest, *oldest;
    uint64_t count, bytes;
};

static str key_of(const struct entry *x)
{
    return str_of(x->bytes, x->key_n);
}

static struct entry **bucket_of(struct memory *m, uint64_t hash)
{
    return &m->buckets[hash & (m->bucket_count - 1)];
}

static void list_drop(struct memory *m, struct entry *x)
{
    *(x->newer ? &x->newer->older : &m->newest) = x->older;
    *(x->older ? &x->older->newer : &m->oldest) = x->newer;
}

static void list_front(struct memory *m, struct entry *x)
{
    x->newer = NULL;
    x->older = m->newest;
    *(m->newest ? &m->newest->newer : &m->oldest) = x;
    m->newest = x;
}

static void drop(struct memory *m, struct entry *x)
{
    struct entry **at = bucket_of(m, x->hash);
    while (*at != x)
        at = &(*at)->chain;
    *at = x->chain;
    list_drop(m, x);
    m->count--;
    m->bytes -= x->key_n + x->value_n;
    free(x);
}

static bool is_over(const struct memory *m, const struct entry *x)
{
    return x->expires_ms != 0 && x->expires_ms <= m->base.now_ms(m->base.now_ctx);
}

/* At least 1 for an entry that expires: it was alive a moment ago. */
static int64_t ttl_left(const struct memory *m, const struct entry *x)
{
    if (x->expires_ms == 0)
        return 0;
    int64_t left = x->expires_ms - m->base.now_ms(m->base.now_ctx);
    return left > 0 ? left : 1;
}

/* The living entry of the key, or NULL; what has expired is dropped on the way. */
static struct entry *find(struct memory *m, str key, uint64_t hash)
{
    struct entry *x = *bucket_of(m, hash);
    while (x != NULL && !(x->hash == hash && str_eq(key_of(x), key)))
        x = x->chain;
    if (x != NULL && is_over(m, x)) {
        drop(m, x);
        return NULL;
    }
    return x;
}

static void grow(struct memory *m)
{
    size_t old_count = m->bucket_count;
    struct entry **old = m->buckets;
    m->bucket_count *= 2;
    m->buckets = mem_zero(m->bucket_count * sizeof *m->buckets);
    for (size_t i = 0; i < old_count; i++)
        for (struct entry *x = old[i], *next; x != NULL; x = next) {
            next = x->chain;
            x->chain = *bucket_of(m, x->hash);
            *bucket_of(m, x->hash) = x;
        }
    free(old);
}

static void insert(struct memory *m, struct entry *x)
{
    if (m->count >= m->bucket_count)
        grow(m);
    x->chain = *bucket_of(m, x->hash);
    *bucket_of(m, x->hash) = x;
    list_front(m, x);
    m->count++;
    m->bytes += x->key_n + x->value_n;
    while (m->count > m->max_entries || m->bytes > m->max_bytes)
        drop(m, m->oldest);
}

static struct entry *entry_make(struct memory *m, str key, str value, int64_t ttl_ms)
{
    struct entry *x = mem_alloc(sizeof *x + key.n + value.n);
    x->hash = hash_bytes(key);
    x->expires_ms = ttl_ms > 0 ? m->base.now_ms(m->base.now_ctx) + ttl_ms : 0;
    x->key_n = key.n;
    x->value_n = value.n;
    memcpy(x->bytes, key.p, key.n);
    if (value.n > 0)
        memcpy(x->bytes + key.n, value.p, value.n);
    return x;
}

static bool memory_open(struct cache *c, const struct cache_options *opt, struct err *e)
{
    (void)e;
    struct memory *m = (struct memory *)c;
    m->ttl_ms = opt->memory.ttl_ms;
    m->max_entries = opt->memory.max_entries ? opt->memory.max_entries : ENTRIES_DEFAULT;
    m->max_bytes = opt->memory.max_bytes ? opt->memory.max_bytes : bytes_default;
    m->bucket_count = FIRST_BUCKETS;
    m->buckets = mem_zero(m->bucket_count * sizeof *m->buckets);
    pthread_mutex_init(&m->lock, NULL);
    return true;
}

static void memory_close(struct cache *c)
{
    struct memory *m = (struct memory *)c;
    while (m->oldest != NULL)
        drop(m, m->oldest);
    free(m->buckets);
    pthread_mutex_destroy(&m->lock);
}

static enum when memory_get(arena *a, struct cache *c, str key, struct cache_answer *out,
                            struct cache_call *call)
{
    (void)call;
    struct memory *m = (struct memory *)c;
    uint64_t hash = hash_bytes(key);
    pthread_mutex_lock(&m->lock);
    struct entry *x = find(m, key, hash);
    if (x != NULL) {
        out->found = true;
        out->value = arena_str(a, str_of(x->bytes + x->key_n, x->value_n));
        out->ttl_ms = ttl_left(m, x);
        list_drop(m, x);
        list_front(m, x);
    }
    pthread_mutex_unlock(&m->lock);
    return DONE;
}

static enum when memory_set(struct cache *c, str key, str value, int64_t ttl_ms,
                            struct cache_answer *out, struct cache_call *call)
{
    (void)out, (void)call;
    struct memory *m = (struct memory *)c;
    struct entry *fresh = entry_make(m, key, value, ttl_ms > 0 ? ttl_ms : m->ttl_ms);
    pthread_mutex_lock(&m->lock);
    struct entry *old = find(m, key, fresh->hash);
    if (old != NULL)
        drop(m, old);
    insert(m, fresh);
    pthread_mutex_unlock(&m->lock);
    return DONE;
}

static enum when memory_remove(struct cache *c, str key, struct cache_answer *out,
                               struct cache_call *call)
{
    (void)call;
    struct memory *m = (struct memory *)c;
    uint64_t hash = hash_bytes(key);
    pthread_mutex_lock(&m->lock);
    struct entry *x = find(m, key, hash);
    out->found = x != NULL;
    if (x != NULL)
        drop(m, x);
    pthread_mutex_unlock(&m->lock);
    return DONE;
}

static size_t memory_shed(struct cache *c, size_t bytes)
{
    struct memory *m = (struct memory *)c;
    pthread_mutex_lock(&m->lock);
    uint64_t before = m->bytes;
    while (m->oldest != NULL && before - m->bytes < bytes)
        drop(m, m->oldest);
    size_t freed = (size_t)(before - m->bytes);
    pthread_mutex_unlock(&m->lock);
    return freed;
}

extern const struct cache_driver cache_memory;
const struct cache_driver cache_memory = {
    .name = "memory",
    .caps = CACHE_AT_ONCE,
    .size = sizeof(struct memory),
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
    .shed = memory_shed,
};
