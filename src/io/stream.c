#include "io/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CHUNK_SLOTS = 64, IOV_MAX_FRAMES = 64 };

struct stream_queue {
    struct frame **v;
    uint32_t head, n, cap; /* v[head..n) wait */
    size_t offset;         /* sent of v[head] */
    size_t bytes;          /* all that waits */
    size_t sent, moved_at; /* bytes that have left; when it last was worth mentioning */
    int64_t moved_ms;      /* and when that was */
    uint32_t left_count;   /* what the last attempt left */
    size_t left_bytes;
    uint64_t *sum; /* the pool's `unsent`, which counts us too */
};

struct stream_rest { /* bytes[at..at+n) are the user's; of one that ends, `at` have been dropped */
    size_t at, n;
    char bytes[];
};

static void list_add(struct handle_list *l, const struct stream *s)
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

/* ---- slots ---- */

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
    sequence_init(&p->root);
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

static uint64_t key_of(const struct stream *s)
{
    return (uint64_t)(s->generation & 0x7fffffff) << 32 | s->slot;
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
    if (!loop_add(p->loop, fd, EPOLLIN, key_of(s), NULL)) {
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

static void queue_free(struct stream *s)
{
    struct stream_queue *q = s->queue;
    if (!q)
        return;
    *q->sum -= q->bytes;
    for (uint32_t i = q->head; i < q->n; i++)
        frame_unref(q->v[i]);
    free(q->v);
    free(q);
    s->queue = NULL;
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
    queue_free(s);
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

static void slots_give_back(struct stream_pool *p)
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

static void leave(struct stream *s)
{
    s->user->gone(s);
    stream_close(s);
}

/* ---- input ---- */

static void interest(struct stream *s)
{
    uint32_t events =
        (s->paused ? 0u : (uint32_t)EPOLLIN) | (s->want_write ? (uint32_t)EPOLLOUT : 0u);
    loop_change(s->pool->loop, s->fd, events, key_of(s));
}

/* EPOLLOUT is armed while somebody waits for it. */
static void interest_in_writing(struct stream *s)
{
    bool want = s->read_waits || (s->queue && !(s->tls && tls_write_waits(s->tls)));
    if (want == s->want_write)
        return;
    s->want_write = want;
    interest(s);
}

/* What is left of in[0..n) comes again; `from` is the rest that it lies in, or NULL: the pool's
 * buffer. */
static void rest_keep(struct stream *s, const char *in, size_t n, struct stream_rest *from)
{
    struct stream_rest *r = NULL;
    if (n && from) {
        r = from;
        r->at = (size_t)(in - r->bytes);
        r->n = n;
    } else if (n) {
        r = mem_alloc(sizeof *r + n);
        r->at = 0;
        r->n = n;
        memcpy(r->bytes, in, n);
    }
    if (from && from != r)
        free(from);
    free(s->rest);
    s->rest = r;
}

/* Gives in[0..n) to the user. `from` as above; it is taken. */
static void feed(struct stream *s, char *in, size_t n, struct stream_rest *from)
{
    bool more = false;
    uint32_t generation = s->generation;
    size_t used = 0;
    while (used < n && !s->paused && (!s->ending || s->hears_end) && !more) {
        const struct stream_user *user = s->user;
        size_t took = user->data(s, in + used, n - used, &more);
        if (s->fd < 0 || s->generation != generation) {
            free(from);
            return;
        }
        used += took;
        if (took == 0 && s->user == user)
            break; /* after an upgrade the new user looks at the same bytes */
    }
    if (s->ending && !s->hears_end)
        used = n;
    rest_keep(s, in + used, n - used, from);
    if (more)
        stream_again(s);
}

/* ---- TLS ---- */

static void mark(struct stream *s);

void stream_secure(struct stream *s, struct tls_set *set)
{
    s->tls = tls_session_create(set, s->fd);
    s->handshaking = true;
    if (!s->pool->record)
        s->pool->record = mem_alloc(TLS_RECORD);
    timer_stop(&s->pool->loop->timers, &s->timer);
    stream_deadline(s, s->pool->loop->now_ms + STREAM_HANDSHAKE_MS);
}

static void handshake_done(struct stream *s)
{
    s->handshaking = false;
    timer_stop(&s->pool->loop->timers, &s->timer);
    stream_deadline(s, s->pool->loop->now_ms + STREAM_HANDSHAKE_MS);
    if (stream_has_output(s))
        mark(s);
    if (tls_has_input(s->tls))
        stream_again(s); /* it came with the last bytes of the handshake */
}

/* One step costs up to 0.35 ms: those who come too late in a turn are first in the next. */
static void handshake_step(struct stream *s)
{
    if (s->ending)
        return;
    if (s->pool->handshakes >= STREAM_HANDSHAKES) {
        stream_again(s);
        return;
    }
    s->pool->handshakes++;
    enum tls_step step = tls_handshake(s->tls);
    if (step == TLS_BROKEN) {
        leave(s);
        return;
    }
    s->read_waits = step == TLS_WANT_WRITE;
    interest_in_writing(s);
    if (step == TLS_DONE)
        handshake_done(s);
}

static void read_tls(struct stream *s, char *buffer, size_t kept)
{
    size_t got;
    enum tls_step step = tls_read(s->tls, buffer + kept, STREAM_READ, &got);
    s->read_waits = step == TLS_WANT_WRITE;
    interest_in_writing(s);
    if (s->queue && tls_write_waits(s->tls))
        mark(s);
    if (got == 0 && step == TLS_BROKEN) {
        leave(s);
        return;
    }
    /* What OpenSSL holds, or the end that it has seen, no event will tell. */
    if (step == TLS_BROKEN || (got == STREAM_READ && tls_has_input(s->tls)))
        stream_again(s);
    if (got > 0)
        feed(s, buffer, kept + got, NULL);
}

/* ---- input again ---- */

static void read_some(struct stream *s)
{
    char *buffer = s->pool->buffer;
    size_t kept = s->rest ? s->rest->n : 0;
    if (s->again)
        return; /* first the work that the peer has sent already */
    if (kept > STREAM_REST) {
        leave(s); /* a user that does not take what it was given */
        return;
    }
    if (kept)
        memcpy(buffer, s->rest->bytes + s->rest->at, kept);
    if (s->tls) {
        read_tls(s, buffer, kept);
        return;
    }
    ssize_t n = recv(s->fd, buffer + kept, STREAM_READ, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        leave(s);
    else if (n > 0)
        feed(s, buffer, kept + (size_t)n, NULL);
}

/* The rest is worked on where it lies: a packet full of small frames is not copied each turn. */
static void reread(struct stream *s)
{
    struct stream_rest *r = s->rest;
    if (!r || s->paused)
        return;
    s->rest = NULL;
    feed(s, r->bytes + r->at, r->n, r);
}

void stream_pause(struct stream *s)
{
    if (s->paused)
        return;
    s->paused = true;
    interest(s);
}

void stream_resume(struct stream *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    interest(s);
    stream_again(s);
}

void stream_again(struct stream *s)
{
    if (s->again)
        return;
    s->again = true;
    list_add(&s->pool->again, s);
}

static struct stream *list_find(struct stream_pool *p, const struct handle_list *l, uint32_t i)
{
    struct stream *s = stream_at(p, l->v[i][0]);
    return s && s->generation == l->v[i][1] ? s : NULL;
}

static void again(struct stream *s)
{
    uint32_t generation = s->generation;
    s->again = false;
    if (s->handshaking) {
        handshake_step(s);
        return;
    }
    reread(s);
    if (!s->tls || s->generation != generation || s->paused || (s->ending && !s->hears_end))
        return;
    if (tls_has_input(s->tls))
        read_some(s);
}

bool stream_pool_again(struct stream_pool *p)
{
    uint32_t n = p->again.n; /* what is added meanwhile waits for the next turn */
    for (uint32_t i = 0; i < n; i++) {
        struct stream *s = list_find(p, &p->again, i);
        if (!s)
            continue;
        again(s);
    }
    p->again.n -= n;
    if (p->again.n)
        memmove(p->again.v, p->again.v + n, p->again.n * sizeof *p->again.v);
    return p->again.n > 0;
}

/* ---- output ---- */

static bool limit_reached(const struct stream *s, uint32_t count, size_t bytes)
{
    const struct stream_limits *l = &s->pool->limits;
    return s->limited && ((l->max_messages && count >= l->max_messages) ||
                          (l->max_bytes && bytes >= l->max_bytes));
}

static uint32_t queue_count(const struct stream_queue *q)
{
    return q->n - q->head;
}

static void queue_push(struct stream_queue *q, struct frame *f)
{
    if (q->n == q->cap && q->head > q->cap / 2) {
        memmove(q->v, q->v + q->head, (q->n - q->head) * sizeof *q->v);
        q->n -= q->head;
        q->head = 0;
    } else if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 8;
        q->v = mem_resize(q->v, q->cap * sizeof *q->v);
    }
    q->v[q->n++] = frame_ref(f);
    q->bytes += f->n;
    *q->sum += f->n;
}

static void deadline_move(struct stream *s, int64_t ms)
{
    timer_stop(&s->pool->loop->timers, &s->timer);
    stream_deadline(s, s->pool->loop->now_ms + ms);
}

static void mark(struct stream *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    list_add(&s->pool->dirty, s);
}

static void queue_sent(struct stream_queue *q, size_t n)
{
    q->bytes -= n;
    q->sent += n;
    *q->sum -= n;
    while (n > 0) {
        struct frame *f = q->v[q->head];
        size_t left = f->n - q->offset;
        if (n < left) {
            q->offset += n;
            return;
        }
        n -= left;
        q->offset = 0;
        q->head++;
        frame_unref(f);
    }
}

/* The front of the queue in one piece, so that it becomes one record: at least as much as TLS holds
 * of it already. */
static str queue_piece(const struct stream_queue *q, char *gathered)
{
    const struct frame *first = q->v[q->head];
    size_t n = 0;
    if (queue_count(q) == 1 || first->n - q->offset >= TLS_RECORD)
        return str_of(first->bytes + q->offset, first->n - q->offset);
    for (uint32_t i = q->head; i < q->n && n < TLS_RECORD; i++) {
        size_t skip = i == q->head ? q->offset : 0, take = q->v[i]->n - skip;
        if (take > TLS_RECORD - n)
            take = TLS_RECORD - n;
        memcpy(gathered + n, q->v[i]->bytes + skip, take);
        n += take;
    }
    return str_of(gathered, n);
}

static bool queue_write_tls(struct stream *s)
{
    struct stream_queue *q = s->queue;
    while (queue_count(q) > 0) {
        str piece = queue_piece(q, s->pool->record);
        ssize_t sent = tls_write(s->tls, piece.p, piece.n);
        if (sent < 0) {
            stream_again(s); /* no event may come: the next turn sees the end */
            return false;
        }
        queue_sent(q, (size_t)sent);
        if ((size_t)sent < piece.n)
            return true;
    }
    return true;
}

/* One attempt. false: the socket is broken. */
static bool queue_write(struct stream *s)
{
    struct stream_queue *q = s->queue;
    if (s->tls)
        return queue_write_tls(s);
    while (queue_count(q) > 0) {
        struct iovec iov[IOV_MAX_FRAMES];
        uint32_t n = 0;
        size_t want = 0;
        for (uint32_t i = q->head; i < q->n && n < IOV_MAX_FRAMES; i++, n++) {
            size_t skip = n == 0 ? q->offset : 0;
            iov[n] = (struct iovec){q->v[i]->bytes + skip, q->v[i]->n - skip};
            want += iov[n].iov_len;
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
        ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
        queue_sent(q, (size_t)sent);
        if ((size_t)sent < want)
            return true;
    }
    return true;
}

static void after_write(struct stream *s)
{
    bool blocked = false;
    if (s->queue) {
        struct stream_queue *q = s->queue;
        if (q->sent - q->moved_at >= STREAM_PROGRESS) {
            q->moved_at = q->sent;
            q->moved_ms = s->pool->loop->now_ms;
        }
        q->left_count = queue_count(q);
        q->left_bytes = q->bytes;
        blocked = q->left_count > 0;
        if (!blocked)
            queue_free(s);
    }
    interest_in_writing(s);
    if (blocked)
        return;
    if (s->ending && s->peer_done) {
        leave(s);
    } else if (s->ending && !s->shut) {
        s->shut = true;
        if (s->tls)
            tls_end(s->tls);
        shutdown(s->fd, SHUT_WR);
        if (!s->hears_end)
            deadline_move(s, s->linger_ms);
    } else if (!s->ending)
        s->user->drained(s);
}

/* Turns the shared sequence, of which `sent` bytes have left, into a queue of our own. */
static void queue_from_sequence(struct stream *s, size_t sent)
{
    struct stream_queue *q = mem_zero(sizeof *q);
    struct sequence *seq = s->out;
    q->cap = seq->count + 8;
    q->v = mem_alloc(q->cap * sizeof *q->v);
    sequence_frames(seq, q->v);
    q->n = seq->count;
    q->bytes = seq->bytes;
    q->sum = &s->pool->unsent;
    q->moved_ms = s->pool->loop->now_ms;
    *q->sum += q->bytes;
    for (uint32_t i = 0; i < q->n; i++)
        frame_ref(q->v[i]);
    s->queue = q;
    s->out = NULL;
    sequence_unref(seq);
    queue_sent(q, sent);
}

/* Gives how much has left, -1 if the socket is broken. */
static ssize_t send_piece(struct stream *s, const struct frame *f)
{
    if (s->tls)
        return tls_write(s->tls, f->bytes, f->n);
    ssize_t sent = send(s->fd, f->bytes, f->n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS))
        return 0;
    return sent;
}

static void stream_write(struct stream *s)
{
    if ((!s->queue && !s->out) || s->handshaking)
        return;
    if (!s->queue) {
        const struct frame *f = sequence_joined(s->out);
        ssize_t sent = f ? send_piece(s, f) : 0;
        if (f && sent == (ssize_t)f->n) {
            sequence_unref(s->out);
            s->out = NULL;
            after_write(s);
            return;
        }
        if (sent < 0) {
            leave(s);
            return;
        }
        queue_from_sequence(s, (size_t)sent);
    }
    if (!queue_write(s)) {
        leave(s);
        return;
    }
    after_write(s);
}

/* The limits count what earlier attempts left; one more attempt is made before the verdict. */
static bool queue_accepts(struct stream *s, const struct frame *f)
{
    struct stream_queue *q = s->queue;
    if (!limit_reached(s, q->left_count, q->left_bytes))
        return true;
    if (!queue_write(s))
        return false; /* the loop will report the broken socket */
    q->left_count = queue_count(q);
    q->left_bytes = q->bytes;
    if (!limit_reached(s, q->left_count, q->left_bytes))
        return true;
    if (s->pool->limits.drop_when_full) {
        if (f->droppable)
            return false;
        if (!limit_reached(s, q->left_count / 2, q->left_bytes / 2))
            return true;
    }
    if (!s->over) {
        s->over = true;
        list_add(&s->pool->over, s);
    }
    return false;
}

void stream_send(struct stream *s, struct frame *f)
{
    if (s->fd < 0 || s->ending)
        return;
    if (!s->queue && !s->over) {
        s->out = sequence_append(&s->pool->root, s->out, f);
        mark(s);
        return;
    }
    if (s->over || !queue_accepts(s, f)) {
        s->pool->dropped++;
        return;
    }
    queue_push(s->queue, f);
    /* EPOLLOUT tells when to try again; without waiting for it only with a limit's worth. */
    if (limit_reached(s, queue_count(s->queue), s->queue->bytes))
        mark(s);
}

bool stream_has_output(const struct stream *s)
{
    return s->out || s->queue;
}

bool stream_is_blocked(const struct stream *s)
{
    return s->queue != NULL;
}

size_t stream_unsent(const struct stream *s)
{
    return s->queue ? s->queue->bytes : 0;
}

int64_t stream_stalls_ms(const struct stream *s)
{
    return s->queue ? s->queue->moved_ms + STREAM_STALL_MS : 0;
}

/* Frames of the queue of which bytes have left, or are encrypted already. */
static uint32_t frames_begun(const struct stream *s)
{
    const struct stream_queue *q = s->queue;
    size_t begun = q->offset + (s->tls ? tls_held(s->tls) : 0), sum = 0;
    uint32_t n = 0;
    while (sum < begun && n < queue_count(q))
        sum += q->v[q->head + n++]->n;
    return n;
}

void stream_drop_output(struct stream *s)
{
    if (s->out)
        sequence_unref(s->out);
    s->out = NULL;
    struct stream_queue *q = s->queue;
    if (!q)
        return;
    uint32_t keep = frames_begun(s);
    while (queue_count(q) > keep) {
        struct frame *f = q->v[--q->n];
        q->bytes -= f->n;
        *q->sum -= f->n;
        frame_unref(f);
    }
    q->left_count = 0;
    q->left_bytes = 0;
    s->over = false;
    if (keep == 0)
        queue_free(s);
}

void stream_peer_done(struct stream *s)
{
    s->peer_done = true;
    if (!stream_has_output(s))
        leave(s);
}

void stream_end(struct stream *s, int64_t linger_ms)
{
    if (s->ending)
        return;
    s->ending = true;
    s->paused = false;
    rest_keep(s, NULL, 0, NULL);
    interest(s);
    s->linger_ms = (uint16_t)linger_ms;
    bool has_time = linger_ms > 0 && !s->hears_end && stream_has_output(s);
    deadline_move(s, has_time ? STREAM_STALL_MS : linger_ms);
    mark(s);
}

/* Two passes over one list: what is marked during the flush waits for the next turn. */
bool stream_pool_flush(struct stream_pool *p)
{
    p->handshakes = 0;
    stream_pool_judge(p);
    uint32_t end = p->dirty.n, writes = 0;
    while (p->dirty.head < end && writes < STREAM_FLUSH_SLICE) {
        struct stream *s = list_find(p, &p->dirty, p->dirty.head++);
        if (!s)
            continue;
        s->dirty = false;
        writes++;
        if (stream_has_output(s))
            stream_write(s);
        else if (s->ending)
            after_write(s);
    }
    if (p->dirty.head == p->dirty.n)
        p->dirty.head = p->dirty.n = 0;
    if (p->dirty.head > 4096 && p->dirty.head > p->dirty.n / 2) {
        p->dirty.n -= p->dirty.head;
        memmove(p->dirty.v, p->dirty.v + p->dirty.head, p->dirty.n * sizeof *p->dirty.v);
        p->dirty.head = 0;
    }
    slots_give_back(p);
    return p->dirty.n > 0;
}

void stream_pool_judge(struct stream_pool *p)
{
    for (uint32_t i = 0; i < p->over.n; i++) {
        struct stream *s = list_find(p, &p->over, i);
        if (s && s->over)
            s->user->full(s);
    }
    p->over.n = 0;
}

/* ---- events ---- */

/* The peer has been answered; what it still sends would make our close a reset that may overtake
 * the answer. It is dropped, but not without end. */
static void drain_input(struct stream *s)
{
    ssize_t n = recv(s->fd, s->pool->buffer, STREAM_READ, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        leave(s);
        return;
    }
    if (n < 0)
        return;
    if (!s->rest) {
        s->rest = mem_alloc(sizeof *s->rest);
        *s->rest = (struct stream_rest){0};
    }
    s->rest->at += (size_t)n;
    if (s->rest->at > STREAM_LINGER_DROP)
        leave(s);
}

void stream_ready(struct stream_pool *p, uint64_t key, uint32_t events)
{
    struct stream *s = stream_at(p, (uint32_t)key);
    if (!s || key_of(s) != key)
        return;
    uint32_t generation = s->generation;
    if (s->handshaking && !s->ending) {
        stream_again(s); /* later in this turn, in the order of coming */
        return;
    }
    if (events & EPOLLOUT)
        stream_write(s);
    if (s->fd < 0 || s->generation != generation)
        return;
    if (s->read_waits && (events & EPOLLOUT))
        events |= EPOLLIN;
    if (s->ending && !s->hears_end) {
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            drain_input(s);
        return;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) && s->paused)
        leave(s);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_some(s);
}

void stream_deadline(struct stream *s, int64_t due_ms)
{
    timer_set(&s->pool->loop->timers, &s->timer, due_ms);
}

void stream_timer(struct stream *s)
{
    s->late = s->handshaking;
    int64_t stalls_ms = stream_stalls_ms(s);
    bool has_time = s->ending && s->linger_ms > 0 && !s->hears_end && !s->shut &&
                    stalls_ms > s->pool->loop->now_ms;
    if (has_time)
        stream_deadline(s, stalls_ms);
    else if (s->ending || s->handshaking)
        leave(s);
    else
        s->user->timer(s);
}
