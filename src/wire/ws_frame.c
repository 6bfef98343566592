#include "wire/ws_frame.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/ws_inflate.h"

_Static_assert(sizeof(struct ws_reader) <= 40, "every connection has one");

/* The head of a client frame; `size` is its length with the mask. */
struct head {
    unsigned opcode;
    bool is_final, rsv1;
    size_t size;
    uint64_t payload;
    uint8_t mask[4];
};

static bool is_control(unsigned opcode)
{
    return opcode >= WS_OP_CLOSE;
}

static enum ws_item bad(struct ws_reader *r, struct ws_event *ev, uint16_t code, const char *why)
{
    ws_reader_finish(r);
    r->is_over = true;
    ev->payload = S("");
    ev->close_code = code;
    ev->why = why;
    return WS_BAD;
}

static enum ws_item bad_text(struct ws_reader *r, struct ws_event *ev)
{
    return bad(r, ev, 1007, "Invalid UTF-8");
}

static enum ws_item too_big(struct ws_reader *r, struct ws_event *ev)
{
    return bad(r, ev, 1009, "Message too big");
}

/* ---- the head ------------------------------------------------------------------------------ */

/* What the first two bytes can already be wrong about (RFC 6455 5.2, 5.4, 5.5; RFC 7692 6). */
static const char *wrong_bits(const struct ws_reader *r, const struct ws_limits *lim, uint8_t b0,
                              uint8_t b1)
{
    unsigned opcode = b0 & 0x0f;
    bool starts_message = opcode == WS_OP_TEXT || opcode == WS_OP_BINARY;
    if (b0 & 0x30)
        return "Reserved bit set";
    if ((b0 & 0x40) && !(lim->deflate && starts_message))
        return "Reserved bit set";
    if ((opcode > WS_OP_BINARY && opcode < WS_OP_CLOSE) || opcode > WS_OP_PONG)
        return "Reserved opcode";
    if (!(b1 & 0x80))
        return "Frame not masked";
    if (is_control(opcode) && !(b0 & 0x80))
        return "Fragmented control frame";
    if (is_control(opcode) && (b1 & 0x7f) > 125)
        return "Control frame too long";
    if (starts_message && r->in_message)
        return "Message inside a message";
    if (opcode == WS_OP_CONTINUATION && !r->in_message)
        return "Nothing to continue";
    return NULL;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* NULL, or what is wrong with the length (RFC 6455 5.2: shortest form, top bit zero). */
static const char *wrong_length(uint64_t payload, size_t length_bytes)
{
    if (length_bytes == 2 && payload < 126)
        return "Length not minimal";
    if (length_bytes == 8 && payload <= UINT16_MAX)
        return "Length not minimal";
    if (payload >> 63)
        return "Length out of range";
    return NULL;
}

/* Judges as much of a head as there is. *why_out is set for PARSE_BAD. */
static enum parse parse_head(const struct ws_reader *r, const struct ws_limits *lim,
                             const uint8_t *in, size_t n, struct head *h, const char **why_out)
{
    if (n < 2)
        return PARSE_MORE;
    *why_out = wrong_bits(r, lim, in[0], in[1]);
    if (*why_out)
        return PARSE_BAD;
    unsigned small = in[1] & 0x7f;
    size_t length_bytes = small == 126 ? 2 : small == 127 ? 8 : 0;
    if (n < 2 + length_bytes)
        return PARSE_MORE;
    h->payload = length_bytes ? big_endian(in + 2, length_bytes) : small;
    *why_out = wrong_length(h->payload, length_bytes);
    if (*why_out)
        return PARSE_BAD;
    h->opcode = in[0] & 0x0f;
    h->is_final = in[0] & 0x80;
    h->rsv1 = in[0] & 0x40;
    h->size = 2 + length_bytes + 4;
    if (n >= h->size)
        memcpy(h->mask, in + 2 + length_bytes, 4);
    return PARSE_OK;
}

static uint64_t at_most(uint64_t v, uint64_t max)
{
    return v < max ? v : max;
}

/* The declared length is judged before a byte of it is kept (§2.4). */
static bool exceeds(const struct ws_reader *r, const struct ws_limits *lim, const struct head *h)
{
    uint64_t max = at_most(lim->max_message, WS_LARGEST);
    /* What cannot be compressed grows by up to one bit in eight; the inflated size is judged when
     * the message is complete. */
    if (h->opcode == WS_OP_CONTINUATION ? r->is_compressed : h->rsv1)
        max = at_most(max + max / 8 + 64, WS_LARGEST);
    uint64_t so_far = r->in_message ? r->n : 0;
    return h->payload > at_most(lim->max_frame, WS_LARGEST) || so_far + h->payload > max;
}

/* ---- payload ------------------------------------------------------------------------------- */

void ws_unmask(char *p, size_t n, const uint8_t mask[4])
{
    uint64_t wide, word;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] = (char)((uint8_t)p[i] ^ mask[i & 3]);
}

