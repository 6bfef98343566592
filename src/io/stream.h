/* io/stream.h - the socket phase of every connection: descriptor, handle, input rest, output.
 *
 * A pool belongs to a worker: slots of one size, of which struct stream is the first member. HTTP
 * and WebSocket connections are its users; an upgrade changes the user, the slot stays.
 *
 * Nature   one thread (the loop's)
 * Input    read into the pool's buffer and parsed there; what the user leaves is kept and comes
 *          again in front of the next bytes
 * Output   marked by stream_send, written in the flush of the turn, each stream once, at most
 *          STREAM_FLUSH_SLICE writes a turn; what the kernel refuses waits in a queue of its own
 * TLS      stream_secure puts it between descriptor and user, who hears the first bytes after the
 *          handshake: STREAM_HANDSHAKES steps of handshakes a turn, the others in their order in
 *          the next, each handshake within STREAM_HANDSHAKE_MS. What waits for one flush becomes
 *          one record; what OpenSSL has not taken counts as unsent
 * Ending   what is queued still leaves as long as STREAM_PROGRESS bytes leave in STREAM_STALL_MS;
 *          the lingering begins behind it, and drops at most STREAM_LINGER_DROP bytes of input
 *
 * Limits   STREAM_READ bytes per stream and turn; nothing is read while a user has left work for
 *          the next turn; an unfinished item may be STREAM_REST bytes, or the stream is closed;
 *          unsent output: struct stream_limits, judged on what the kernel refused (design §5)
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/limits.h"
#include "io/loop.h"
#include "io/sequence.h"
#include "io/tls.h"

struct stream;
struct stream_pool;
/* What a user does; every slot is mandatory. The stream may be closed inside any of them. */
struct stream_user {
    /* Bytes in[0..n), which may be changed. Returns how many are used up; the rest comes again.
     * Set *more when work was left for the next turn although bytes lie there. */
    size_t (*data)(struct stream *s, char *in, size_t n, bool *more);
    void (*timer)(struct stream *s); /* the deadline of stream_deadline has passed */
    void (*gone)(
        struct stream *s); /* end of file, error, reset: clean up; the slot is freed next */
    void (*full)(struct stream *s);    /* a limit's worth is unsent (limits apply only if set) */
    void (*drained)(struct stream *s); /* everything queued has left */
};

struct stream_queue; /* what the kernel refused */
struct stream_rest;

struct stream {
    const struct stream_user *user;
    struct sequence *out;       /* not yet tried */
    struct stream_queue *queue; /* tried and refused; then `out` is NULL */
    struct stream_rest *rest;
    struct tls_session *tls; /* NULL: plain */
    struct timer timer;
    struct stream_pool *pool;
    int fd;
    uint32_t slot, generation;
    bool dirty : 1;       /* on the pool's flush list */
    bool again : 1;       /* on the pool's list of the next turn */
    bool paused : 1;      /* no reading */
    bool want_write : 1;  /* EPOLLOUT is armed */
    bool ending : 1;      /* close when drained; input is dropped */
    bool shut : 1;        /* our side is shut down, we wait for the peer's end */
    bool over : 1;        /* on the list of full streams */
    bool limited : 1;     /* limits are judged */
    bool deflate : 1;     /* permessage-deflate was agreed */
    bool reset : 1;       /* cut with RST when the linger time ends */
    bool hears_end : 1;   /* while ending the user still gets input, to see the peer's farewell */
    bool drains : 1;      /* was here when the drain began */
    bool peer_done : 1;   /* nothing more comes: close as soon as the output has left */
    bool handshaking : 1; /* TLS has begun: nothing reaches the user, nothing leaves */
    bool read_waits : 1;  /* TLS must write before it can read on */
    bool late : 1;        /* it is gone because TLS was not agreed in time */
    uint16_t linger_ms;   /* while ending: how long to wait for the peer's end */
};

struct stream_limits {
    uint32_t max_messages; /* 0: none */
    size_t max_bytes;      /* 0: none */
    bool drop_when_full;   /* leave out droppable frames instead of calling full() */
};

