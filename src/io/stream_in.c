/* io/stream_in.c - what comes: handshakes of TLS, reading, rests that are kept, pauses. */
#include "io/stream_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void stream_interest(struct stream *s)
{
    uint32_t events =
        (s->paused ? 0u : (uint32_t)EPOLLIN) | (s->want_write ? (uint32_t)EPOLLOUT : 0u);
    loop_change(s->pool->loop, s->fd, events, stream_key(s));
}

/* EPOLLOUT is armed while somebody waits for it. */
void stream_interest_in_writing(struct stream *s)
{
    bool want = s->read_waits || (s->queue && !(s->tls && tls_write_waits(s->tls)));
    if (want == s->want_write)
        return;
    s->want_write = want;
    stream_interest(s);
}

/* What is left of in[0..n) comes again; `from` is the rest that it lies in, or NULL: the pool's
 * buffer. */
void stream_rest_keep(struct stream *s, const char *in, size_t n, struct stream_rest *from)
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
    stream_rest_keep(s, in + used, n - used, from);
    if (more)
        stream_again(s);
}

/* ---- TLS ---- */

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
        stream_mark(s);
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
        stream_leave(s);
        return;
    }
    s->read_waits = step == TLS_WANT_WRITE;
    stream_interest_in_writing(s);
    if (step == TLS_DONE)
        handshake_done(s);
}

static void read_tls(struct stream *s, char *buffer, size_t kept)
{
    size_t got;
    enum tls_step step = tls_read(s->tls, buffer + kept, STREAM_READ, &got);
    s->read_waits = step == TLS_WANT_WRITE;
    stream_interest_in_writing(s);
    if (s->queue && tls_write_waits(s->tls))
        stream_mark(s);
    if (got == 0 && step == TLS_BROKEN) {
        stream_leave(s);
        return;
    }
    /* What OpenSSL holds, or the end that it has seen, no event will tell. */
    if (step == TLS_BROKEN || (got == STREAM_READ && tls_has_input(s->tls)))
        stream_again(s);
    if (got > 0)
        feed(s, buffer, kept + got, NULL);
}

/* ---- reading ---- */

void stream_read(struct stream *s)
{
    char *buffer = s->pool->buffer;
    size_t kept = s->rest ? s->rest->n : 0;
    if (s->again)
        return; /* first the work that the peer has sent already */
    if (kept > STREAM_REST) {
        stream_leave(s); /* a user that does not take what it was given */
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
        stream_leave(s);
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
    stream_interest(s);
}

void stream_resume(struct stream *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    stream_interest(s);
    stream_again(s);
}

void stream_again(struct stream *s)
{
    if (s->again)
        return;
    s->again = true;
    stream_list_add(&s->pool->again, s);
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
        stream_read(s);
}

bool stream_pool_again(struct stream_pool *p)
{
    uint32_t n = p->again.n; /* what is added meanwhile waits for the next turn */
    for (uint32_t i = 0; i < n; i++) {
        struct stream *s = stream_list_find(p, &p->again, i);
        if (!s)
            continue;
        again(s);
    }
    p->again.n -= n;
    if (p->again.n)
        memmove(p->again.v, p->again.v + n, p->again.n * sizeof *p->again.v);
    return p->again.n > 0;
}
