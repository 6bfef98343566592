/* tests/unit/wire_ws_handshake.c - upgrade requests: accepted, refused, negotiated. */
#include "wire/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "wire/http1.h"

#define LINE "GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GOOD LINE UPGRADE CONNECTION KEY VERSION

static struct http1_request req;
static struct ws_handshake hs;

/* `fields` follow a good request without its empty line, or are the whole head. */
static bool decide_text(const char *head, const char *more, int least_bits)
{
    static char text[HTTP1_HEAD_MAX];
    size_t scanned = 0, used, n = strlen(head);
    int status;
    memcpy(text, head, n);
    memcpy(text + n, more, strlen(more));
    n += strlen(more);
    memcpy(text + n, "\r\n", 2);
    assert_int_equal(http1_head(str_of(text, n + 2), &scanned, &req, &used, &status), PARSE_OK);
    return ws_handshake_decide(&req, least_bits, &hs);
}

static void assert_answer(const char *want)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    assert_true(ws_handshake_write(&hs, &b));
    if (!str_eq(buf_str(&b), str_z(want)))
        fail_msg("got '%.*s'", FMT(buf_str(&b)));
    buf_finish(&b);
}

#define ACCEPTED                                                                                   \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* WS-1; the key and its answer are the example of RFC 6455 §1.3. */
static void ws1_accepted(void **state)
{
    (void)state;
    assert_true(decide_text(GOOD, "", WS_NO_DEFLATE));
    assert_answer(ACCEPTED "\r\n");
    assert_true(decide_text(
        LINE "upgrade: h2c, WebSocket\r\nconnection: keep-alive, Upgrade\r\n" KEY VERSION, "",
        WS_NO_DEFLATE));
    assert_answer(ACCEPTED "\r\n");
}

