/* io/stream_parts.h - what the files of a stream share; private to this folder.
 *
 * stream_pool.c has the slots, stream_in.c what comes, stream_out.c what goes, stream.c the events.
 */
#ifndef IO_STREAM_PARTS_H
#define IO_STREAM_PARTS_H

#include "io/stream.h"

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

/* ---- stream_pool.c ---- */

/* The key of its descriptor in the loop: late events find their own stream or nobody. */
static inline uint64_t stream_key(const struct stream *s)
{
    return (uint64_t)(s->generation & 0x7fffffff) << 32 | s->slot;
}
/* The stream of an entry, if it is still the same. */
static inline struct stream *stream_list_find(struct stream_pool *p, const struct handle_list *l,
                                              uint32_t i)
{
    struct stream *s = stream_at(p, l->v[i][0]);
    return s && s->generation == l->v[i][1] ? s : NULL;
}
void stream_list_add(struct handle_list *l, const struct stream *s);
/* Slots that were freed in this turn may be used again. */
void stream_slots_give_back(struct stream_pool *p);
/* Tells the user, then closes. */
void stream_leave(struct stream *s);

/* ---- stream_in.c ---- */

/* Tells the loop what is waited for. */
void stream_interest(struct stream *s);
/* EPOLLOUT is armed while somebody waits for it. */
void stream_interest_in_writing(struct stream *s);
/* What is left of in[0..n) comes again; `from` is the rest that it lies in, or NULL: the pool's
 * buffer. */
void stream_rest_keep(struct stream *s, const char *in, size_t n, struct stream_rest *from);
/* One read, given to the user. */
void stream_read(struct stream *s);

/* ---- stream_out.c ---- */

/* Puts it on the flush list. */
void stream_mark(struct stream *s);
/* One attempt to write what waits. */
void stream_write(struct stream *s);
void stream_queue_free(struct stream *s);

#endif