static void turn_mask(uint8_t mask[4], size_t by)
{
    uint8_t old[4];
    memcpy(old, mask, 4);
    for (size_t i = 0; i < 4; i++)
        mask[i] = old[(i + by) & 3];
}

/* Doubling: never more than twice what has arrived, nor more than a last frame can fill. False: no
 * memory. */
static bool append(struct ws_reader *r, str s)
{
    uint64_t need = (uint64_t)r->n + s.n;
    if (need > r->cap) {
        uint64_t cap = (uint64_t)r->cap * 2;
        if (cap < 64)
            cap = 64;
        if (r->is_last_frame)
            cap = at_most(cap, need + r->left);
        if (cap < need)
            cap = need;
        char *body = mem_try_resize(r->body, cap);
        if (!body)
            return false;
        r->body = body;
        r->cap = (uint32_t)cap;
    }
    if (s.n)
        memcpy(r->body + r->n, s.p, s.n);
    r->n = (uint32_t)need;
    return true;
}

/* `all` is a whole compressed message, in the body or in the caller's bytes. */
static enum ws_item inflate_whole(struct ws_reader *r, const struct ws_limits *lim, str all,
                                  struct ws_event *ev)
{
    struct buf out;
    buf_init(&out, at_most(lim->max_message, WS_LARGEST));
    out.soft = true;
    enum inflate rc = inflate_message(&out, all);
    if (rc != INFLATE_OK) {
        buf_finish(&out);
        return rc == INFLATE_TOO_BIG ? too_big(r, ev) : bad(r, ev, 1007, "Broken compression");
    }
    free(r->body);
    r->body = out.p;
    r->n = (uint32_t)out.n;
    r->cap = (uint32_t)out.cap;
    ev->payload = out.n ? buf_str(&out) : S("");
    if (!r->is_binary && !utf8_ok(ev->payload))
        return bad_text(r, ev);
    return WS_MESSAGE;
}

/* `all` is a whole message; what text is checked so far is in r->utf8. */
static enum ws_item deliver(struct ws_reader *r, const struct ws_limits *lim, str all,
                            struct ws_event *ev)
{
    ev->payload = all.n ? all : S("");
    ev->binary = r->is_binary;
    r->in_message = false;
    r->in_frame = false;
    r->is_delivered = true;
    if (r->is_compressed)
        return inflate_whole(r, lim, all, ev);
    if (!r->is_binary && r->utf8 != UTF8_START)
        return bad_text(r, ev);
    return WS_MESSAGE;
}

/* Takes what there is of the frame in progress. */
static enum ws_item take_payload(struct ws_reader *r, const struct ws_limits *lim, char *in,
                                 size_t n, size_t *used, struct ws_event *ev)
{
    size_t got = n < r->left ? n : r->left;
    str piece = str_of(in, got);
    ws_unmask(in, got, r->mask);
    *used += got;
    r->left -= (uint32_t)got;
    if (!r->is_binary && !r->is_compressed) {
        r->utf8 = (uint8_t)utf8_feed((enum utf8)r->utf8, piece);
        if (r->utf8 == UTF8_BAD)
            return bad_text(r, ev);
    }
    bool ends_message = r->left == 0 && r->is_last_frame;
    if (ends_message && r->n == 0)
        return deliver(r, lim, piece, ev);
    if (!append(r, piece))
        return too_big(r, ev);
    if (ends_message)
        return deliver(r, lim, str_of(r->body, r->n), ev);
    if (r->left == 0)
        r->in_frame = false;
    else
        turn_mask(r->mask, got);
    return WS_MORE;
}

/* ---- control frames ------------------------------------------------------------------------ */

