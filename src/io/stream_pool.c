/* io/stream_pool.c - slots of streams: opened, found, closed, given back. */
#include "io/stream_parts.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK_SLOTS = 64 };

void stream_list_add(struct handle_list *l, const struct stream *s)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->v = mem_resize(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n][0] = s->slot;
    l->v[l->n++][1] = s->generation;
}

static void u32_add(uint32_t **v, uint32_t *n, uint32_t *cap, uint32_t x)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        *v = mem_resize(*v, *cap * sizeof **v);
    }
    (*v)[(*n)++] = x;
}

/* NULL: nobody is there, and the chunk is gone. */
static struct stream *slot_at(struct stream_pool *p, uint32_t slot)
{
    char *chunk = p->chunks[slot / CHUNK_SLOTS];
    if (!chunk)
        return NULL;
    return (struct stream *)(void *)(chunk + (slot % CHUNK_SLOTS) * p->item_size);
}

void stream_pool_init(struct stream_pool *p, struct loop *l, uint16_t worker, size_t item_size)
{
    memset(p, 0, sizeof *p);
    p->loop = l;
    p->worker = worker;
    p->item_size = (item_size + 7) & ~(size_t)7;
    p->buffer = mem_alloc(STREAM_REST + STREAM_READ);
    sequence_init(&p->roots[false]);
    sequence_init(&p->roots[true]);
}

static void chunk_make(struct stream_pool *p, uint32_t chunk)
{
    p->chunks[chunk] = mem_zero(CHUNK_SLOTS * p->item_size);
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
        struct stream *s = slot_at(p, chunk * CHUNK_SLOTS + i);
        s->fd = -1;
        s->generation = p->chunk_generation[chunk];
    }
}

static void chunk_add(struct stream_pool *p)
{
    uint32_t n = p->chunk_count + 1;
    p->chunks = mem_resize(p->chunks, n * sizeof *p->chunks);
    p->chunk_generation = mem_resize(p->chunk_generation, n * sizeof *p->chunk_generation);
    p->chunk_generation[p->chunk_count] = 0;
    chunk_make(p, p->chunk_count++);
    for (int i = CHUNK_SLOTS - 1; i >= 0; i--)
        u32_add(&p->free_slots, &p->free_count, &p->free_cap, p->slots_made + (uint32_t)i);
    p->slots_made += CHUNK_SLOTS;
}

struct stream *stream_open(struct stream_pool *p, int fd, const struct stream_user *user)
{
    if (p->free_count == 0)
        chunk_add(p);
    uint32_t slot = p->free_slots[p->free_count - 1];
    if (!p->chunks[slot / CHUNK_SLOTS])
        chunk_make(p, slot / CHUNK_SLOTS);
    struct stream *s = slot_at(p, slot);
    uint32_t generation = (s->generation + 1) & 0x7fffffff;
    memset(s, 0, p->item_size);
    s->fd = -1;
    s->slot = slot;
    s->generation = generation ? generation : 1;
    s->pool = p;
    if (!loop_add(p->loop, fd, EPOLLIN, stream_key(s), NULL)) {
        close(fd);
        return NULL;
    }
    p->free_count--;
    p->live++;
    s->fd = fd;
    s->user = user;
    return s;
}

struct stream *stream_at(struct stream_pool *p, uint32_t slot)
{
    if (slot >= p->slots_made)
        return NULL;
    struct stream *s = slot_at(p, slot);
    return !s || s->fd < 0 ? NULL : s;
}

struct stream *stream_find(struct stream_pool *p, struct handle h)
{
    struct stream *s = h.worker == p->worker ? stream_at(p, h.slot) : NULL;
    return s && s->generation == h.generation ? s : NULL;
}

void stream_each(struct stream_pool *p, void (*fn)(struct stream *, void *), void *ctx)
{
    for (uint32_t i = 0; i < p->slots_made; i++) {
        struct stream *s = stream_at(p, i);
        if (s)
            fn(s, ctx);
    }
}

void stream_close(struct stream *s)
{
    struct stream_pool *p = s->pool;
    if (s->fd < 0)
        return;
    timer_stop(&p->loop->timers, &s->timer);
    if (s->out)
        sequence_unref(s->out);
    s->out = NULL;
    stream_queue_free(s);
    free(s->rest);
    s->rest = NULL;
    if (s->tls)
        tls_session_destroy(&s->tls);
    if (s->reset) {
        struct linger cut = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
    }
    loop_remove(p->loop, s->fd);
    close(s->fd);
    s->fd = -1;
    p->live--;
    p->draining -= s->drains;
    u32_add(&p->freed, &p->freed_count, &p->freed_cap, s->slot);
}

void stream_pool_drain(struct stream_pool *p)
{
    for (uint32_t i = 0; i < p->slots_made; i++) {
        struct stream *s = stream_at(p, i);
        if (!s || s->drains)
            continue;
        s->drains = true;
        p->draining++;
    }
}

static bool chunk_is_empty(struct stream_pool *p, uint32_t chunk)
{
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++)
        if (slot_at(p, chunk * CHUNK_SLOTS + i)->fd >= 0)
            return false;
    return true;
}

/* Handles of a chunk that comes again must not meet those of before: it goes on where the newest of
 * its slots was. Slots freed in this turn may still be looked at, so nothing goes then. */
void stream_pool_trim(struct stream_pool *p)
{
    for (uint32_t c = 0; c < p->chunk_count && p->freed_count == 0; c++) {
        if (!p->chunks[c] || !chunk_is_empty(p, c))
            continue;
        for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
            uint32_t generation = slot_at(p, c * CHUNK_SLOTS + i)->generation;
            if (generation > p->chunk_generation[c])
                p->chunk_generation[c] = generation;
        }
        free(p->chunks[c]);
        p->chunks[c] = NULL;
    }
}

void stream_slots_give_back(struct stream_pool *p)
{
    for (uint32_t i = 0; i < p->freed_count; i++)
        u32_add(&p->free_slots, &p->free_count, &p->free_cap, p->freed[i]);
    p->freed_count = 0;
}

void stream_pool_finish(struct stream_pool *p)
{
    for (uint32_t i = 0; i < p->slots_made; i++) {
        struct stream *s = stream_at(p, i);
        if (s)
            stream_close(s);
    }
    for (uint32_t i = 0; i < p->chunk_count; i++)
        free(p->chunks[i]);
    free(p->chunks);
    free(p->chunk_generation);
    free(p->free_slots);
    free(p->freed);
    free(p->dirty.v);
    free(p->again.v);
    free(p->over.v);
    free(p->buffer);
    free(p->record);
    tls_set_unref(&p->tls);
    memset(p, 0, sizeof *p);
}

void stream_leave(struct stream *s)
{
    s->user->gone(s);
    stream_close(s);
}
