/* channel/record.c - the tables of the registry: partitions, their locks, records by name. */
#include "channel/record.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/hash.h"

struct registry *registry_create(uint16_t workers, struct loop **loops, struct adapter *adapter,
                                 struct cache *cache, int64_t cache_ttl_ms)
{
    struct registry *r = mem_zero(sizeof *r);
    r->workers = workers;
    r->loops = loops;
    r->adapter = adapter;
    r->cache = cache;
    r->cache_ttl_ms = cache_ttl_ms;
    crypto_random(&r->seed, sizeof r->seed);
    for (int i = 0; i < REGISTRY_PARTITIONS; i++)
        pthread_mutex_init(&r->parts[i].lock, NULL);
    deadlines_init(&r->deadlines, loops[0]->now_ms);
    return r;
}

static void record_free(struct record *rec)
{
    if (rec->presence)
        presence_destroy(rec->presence);
    if (rec->hooks)
        hooks_destroy(rec->hooks);
    free(rec);
}

void registry_destroy(struct registry **pr)
{
    struct registry *r = *pr;
    if (!r)
        return;
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        struct partition *p = &r->parts[i];
        for (uint32_t b = 0; b < p->bucket_count; b++)
            for (struct record *rec = p->buckets[b], *next; rec; rec = next) {
                next = rec->next;
                record_free(rec);
            }
        free(p->buckets);
        pthread_mutex_destroy(&p->lock);
    }
    deadlines_finish(&r->deadlines);
    free(r);
    *pr = NULL;
}

void registry_set_teller(struct registry *r, channel_tell_fn *tell, void *ctx)
{
    r->tell = tell;
    r->tell_ctx = ctx;
}

void registry_set_lease(struct registry *r, int64_t lease_ms)
{
    atomic_store_explicit(&r->lease_ms, lease_ms, memory_order_relaxed);
}

struct partition *partition_lock(struct registry *r, str app, str name, uint64_t *hash)
{
    *hash = hash_keyed(r->seed, app, name);
    struct partition *p = &r->parts[*hash % REGISTRY_PARTITIONS];
    pthread_mutex_lock(&p->lock);
    return p;
}

struct partition *record_lock(struct registry *r, const struct record *rec)
{
    struct partition *p = &r->parts[rec->partition];
    pthread_mutex_lock(&p->lock);
    return p;
}

void partition_unlock(struct partition *p)
{
    pthread_mutex_unlock(&p->lock);
}

struct record *record_find(struct partition *p, str app, str name, uint64_t hash)
{
    if (p->bucket_count == 0)
        return NULL;
    struct record *rec = p->buckets[(hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    while (rec &&
           !(rec->hash == hash && str_eq(record_name(rec), name) && str_eq(record_app(rec), app)))
        rec = rec->next;
    return rec;
}

static void buckets_grow(struct partition *p)
{
    uint32_t n = p->bucket_count ? p->bucket_count * 2 : 2;
    struct record **b = mem_zero(n * sizeof *b);
    for (uint32_t i = 0; i < p->bucket_count; i++)
        for (struct record *rec = p->buckets[i], *next; rec; rec = next) {
            next = rec->next;
            struct record **to = &b[(rec->hash / REGISTRY_PARTITIONS) & (n - 1)];
            rec->next = *to;
            *to = rec;
        }
    free(p->buckets);
    p->buckets = b;
    p->bucket_count = n;
}

struct record *record_create(struct registry *r, struct partition *p, str app, str name,
                             uint64_t hash, bool hidden)
{
    if (p->count >= p->bucket_count)
        buckets_grow(p);
    size_t text = (app.n + name.n + 7) & ~(size_t)7;
    struct record *rec = mem_zero(sizeof *rec + text + r->workers * sizeof *rec->local);
    rec->hash = hash;
    rec->partition = (uint16_t)(hash % REGISTRY_PARTITIONS);
    rec->kind = channel_kind(name);
    rec->hidden = hidden;
    rec->app_n = (uint32_t)app.n;
    rec->name_n = (uint32_t)name.n;
    memcpy(rec->text, app.p, app.n);
    memcpy(rec->text + app.n, name.p, name.n);
    rec->local = (struct local_part *)(void *)((char *)rec + sizeof *rec + text);
    struct record **bucket = &p->buckets[(hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    rec->next = *bucket;
    *bucket = rec;
    p->count++;
    return rec;
}

bool record_has_local(const struct registry *r, const struct record *rec)
{
    for (uint16_t i = 0; i < r->workers; i++)
        if (rec->local[i].channel)
            return true;
    return false;
}

static bool record_is_used(const struct registry *r, const struct record *rec)
{
    return record_has_local(r, rec) || rec->remotes != NULL ||
           (rec->hooks && !hooks_are_idle(rec->hooks)) ||
           (rec->presence && rec->presence->count > 0); /* a member on lease */
}

void record_release(struct registry *r, struct partition *p, struct record *rec)
{
    if (record_is_used(r, rec))
        return;
    struct record **at = &p->buckets[(rec->hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    while (*at != rec)
        at = &(*at)->next;
    *at = rec->next;
    p->count--;
    record_free(rec);
    if (p->count == 0) { /* an empty partition gives its table back */
        free(p->buckets);
        p->buckets = NULL;
        p->bucket_count = 0;
    }
}

void record_look_later(struct registry *r, const struct record *rec, int64_t due_ms)
{
    deadlines_add(&r->deadlines, record_app(rec), record_name(rec), due_ms);
}
