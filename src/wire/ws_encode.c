#include "wire/ws_encode.h"

#include "base/buf.h"
#include "wire/ws_frame.h"
#include "wire/ws_inflate.h"

enum { WINDOW_BITS = 15, CONTROL_MAX = 125 };

static struct frame *frame_with(enum ws_opcode opcode, bool rsv1, str payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_frame_head(head, opcode, rsv1, payload.n);
    struct frame *f = frame_create(n + payload.n);
    memcpy(f->bytes, head, n);
    if (payload.n)
        memcpy(f->bytes + n, payload.p, payload.n);
    return f;
}

struct frame *ws_text_frame(str text, bool deflate)
{
    struct buf small;
    struct frame *f;
    if (!deflate || text.n < WS_DEFLATE_MIN) {
        f = frame_with(WS_OP_TEXT, false, text);
        f->payload = (uint32_t)text.n;
        return f;
    }
    buf_init(&small, text.n); /* what does not shrink is sent as it is */
    small.soft = true;
    bool shrunk = deflate_message(&small, text, WINDOW_BITS);
    f = frame_with(WS_OP_TEXT, shrunk, shrunk ? buf_str(&small) : text);
    f->payload = (uint32_t)text.n;
    buf_finish(&small);
    return f;
}

struct frame *ws_control_frame(unsigned opcode, str payload)
{
    CHECK(payload.n <= CONTROL_MAX);
    return frame_with((enum ws_opcode)opcode, false, payload);
}

struct frame *ws_close_frame(uint16_t code, str reason)
{
    uint8_t payload[CONTROL_MAX];
    size_t n = ws_close_payload(payload, code, reason);
    return frame_with(WS_OP_CLOSE, false, str_of(payload, n));
}