/* WS-3 and websocket-protocol.md §1.3: the texts, in their order. */
static void ws3_refused(void **state)
{
    (void)state;
    static const struct {
        const char *head, *text;
    } rows[] = {
        {LINE, "Missing Upgrade header"},
        {LINE CONNECTION KEY VERSION, "Missing Upgrade header"},
        {"GET / HTTP/1.0\r\n" UPGRADE CONNECTION KEY VERSION, "Missing Upgrade header"},
        {LINE "Upgrade: h2c\r\n" CONNECTION KEY VERSION, "Invalid Upgrade header"},
        {LINE "Upgrade:\r\n" CONNECTION KEY VERSION, "Invalid Upgrade header"},
        {LINE "Upgrade: websocket2\r\n" CONNECTION KEY VERSION, "Invalid Upgrade header"},
        {LINE UPGRADE KEY VERSION, "Missing Connection header"},
        {LINE UPGRADE "Connection: keep-alive\r\n" KEY VERSION, "Invalid Connection header"},
        {LINE UPGRADE CONNECTION VERSION, "Missing Sec-WebSocket-Key"},
        {LINE UPGRADE CONNECTION KEY, "Missing Sec-WebSocket-Version"},
        {LINE UPGRADE CONNECTION KEY KEY VERSION, "Invalid Sec-WebSocket-Key"},
        {LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\r\n", "Invalid Sec-WebSocket-Key"},
        {LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAAA\r\n",
         "Invalid Sec-WebSocket-Key"},
        {LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAA===\r\n",
         "Invalid Sec-WebSocket-Key"},
        {LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==A\r\n",
         "Invalid Sec-WebSocket-Key"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_false(decide_text(rows[i].head, "", WS_WINDOW_LEAST));
        assert_int_equal(hs.status, 400);
        if (!str_eq(hs.text, str_z(rows[i].text)))
            fail_msg("row %zu: got '%.*s', want '%s'", i, FMT(hs.text), rows[i].text);
    }
    assert_false(decide_text(LINE, "", WS_WINDOW_LEAST));
    assert_answer("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 22\r\nConnection: close\r\n\r\nMissing Upgrade header");
}

static void ws4_version(void **state)
{
    (void)state;
    static const char *const versions[] = {"12", "14", "", "013", "+13", "13, 8", "x"};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        char field[64] = "Sec-WebSocket-Version: ";
        strcat(strcat(field, versions[i]), "\r\n");
        assert_false(decide_text(LINE UPGRADE CONNECTION KEY, field, WS_NO_DEFLATE));
        assert_int_equal(hs.status, 426);
    }
    assert_answer("HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\n"
                  "Content-Length: 29\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\nUnsupported WebSocket version");
    assert_false(decide_text(GOOD, VERSION, WS_NO_DEFLATE));
    assert_int_equal(hs.status, 426);
}

/* SEC-23 */
static void sec23_two_origins(void **state)
{
    (void)state;
    assert_true(decide_text(GOOD, "Origin: https://a\r\n", WS_NO_DEFLATE));
    assert_false(decide_text(GOOD, "Origin: https://a\r\norigin: https://a\r\n", WS_NO_DEFLATE));
    assert_int_equal(hs.status, 400);
}

static void ws10_subprotocol(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *want;
    } rows[] = {
        {"", ""},
        {"Sec-WebSocket-Protocol: pusher-channels-protocol-7, x\r\n", "pusher-channels-protocol-7"},
        {"Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Protocol: a\r\n", "b"},
        {"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: ,, a\r\n", "a"},
        {"Sec-WebSocket-Protocol: \xff, a b, c\r\n", "c"},
        {"Sec-WebSocket-Protocol: ,\r\n", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(decide_text(GOOD, rows[i].fields, WS_WINDOW_LEAST));
        assert_true(str_eq(hs.protocol, str_z(rows[i].want)));
    }
    assert_true(decide_text(GOOD, "Sec-WebSocket-Protocol: p7, x\r\n", WS_NO_DEFLATE));
    assert_answer(ACCEPTED "Sec-WebSocket-Protocol: p7\r\n\r\n");
}

static void ws11_no_compression_by_default(void **state)
{
    (void)state;
    assert_true(decide_text(
        GOOD, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        WS_NO_DEFLATE));
    assert_false(hs.deflate);
    assert_answer(ACCEPTED "\r\n");
}

/* websocket-protocol.md §2.6; bits 0: no offer can be met. */
static void deflate_offers(void **state)
{
    (void)state;
    static const struct {
        const char *offer;
        int bits;
        bool named;
    } rows[] = {
        {"permessage-deflate", 15, false},
        {"permessage-deflate; client_max_window_bits", 15, false},
        {"permessage-deflate;client_max_window_bits=8", 15, false},
        {"Permessage-Deflate ; Server_No_Context_Takeover ;\tclient_no_context_takeover", 15,
         false},
        {"permessage-deflate; server_max_window_bits=9", 9, true},
        {"permessage-deflate; server_max_window_bits=15", 15, true},
        {"permessage-deflate; server_max_window_bits = \"10\"", 10, true},
        {"permessage-deflate; server_max_window_bits=8", 0, false},
        {"permessage-deflate; server_max_window_bits=8, permessage-deflate", 15, false},
        {"permessage-deflate; server_max_window_bits=16", 0, false},
        {"permessage-deflate; server_max_window_bits=010", 0, false},
        {"permessage-deflate; server_max_window_bits", 0, false},
        {"permessage-deflate; server_max_window_bits=", 0, false},
        {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", 0, false},
        {"permessage-deflate; client_max_window_bits=16", 0, false},
        {"permessage-deflate; client_max_window_bits=7", 0, false},
        {"permessage-deflate; client_max_window_bits; client_max_window_bits", 0, false},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", 0, false},
        {"permessage-deflate; server_no_context_takeover=1", 0, false},
        {"permessage-deflate; unknown", 0, false},
        {"permessage-deflate; unknown=\"x\" , permessage-deflate; server_max_window_bits=12", 12,
         true},
        {"x-webkit-deflate-frame, bzip; a=b, permessage-deflate", 15, false},
        {"x-webkit-deflate-frame", 0, false},
        {",, permessage-deflate ,", 15, false},
        {"permessage-deflate;", 0, false},
        {"permessage-deflate x, permessage-deflate", 0, false},
        {"a; b=\"permessage-deflate, permessage-deflate", 0, false},
        {"a; b=\"\\\", permessage-deflate", 0, false},
        {"", 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char field[200] = "Sec-WebSocket-Extensions: ";
        strcat(strcat(field, rows[i].offer), "\r\n");
        assert_true(decide_text(GOOD, field, WS_WINDOW_LEAST));
        if (hs.deflate != (rows[i].bits != 0) || hs.names_window_bits != rows[i].named ||
            hs.server_window_bits != (rows[i].bits ? rows[i].bits : 15))
            fail_msg("'%s': %d, %d", rows[i].offer, hs.deflate, hs.server_window_bits);
    }
}

/* Who compresses with the full window alone takes the first offer that lets him. */
static void full_window_alone(void **state)
{
    (void)state;
    assert_true(decide_text(GOOD,
                            "Sec-WebSocket-Extensions: permessage-deflate; "
                            "server_max_window_bits=10, permessage-deflate\r\n",
                            WS_WINDOW_MOST));
    assert_true(hs.deflate && !hs.names_window_bits && hs.server_window_bits == 15);
    assert_true(decide_text(GOOD,
                            "Sec-WebSocket-Extensions: permessage-deflate; "
                            "server_max_window_bits=14\r\n",
                            WS_WINDOW_MOST));
    assert_false(hs.deflate);
}

static void deflate_answer(void **state)
{
    (void)state;
    assert_true(decide_text(GOOD,
                            "Sec-WebSocket-Extensions: x\r\n"
                            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                            WS_WINDOW_LEAST));
    assert_answer(ACCEPTED
                  "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                  "client_no_context_takeover\r\n\r\n");
    assert_true(decide_text(
        GOOD, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=11\r\n",
        WS_WINDOW_LEAST));
    assert_answer(ACCEPTED
                  "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                  "client_no_context_takeover; server_max_window_bits=11\r\n\r\n");
}

/* SEC-7: long junk in the parsed fields neither agrees to anything nor reads outside. */
static void sec7_junk(void **state)
{
    (void)state;
    static const char fills[] = ", \\\";=a";
    static char field[8400];
    for (size_t f = 0; f < sizeof(fills) - 1; f++) {
        for (int proto = 0; proto < 2; proto++) {
            strcpy(field, proto ? "Sec-WebSocket-Protocol: " : "Sec-WebSocket-Extensions: ");
            size_t n = strlen(field);
            memset(field + n, fills[f], 8192);
            strcpy(field + n + 8192, "\r\n");
            assert_true(decide_text(GOOD, field, WS_WINDOW_LEAST));
            assert_false(hs.deflate);
        }
    }
}

static void full_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_true(decide_text(GOOD, "", WS_NO_DEFLATE));
    assert_false(ws_handshake_write(&hs, &b));
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws1_accepted),     cmocka_unit_test(ws3_refused),
        cmocka_unit_test(ws4_version),      cmocka_unit_test(sec23_two_origins),
        cmocka_unit_test(ws10_subprotocol), cmocka_unit_test(ws11_no_compression_by_default),
        cmocka_unit_test(deflate_offers),   cmocka_unit_test(full_window_alone),
        cmocka_unit_test(deflate_answer),   cmocka_unit_test(sec7_junk),
        cmocka_unit_test(full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