static enum ws_item take_close(struct ws_reader *r, struct ws_event *ev)
{
    str body = ev->payload;
    ev->close_code = 1005;
    if (body.n == 1)
        return bad(r, ev, 1002, "Close with one byte");
    if (body.n >= 2) {
        ev->close_code = (uint16_t)big_endian((const uint8_t *)body.p, 2);
        ev->payload = str_from(body, 2);
        if (!ws_close_code_ok(ev->close_code))
            return bad(r, ev, 1002, "Close code not allowed");
        if (!utf8_ok(ev->payload))
            return bad_text(r, ev);
    }
    r->is_over = true;
    return WS_CLOSE;
}

static enum ws_item take_control(struct ws_reader *r, const struct head *h, char *in,
                                 struct ws_event *ev)
{
    ev->payload = str_of(in, h->payload);
    ws_unmask(in, h->payload, h->mask);
    if (h->opcode == WS_OP_CLOSE)
        return take_close(r, ev);
    return h->opcode == WS_OP_PING ? WS_PING : WS_PONG;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void begin_frame(struct ws_reader *r, const struct head *h)
{
    if (h->opcode != WS_OP_CONTINUATION) {
        r->in_message = true;
        r->is_binary = h->opcode == WS_OP_BINARY;
        r->is_compressed = h->rsv1;
        r->utf8 = UTF8_START;
    }
    r->in_frame = true;
    r->is_last_frame = h->is_final;
    r->left = (uint32_t)h->payload;
    memcpy(r->mask, h->mask, 4);
}

static enum ws_item read_frame(struct ws_reader *r, const struct ws_limits *lim, char *in, size_t n,
                               size_t *used, struct ws_event *ev)
{
    struct head h;
    const char *why;
    switch (parse_head(r, lim, (const uint8_t *)in, n, &h, &why)) {
    case PARSE_MORE:
        return WS_MORE;
    case PARSE_BAD:
        *used = n;
        return bad(r, ev, 1002, why);
    case PARSE_OK:
        break;
    }
    if (!is_control(h.opcode) && exceeds(r, lim, &h)) {
        *used = n;
        return too_big(r, ev);
    }
    if (n < h.size || (is_control(h.opcode) && n - h.size < h.payload))
        return WS_MORE;
    *used = h.size;
    if (!is_control(h.opcode)) {
        begin_frame(r, &h);
        return take_payload(r, lim, in + h.size, n - h.size, used, ev);
    }
    *used += h.payload;
    return take_control(r, &h, in + h.size, ev);
}

enum ws_item ws_read(struct ws_reader *r, const struct ws_limits *lim, char *in, size_t n,
                     size_t *used, struct ws_event *ev)
{
    *used = 0;
    *ev = (struct ws_event){.item = WS_MORE, .payload = S("")};
    ws_reader_release(r);
    if (r->is_over) {
        *used = n;
        return WS_MORE;
    }
    ev->item =
        r->in_frame ? take_payload(r, lim, in, n, used, ev) : read_frame(r, lim, in, n, used, ev);
    return ev->item;
}

bool ws_reader_midway(const struct ws_reader *r)
{
    return r->in_message;
}

void ws_reader_release(struct ws_reader *r)
{
    if (!r->is_delivered)
        return;
    free(r->body);
    r->body = NULL;
    r->n = r->cap = 0;
    r->is_delivered = false;
}

void ws_reader_finish(struct ws_reader *r)
{
    free(r->body);
    *r = (struct ws_reader){0};
}

/* ---- writing ------------------------------------------------------------------------------- */

size_t ws_frame_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, bool rsv1, uint64_t payload)
{
    out[0] = (uint8_t)(0x80 | (rsv1 ? 0x40 : 0) | (unsigned)opcode);
    if (payload < 126) {
        out[1] = (uint8_t)payload;
        return 2;
    }
    size_t length_bytes = payload <= UINT16_MAX ? 2 : 8;
    out[1] = length_bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < length_bytes; i++)
        out[2 + i] = (uint8_t)(payload >> (8 * (length_bytes - 1 - i)));
    return 2 + length_bytes;
}

size_t ws_close_payload(uint8_t out[125], uint16_t code, str reason)
{
    if (code == 1005)
        return 0;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    reason = utf8_cut(reason, 123);
    if (reason.n)
        memcpy(out + 2, reason.p, reason.n);
    return 2 + reason.n;
}

bool ws_close_code_ok(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
