/* GET /app/{key}: from HTTP to WebSocket. Source: websocket-protocol.md §1.1, §1.3, §1.4 */
#include "api/answer.h"
#include "api/count.h"
#include "api/http.h"
#include "api/route.h"
#include "wire/ws_handshake.h"

void endpoint_upgrade(struct request *q)
{
    struct ws_handshake h;
    struct buf b;
    /* Shared compressed frames need one window: an offer of a smaller one stays unanswered. */
    int least_bits = q->worker->settings->compression ? WS_WINDOW_MOST : WS_NO_DEFLATE;
    if (!ws_handshake_decide(&q->head, least_bits, &h)) {
        q->must_close = true;
        str more = h.status == 426 ? S("Sec-WebSocket-Version: 13\r\n") : S("");
        answer(q, h.status, S("text/plain"), h.text, more);
        return;
    }
    buf_init(&b, SIZE_MAX);
    ws_handshake_write(&h, &b);
    struct frame *f = frame_of(buf_str(&b));
    stream_send(q->stream, f);
    frame_unref(f);
    buf_finish(&b);
    count_answer(q, 101, 0);
    struct upgrade u = {
        .key = q->segments[1],
        .query = q->head.query,
        .origin = http1_header_get(&q->head, S("origin")),
        .deflate = h.deflate,
        .is_surplus = q->is_surplus,
    };
    http_upgrade(q, &u);
}
