/* wire/ws_inflate.h - permessage-deflate without context takeover: one message in, one out.
 *
 * Nature   pure but for one set of zlib streams per thread, made at first use
 * Limits   output at most out->max bytes; zlib holds up to 48 KiB per thread to inflate and up to
 *          260 KiB per window size to deflate; a message is at most 1 GiB
 * Source   RFC 7692 section 7.2
 */
#ifndef WIRE_WS_INFLATE_H
#define WIRE_WS_INFLATE_H

#include "base/base.h"
#include "base/buf.h"

/* Appends the compressed `in` (RFC 7692 7.2.1: sync flush, without its last 00 00 ff ff) to `out`.
 * window_bits 9..15, as negotiated in server_max_window_bits (15 if not).
 * Errors   false: it does not fit into out->max; what was appended is removed again. */
NODISCARD bool deflate_message(struct buf *out, str in, int window_bits);

enum inflate {
    INFLATE_OK,
    INFLATE_TOO_BIG, /* the message has more bytes than out->max leaves room for */
    INFLATE_BROKEN,  /* not a deflate stream, or it ends in the middle */
};

/* Appends the message that `in` (the joined payload of its frames) holds to `out`. It stops at the
 * first byte too many. Any window size of the sender is understood. After an error the content
 * of `out` is of no use. */
NODISCARD enum inflate inflate_message(struct buf *out, str in);

/* Frees the streams of the calling thread; they are made again when needed. */
void ws_inflate_finish_thread(void);

#endif
