/* io/stream_out.c - what goes: pending sequences, queues of what the kernel refused, the flush. */
#include "io/stream_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { IOV_MAX_FRAMES = 64 };

void stream_queue_free(struct stream *s)
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

void stream_mark(struct stream *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    stream_list_add(&s->pool->dirty, s);
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
            stream_queue_free(s);
    }
    stream_interest_in_writing(s);
    if (blocked)
        return;
    if (s->ending && s->peer_done) {
        stream_leave(s);
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

void stream_write(struct stream *s)
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
            stream_leave(s);
            return;
        }
        queue_from_sequence(s, (size_t)sent);
    }
    if (!queue_write(s)) {
        stream_leave(s);
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
        stream_list_add(&s->pool->over, s);
    }
    return false;
}

void stream_send(struct stream *s, struct frame *f)
{
    if (s->fd < 0 || s->ending)
        return;
    if (!s->queue && !s->over) {
        s->out = sequence_append(&s->pool->roots[s->deflate], s->out, f);
        stream_mark(s);
        return;
    }
    if (s->over || !queue_accepts(s, f)) {
        s->pool->dropped++;
        return;
    }
    queue_push(s->queue, f);
    /* EPOLLOUT tells when to try again; without waiting for it only with a limit's worth. */
    if (limit_reached(s, queue_count(s->queue), s->queue->bytes))
        stream_mark(s);
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
    s->over = false; /* also if all has left since the verdict */
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
    if (keep == 0)
        stream_queue_free(s);
}

void stream_peer_done(struct stream *s)
{
    s->peer_done = true;
    if (!stream_has_output(s))
        stream_leave(s);
}

void stream_end(struct stream *s, int64_t linger_ms)
{
    if (s->ending)
        return;
    s->ending = true;
    s->paused = false;
    stream_rest_keep(s, NULL, 0, NULL);
    stream_interest(s);
    s->linger_ms = (uint16_t)linger_ms;
    bool has_time = linger_ms > 0 && !s->hears_end && stream_has_output(s);
    deadline_move(s, has_time ? STREAM_STALL_MS : linger_ms);
    stream_mark(s);
}

/* Whoever passed a limit since; not at once, because that may be in a walk over subscribers. */
static void judge(struct stream_pool *p)
{
    for (uint32_t i = 0; i < p->over.n; i++) {
        struct stream *s = stream_list_find(p, &p->over, i);
        if (s && s->over)
            s->user->full(s);
    }
    p->over.n = 0;
}

/* Two passes over one list: what is marked during the flush waits for the next turn. */
bool stream_pool_flush(struct stream_pool *p)
{
    p->handshakes = 0;
    judge(p);
    uint32_t end = p->dirty.n, writes = 0;
    while (p->dirty.head < end && writes < STREAM_FLUSH_SLICE) {
        struct stream *s = stream_list_find(p, &p->dirty, p->dirty.head++);
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
    stream_slots_give_back(p);
    return p->dirty.n > 0;
}
