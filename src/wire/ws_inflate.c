#include "wire/ws_inflate.h"

#include <stdlib.h>
#include <zlib.h>

#define LARGEST ((size_t)1 << 30)
#define SMALLEST_WINDOW 9
#define LARGEST_WINDOW 15
#define MEM_LEVEL 8
#define LEVEL 1

/* What a sync flush ends with; it is not sent (RFC 7692 7.2.1). */
static const unsigned char flush_tail[4] = {0x00, 0x00, 0xff, 0xff};

/* The streams are reset before a message, not after: a message leaves nothing behind that matters.
 */
struct stream {
    z_stream z;
    bool is_made;
};
static __thread struct stream inflater;
static __thread struct stream deflaters[LARGEST_WINDOW - SMALLEST_WINDOW + 1];

static void *take(void *unused, uInt items, uInt size)
{
    (void)unused;
    return mem_zero((size_t)items * size);
}

static void give_back(void *unused, void *p)
{
    (void)unused;
    free(p);
}

/* zlib's own memory is ours to have: 300 KB a thread, and nothing can be said without it. */
static void stream_make(z_stream *z)
{
    memset(z, 0, sizeof *z);
    z->zalloc = take;
    z->zfree = give_back;
}

static z_stream *inflater_ready(void)
{
    if (inflater.is_made) {
        CHECK(inflateReset(&inflater.z) == Z_OK);
    } else {
        stream_make(&inflater.z);
        CHECK(inflateInit2(&inflater.z, -LARGEST_WINDOW) == Z_OK);
        inflater.is_made = true;
    }
    return &inflater.z;
}

static z_stream *deflater_ready(int window_bits)
{
    CHECK(window_bits >= SMALLEST_WINDOW && window_bits <= LARGEST_WINDOW);
    struct stream *s = &deflaters[window_bits - SMALLEST_WINDOW];
    if (s->is_made) {
        CHECK(deflateReset(&s->z) == Z_OK);
    } else {
        stream_make(&s->z);
        CHECK(deflateInit2(&s->z, LEVEL, Z_DEFLATED, -window_bits, MEM_LEVEL, Z_DEFAULT_STRATEGY) ==
              Z_OK);
        s->is_made = true;
    }
    return &s->z;
}

void ws_inflate_finish_thread(void)
{
    if (inflater.is_made)
        inflateEnd(&inflater.z);
    inflater.is_made = false;
    for (size_t i = 0; i < COUNT_OF(deflaters); i++) {
        if (deflaters[i].is_made)
            deflateEnd(&deflaters[i].z);
        deflaters[i].is_made = false;
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void give_input(z_stream *z, const void *p, size_t n)
{
    z->next_in = (unsigned char *)(uintptr_t)p; /* zlib does not write there */
    z->avail_in = (uInt)n;
}

bool deflate_message(struct buf *out, str in, int window_bits)
{
    if (in.n > LARGEST)
        return false;
    z_stream *z = deflater_ready(window_bits);
    /* The bound is for Z_FINISH; an empty stored block more is at most 6 bytes. */
    size_t room = smaller(deflateBound(z, (uLong)in.n) + 16, out->max - out->n);
    if (room == 0) {
        out->full = true;
        return false;
    }
    char *to = buf_room(out, room);
    if (!to)
        return false;
    give_input(z, in.p, in.n);
    z->next_out = (unsigned char *)to;
    z->avail_out = (uInt)room;
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0) {
        out->full = true;
        return false;
    }
    CHECK(z->avail_in == 0);
    size_t made = room - z->avail_out;
    CHECK(made > sizeof flush_tail &&
          memcmp(to + made - sizeof flush_tail, flush_tail, sizeof flush_tail) == 0);
    out->n += made - sizeof flush_tail;
    return true;
}

/* One call of zlib into what room there is; a spare byte tells "exactly the limit" from more. */
static int inflate_step(z_stream *z, struct buf *out, bool *too_big_out)
{
    unsigned char spare;
    size_t free_bytes = out->max - out->n;
    size_t room = smaller(free_bytes, out->cap - out->n);
    if (room == 0 && free_bytes > 0) {
        *too_big_out = !buf_room(out, 1);
        if (*too_big_out)
            return Z_OK;
        room = out->cap - out->n;
    }
    z->next_out = room ? (unsigned char *)out->p + out->n : &spare;
    z->avail_out = room ? (uInt)smaller(room, LARGEST) : 1;
    uInt offered = z->avail_out;
    int rc = inflate(z, Z_SYNC_FLUSH);
    size_t made = offered - z->avail_out;
    if (room)
        out->n += made;
    else if (made)
        *too_big_out = true;
    return rc;
}

/* Between two blocks, with no bits left over (zlib.h, inflate: data_type). */
static bool at_block_end(const z_stream *z)
{
    return (z->data_type & 128) && (z->data_type & 63) == 0;
}

/* Inflates all of the input given. *ended_out: the last thing seen was the end of a final block. */
static enum inflate inflate_all(z_stream *z, struct buf *out, bool *ended_out)
{
    for (;;) {
        bool too_big = false;
        int rc = inflate_step(z, out, &too_big);
        if (too_big)
            return INFLATE_TOO_BIG;
        if (rc == Z_STREAM_END) {
            /* RFC 7692 7.2.3.4: a sender may use a final block; the message can go on after it.
             * References back across a final block are not understood. */
            *ended_out = z->avail_in == 0;
            if (z->avail_in == 0)
                return INFLATE_OK;
            CHECK(inflateReset(z) == Z_OK);
            continue;
        }
        *ended_out = false;
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return INFLATE_BROKEN;
        /* zlib filled the room: there may be more to come even without input. */
        if (z->avail_out != 0)
            return z->avail_in == 0 ? INFLATE_OK : INFLATE_BROKEN;
    }
}

enum inflate inflate_message(struct buf *out, str in)
{
    if (in.n > LARGEST)
        return INFLATE_TOO_BIG;
    if (in.n == 0)
        return INFLATE_OK;
    z_stream *z = inflater_ready();
    size_t guess = smaller(in.n * 2 + 64, out->max - out->n);
    if (guess && !buf_room(out, guess))
        return INFLATE_TOO_BIG;
    bool ended = false;
    give_input(z, in.p, in.n);
    enum inflate rc = inflate_all(z, out, &ended);
    if (rc != INFLATE_OK || ended)
        return rc;
    give_input(z, flush_tail, sizeof flush_tail);
    rc = inflate_all(z, out, &ended);
    if (rc != INFLATE_OK)
        return rc;
    return ended || at_block_end(z) ? INFLATE_OK : INFLATE_BROKEN;
}
