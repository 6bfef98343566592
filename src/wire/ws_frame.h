/* wire/ws_frame.h - WebSocket frames of clients to messages, and the heads of our own frames.
 *
 * Nature   pure codec: no sockets, no clock; one reader per connection, one thread at a time
 * Limits   a reader has at most 40 bytes; a message in assembly at most twice the bytes received
 *          (plus 64), never the declared length; messages and frames at most WS_LARGEST bytes
 * Source   RFC 6455 section 5 and 7.4, RFC 7692 section 6 and 7.2
 *
 * How to read:
 *     while (n && (item = ws_read(r, lim, in, n, &used, &ev), used)) {
 *         ... act on `item` before the next call; after WS_CLOSE and WS_BAD stop reading ...
 *         in += used, n -= used;
 *     }
 *     ws_reader_release(r);
 *     ... keep in[0..n): fewer than WS_REST bytes, and put them in front of what arrives next ...
 */
#ifndef WIRE_WS_FRAME_H
#define WIRE_WS_FRAME_H

#include "base/base.h"

#define WS_LARGEST (1u << 30)
#define WS_REST (6 + 125) /* a whole control frame; less than this is left unread */

enum ws_opcode {
    WS_OP_CONTINUATION = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

struct ws_limits {
    uint64_t max_message; /* bytes of a message, after inflating; the sum of its fragments */
    uint64_t max_frame;   /* bytes of one frame as sent */
    bool deflate;         /* permessage-deflate was negotiated: RSV1 is allowed */
};

/* All zero is a fresh reader. */
struct ws_reader {
    /* the message in assembly, or the one delivered last */
    char *body;
    uint32_t n, cap;
    /* the frame that has begun but not ended */
    uint32_t left;
    uint8_t mask[4]; /* turned: mask[0] is for the next byte */
    /* what is going on */
    uint8_t utf8; /* enum utf8 of a text that is not compressed */
    bool in_frame, is_last_frame;
    bool in_message, is_binary, is_compressed;
    bool is_delivered; /* body belongs to the caller until the next call */
    bool is_over;      /* WS_CLOSE or WS_BAD was returned: what follows is dropped */
};

enum ws_item {
    WS_MORE,    /* nothing to act on. used > 0: call again; used 0: more bytes are needed */
    WS_MESSAGE, /* payload, binary */
    WS_PING,    /* payload: to be sent back */
    WS_PONG,    /* payload */
    WS_CLOSE,   /* close_code as received, 1005 if there was none; payload = reason */
    WS_BAD,     /* close with close_code */
};

struct ws_event {
    enum ws_item item;
    str payload;         /* in `in` or in the reader: until the next call on this reader */
    bool binary;         /* not checked for UTF-8 */
    uint16_t close_code; /* WS_BAD: 1002, 1007 or 1009 */
    const char *why;     /* WS_BAD: a few words, fit to be sent as the reason */
};

/* Takes bytes from the front of in[0..n), at most one frame, and says in *used how many. It writes
 * into `in` (unmasking). A message in one frame that has arrived whole is a slice of `in`. Of an
 * incomplete data frame all bytes are taken; an incomplete head or control frame is left.
 * Invalid UTF-8 in a text is WS_BAD as soon as its bad byte is in `in`; if the message is
 * compressed, when it is complete. Every frame, also an empty one, ends a call: callers count
 * calls. */
enum ws_item ws_read(struct ws_reader *r, const struct ws_limits *lim, char *in, size_t n,
                     size_t *used, struct ws_event *ev);

/* A message has begun and is not complete. Bytes the caller kept are not known here. */
bool ws_reader_midway(const struct ws_reader *r);

/* Frees the message delivered last, if it was not a slice of `in`. ws_read does it too. */
void ws_reader_release(struct ws_reader *r);

/* Frees everything; the reader is fresh again. */
void ws_reader_finish(struct ws_reader *r);

/* Unmasks (or masks) p[0..n) in place; mask[0] belongs to p[0]. */
void ws_unmask(char *p, size_t n, const uint8_t mask[4]);

#define WS_HEAD_MAX 10
/* Writes the head of a final, unmasked frame of `payload` bytes; gives its length, 2..10. */
size_t ws_frame_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, bool rsv1, uint64_t payload);

/* Writes the payload of a Close frame; gives its length. The reason is cut to 123 bytes between
 * two characters. 1005 (no code) gives an empty payload. */
size_t ws_close_payload(uint8_t out[125], uint16_t code, str reason);

/* May this code stand in a Close frame: 1000-1003, 1007-1014, 3000-4999. */
bool ws_close_code_ok(uint16_t code);

#endif
