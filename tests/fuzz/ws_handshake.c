/* tests/fuzz/ws_handshake.c - offers of extensions and protocols: whatever is agreed was offered,
 * and the answer is a well-formed head with nothing of the peer but one token in it. */
#include "wire/ws_handshake.h"

#include "base/buf.h"
#include "wire/http1.h"

#define GOOD                                                                                       \
    "GET /app/key HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

static void check_answer(const struct ws_handshake *h, const struct http1_request *r)
{
    struct buf b;
    buf_init(&b, HTTP1_HEAD_MAX + 1024);
    CHECK(ws_handshake_write(h, &b));
    CHECK(str_starts(buf_str(&b), S("HTTP/1.1 ")));
    if (h->status == 101) {
        CHECK(h->protocol.n == 0 || http1_is_token(h->protocol));
        CHECK(h->protocol.n == 0 || http1_header_count(r, S("sec-websocket-protocol")) > 0);
        CHECK(!h->deflate || http1_header_count(r, S("sec-websocket-extensions")) > 0);
        CHECK(h->server_window_bits >= 9 && h->server_window_bits <= 15);
        CHECK(str_ends(buf_str(&b), S("\r\n\r\n")));
    } else {
        CHECK((h->status == 400 || h->status == 426) && h->text.n > 0 && !h->deflate);
    }
    buf_finish(&b);
}

/* The input is taken as fields behind a good request: mostly Sec-WebSocket-*. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf head;
    struct http1_request r;
    struct ws_handshake h, off;
    size_t scanned = 0, used;
    int status;
    buf_init(&head, HTTP1_HEAD_MAX);
    bool ok = buf_add(&head, S(GOOD)) && buf_add(&head, str_of(data, size)) &&
              buf_add(&head, S("\r\n\r\n"));
    if (ok && http1_head(buf_str(&head), &scanned, &r, &used, &status) == PARSE_OK) {
        bool agreed = ws_handshake_decide(&r, WS_WINDOW_LEAST, &h);
        check_answer(&h, &r);
        CHECK(agreed == ws_handshake_decide(&r, WS_NO_DEFLATE, &off) && !off.deflate);
        CHECK(agreed == (h.status == 101) && h.status == off.status);
    }
    buf_finish(&head);
    return 0;
}
