#include "channel/presence.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"

struct presence *presence_create(void)
{
    struct presence *p = mem_zero(sizeof *p);
    p->bucket_count = 4;
    p->buckets = mem_zero(p->bucket_count * sizeof *p->buckets);
    return p;
}

static void text_unref(struct presence_text **t)
{
    if (*t && atomic_fetch_sub_explicit(&(*t)->refs, 1, memory_order_acq_rel) == 1)
        free(*t);
    *t = NULL;
}

void presence_destroy(struct presence *p)
{
    for (struct member *m = p->first, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    text_unref(&p->ids);
    text_unref(&p->hash);
    free(p->buckets);
    free(p);
}

static struct member *find(const struct presence *p, str user_id, uint64_t hash)
{
    for (struct member *m = p->buckets[hash & (p->bucket_count - 1)]; m; m = m->chain)
        if (m->hash == hash && str_eq(m->user_id, user_id))
            return m;
    return NULL;
}

struct member *presence_find(const struct presence *p, str user_id)
{
    return find(p, user_id, hash_bytes(user_id));
}

static void grow(struct presence *p)
{
    uint32_t n = p->bucket_count * 2;
    struct member **b = mem_zero(n * sizeof *b);
    for (struct member *m = p->first; m; m = m->next) {
        m->chain = b[m->hash & (n - 1)];
        b[m->hash & (n - 1)] = m;
    }
    free(p->buckets);
    p->buckets = b;
    p->bucket_count = n;
}

static void text_add(struct presence_text **t, str s)
{
    struct presence_text *old = *t;
    size_t n = old ? old->n : 0;
    if (!old || n + s.n > old->cap) {
        size_t cap = (n + s.n) * 2 + 64;
        struct presence_text *x = mem_alloc(sizeof *x + cap);
        atomic_init(&x->refs, 1);
        x->cap = cap;
        x->n = n;
        if (n)
            memcpy(x->bytes, old->bytes, n);
        text_unref(t); /* readers keep the old one */
        *t = x;
    }
    memcpy((*t)->bytes + n, s.p, s.n);
    (*t)->n = n + s.n;
}

/* The texts stand inside a JSON string: everything is escaped twice, once here. */
static void snapshot_append(struct presence *p, const struct member *m)
{
    struct buf id, ids, hash;
    buf_init(&id, SIZE_MAX);
    buf_init(&ids, SIZE_MAX);
    buf_init(&hash, SIZE_MAX);
    json_add_string(&id, m->user_id);
    if (p->ids && p->ids->n) {
        buf_char(&ids, ',');
        buf_char(&hash, ',');
    }
    json_add_escaped(&ids, buf_str(&id));
    json_add_escaped(&hash, buf_str(&id));
    buf_char(&hash, ':');
    json_add_escaped(&hash, m->user_info);
    text_add(&p->ids, buf_str(&ids));
    text_add(&p->hash, buf_str(&hash));
    buf_finish(&id);
    buf_finish(&ids);
    buf_finish(&hash);
}

static void lease_drop(struct presence *p, struct member *m)
{
    *(m->lease_prev ? &m->lease_prev->lease_next : &p->leases) = m->lease_next;
    *(m->lease_next ? &m->lease_next->lease_prev : &p->last_lease) = m->lease_prev;
    m->lease_next = m->lease_prev = NULL;
}

struct member *presence_join(struct presence *p, str user_id, str user_info, bool *is_first)
{
    uint64_t hash = hash_bytes(user_id);
    struct member *m = find(p, user_id, hash);
    *is_first = m == NULL;
    if (m) {
        if (m->subscriptions++ == 0)
            lease_drop(p, m);
        return m;
    }
    m = mem_alloc(sizeof *m + user_id.n + user_info.n);
    *m = (struct member){.prev = p->last, .hash = hash, .subscriptions = 1};
    memcpy(m->text, user_id.p, user_id.n);
    memcpy(m->text + user_id.n, user_info.p, user_info.n);
    m->user_id = str_of(m->text, user_id.n);
    m->user_info = str_of(m->text + user_id.n, user_info.n);
    *(p->last ? &p->last->next : &p->first) = m;
    p->last = m;
    struct member **bucket = &p->buckets[hash & (p->bucket_count - 1)];
    m->chain = *bucket;
    *bucket = m;
    if (++p->count > p->bucket_count)
        grow(p);
    if (p->ids)
        snapshot_append(p, m);
    return m;
}

static void unlink_member(struct presence *p, struct member *m)
{
    *(m->prev ? &m->prev->next : &p->first) = m->next;
    *(m->next ? &m->next->prev : &p->last) = m->prev;
    struct member **at = &p->buckets[m->hash & (p->bucket_count - 1)];
    while (*at != m)
        at = &(*at)->chain;
    *at = m->chain;
    p->count--;
    text_unref(&p->ids);
    text_unref(&p->hash);
}

bool presence_leave(struct presence *p, struct member *m)
{
    if (--m->subscriptions > 0)
        return false;
    unlink_member(p, m);
    return true;
}

void presence_lease(struct presence *p, struct member *m, int64_t until_ms)
{
    m->lease_prev = p->last_lease;
    m->lease_next = NULL;
    *(p->last_lease ? &p->last_lease->lease_next : &p->leases) = m;
    p->last_lease = m;
    m->lease_ms = until_ms;
    m->subscriptions = 0;
}

struct member *presence_lease_ended(struct presence *p, int64_t now_ms)
{
    struct member *m = p->leases;
    if (!m || m->lease_ms > now_ms)
        return NULL;
    lease_drop(p, m);
    unlink_member(p, m);
    return m;
}

void snapshot_take(struct presence *p, struct snapshot *out)
{
    if (!p->ids) {
        text_add(&p->ids, S(""));
        text_add(&p->hash, S(""));
        for (const struct member *m = p->first; m; m = m->next)
            snapshot_append(p, m);
    }
    atomic_fetch_add_explicit(&p->ids->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->hash->refs, 1, memory_order_relaxed);
    *out = (struct snapshot){p->ids, p->hash, p->ids->n, p->hash->n, p->count};
}

void snapshot_release(struct snapshot *s)
{
    text_unref(&s->ids);
    text_unref(&s->hash);
}
