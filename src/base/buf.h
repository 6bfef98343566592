/* base/buf.h - a growing byte buffer with a maximum.
 *
 * Nature   pure; one owner
 * Limits   `max` bytes: what would pass it sets `full`, is not stored, and the call returns false.
 *          With `soft`, which its owner sets behind buf_init when a peer says how much it holds, so
 *          does what there is no memory for
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"

struct buf {
    char *p;
    size_t n, cap, max;
    bool full; /* something did not fit: the content is not complete */
    bool soft;
};

void buf_init(struct buf *b, size_t max);
void buf_finish(struct buf *b); /* frees the bytes; the struct may be initialised again */
void buf_clear(struct buf *b);  /* n = 0, keeps the memory, forgets `full` */
/* Room for n more bytes behind p+n, or NULL (full). The caller adds to b->n what it wrote. */
char *buf_room(struct buf *b, size_t n);
bool buf_add(struct buf *b, str s);
bool buf_char(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
bool buf_u64(struct buf *b, uint64_t v); /* decimal */
void buf_drop(struct buf *b, size_t n);  /* removes n bytes in front */

static inline str buf_str(const struct buf *b)
{
    return (str){b->p, b->n};
}

#endif