struct stream_pool {
    struct loop *loop;
    struct stream_limits limits;
    struct tls_set *tls;      /* for new connections of the owner; a reference, NULL: none */
    struct sequence roots[2]; /* of plain and of compressed frames: nobody has both */
    size_t item_size;
    char **chunks;              /* NULL: trimmed away */
    uint32_t *chunk_generation; /* of a trimmed one: what its handles did not pass */
    uint32_t chunk_count;
    uint32_t *free_slots, free_count, free_cap;
    uint32_t *freed, freed_count, freed_cap; /* reusable after the turn */
    uint32_t slots_made, live;
    uint32_t draining; /* live ones that were here when the drain began */
    struct handle_list {
        uint32_t (*v)[2]; /* slot, generation */
        uint32_t n, cap, head;
    } dirty, again, over;
    char *buffer;
    char *record; /* frames are joined there for TLS; NULL until the first such stream */
    uint16_t worker;
    uint64_t dropped;    /* frames that were not queued because their reader is slow */
    uint64_t unsent;     /* bytes that the kernel refused and that still wait */
    uint32_t handshakes; /* steps in this turn */
};

void stream_pool_init(struct stream_pool *p, struct loop *l, uint16_t worker, size_t item_size);
/* Closes what is open without calling users. */
void stream_pool_finish(struct stream_pool *p);
/* A slot for a connected, non-blocking descriptor, which is taken. NULL: epoll refused, fd closed.
 * The bytes behind struct stream are zero. */
struct stream *stream_open(struct stream_pool *p, int fd, const struct stream_user *user);
/* Right after stream_open: the peer must speak TLS. Sets the deadline. */
void stream_secure(struct stream *s, struct tls_set *set);
struct stream *stream_at(struct stream_pool *p, uint32_t slot); /* NULL if free */
struct stream *stream_find(struct stream_pool *p, struct handle h);
static inline struct handle stream_handle(const struct stream *s)
{
    return (struct handle){.slot = s->slot, .worker = s->pool->worker, .generation = s->generation};
}
/* Calls fn for each live stream; fn may close it. */
void stream_each(struct stream_pool *p, void (*fn)(struct stream *s, void *ctx), void *ctx);

/* The drain begins: counts those who are here now in p->draining until they are gone. */
void stream_pool_drain(struct stream_pool *p);

/* Appends; f is referenced, not taken. Nothing after stream_end. */
void stream_send(struct stream *s, struct frame *f);
/* Something waits in user space, tried or not. */
bool stream_has_output(const struct stream *s);
bool stream_is_blocked(const struct stream *s); /* the kernel refused some */
size_t stream_unsent(const struct stream *s);   /* bytes of it */
/* When the peer will have taken too little of what waits for too long, if it goes on like this; 0:
 * nothing waits. */
int64_t stream_stalls_ms(const struct stream *s);
/* No more reading until stream_resume; bytes at hand are kept. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Looks at kept bytes again in the next turn. */
void stream_again(struct stream *s);
void stream_deadline(struct stream *s, int64_t due_ms);
/* Sends what is queued, then shuts down and waits linger_ms for the peer's end (with hears_end, or
 * 0: all that within linger_ms); closes (RST if `reset`). The user hears `gone` at the end. */
void stream_end(struct stream *s, int64_t linger_ms);
/* While ending: the peer has said farewell too. Closes as soon as the output has left. */
void stream_peer_done(struct stream *s);
/* Throws unsent output away, except a frame whose first bytes have left. */
void stream_drop_output(struct stream *s);
/* Closes now, without `gone`. */
void stream_close(struct stream *s);

/* Frees the slots that nobody needs. */
void stream_pool_trim(struct stream_pool *p);

/* For the owner of the loop. */
void stream_ready(struct stream_pool *p, uint64_t key, uint32_t epoll_events);
bool stream_pool_again(struct stream_pool *p);
bool stream_pool_flush(struct stream_pool *p);
static inline struct stream *stream_of_timer(struct timer *t)
{
    return CONTAINER_OF(t, struct stream, timer);
}
void stream_timer(struct stream *s);

#endif
