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

static struct presence_text *text_create(size_t cap)
{
    struct presence_text *t = mem_alloc(sizeof *t + cap);
    atomic_init(&t->refs, 1);
    t->cap = cap;
    t->n = 0;
    return t;
}

static void text_add(struct presence_text **t, str s)
{
    struct presence_text *old = *t;
    if (old->n + s.n > old->cap) {
        *t = text_create((old->n + s.n) * 2);
        memcpy((*t)->bytes, old->bytes, old->n);
        (*t)->n = old->n;
        text_unref(&old); /* readers keep it */
    }
    memcpy((*t)->bytes + (*t)->n, s.p, s.n);
    (*t)->n += s.n;
}

/* A member's piece of `hash` begins with his piece of `ids`. */
static void piece_add(struct presence *p, struct member *m, const char *piece)
{
    str comma = p->ids->n ? S(",") : S("");
    text_add(&p->ids, comma);
    text_add(&p->ids, str_of(piece, m->id_piece_n));
    text_add(&p->hash, comma);
    m->piece_at = p->hash->n;
    text_add(&p->hash, str_of(piece, m->piece_n));
}

/* The texts stand inside a JSON string: everything is escaped twice, once here. */
static void piece_make(struct presence *p, struct member *m)
{
    struct buf id, piece;
    buf_init(&id, SIZE_MAX);
    buf_init(&piece, SIZE_MAX);
    json_add_string(&id, m->user_id);
    json_add_escaped(&piece, buf_str(&id));
    m->id_piece_n = (uint32_t)piece.n;
    buf_char(&piece, ':');
    json_add_escaped(&piece, m->user_info);
    m->piece_n = (uint32_t)piece.n;
    piece_add(p, m, piece.p);
    buf_finish(&id);
    buf_finish(&piece);
}

/* From the pieces of the text before: each is made once, or a member who comes and goes would have
 * all the others made anew each time. */
static void texts_build(struct presence *p)
{
    struct presence_text *old = p->hash;
    size_t cap = (old ? old->n : 0) + 256;
    p->ids = text_create(cap / 4);
    p->hash = text_create(cap);
    for (struct member *m = p->first; m; m = m->next)
        if (m->piece_n)
            piece_add(p, m, old->bytes + m->piece_at);
        else
            piece_make(p, m);
    text_unref(&old);
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
        piece_make(p, m);
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
    text_unref(&p->ids);
    if (--p->count == 0)
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
    if (!p->ids)
        texts_build(p);
    atomic_fetch_add_explicit(&p->ids->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->hash->refs, 1, memory_order_relaxed);
    *out = (struct snapshot){p->ids, p->hash, p->ids->n, p->hash->n, p->count};
}

void snapshot_release(struct snapshot *s)
{
    text_unref(&s->ids);
    text_unref(&s->hash);
}
