/* io/stream.c - what the loop tells a stream: its descriptor is ready, its time has come. */
#include "io/stream.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "io/stream_parts.h"

/* The peer has been answered; what it still sends would make our close a reset that may overtake
 * the answer. It is dropped, but not without end. */
static void drain_input(struct stream *s)
{
    ssize_t n = recv(s->fd, s->pool->buffer, STREAM_READ, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        stream_leave(s);
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
        stream_leave(s);
}

void stream_ready(struct stream_pool *p, uint64_t key, uint32_t events)
{
    struct stream *s = stream_at(p, (uint32_t)key);
    if (!s || stream_key(s) != key)
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
        stream_leave(s);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        stream_read(s);
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
        stream_leave(s);
    else
        s->user->timer(s);
}
