/* tests/unit/wire_http1.c - request heads, chunked bodies, response heads. */
#include "wire/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/buf.h"

#define NEXT "GET /second HTTP/1.1\r\nHost: evil\r\n\r\n"

static struct http1_request req;
static size_t used;
static int status;

static enum parse whole(str in)
{
    size_t scanned = 0;
    return http1_head(in, &scanned, &req, &used, &status);
}

/* Feeds a copy of exactly the bytes that arrived, `step` more each time. */
static enum parse in_steps(str in, size_t step)
{
    size_t scanned = 0;
    for (size_t n = step;; n += step) {
        if (n > in.n)
            n = in.n;
        char *copy = malloc(n + 1);
        memcpy(copy, in.p, n);
        enum parse p = http1_head(str_of(copy, n), &scanned, &req, &used, &status);
        free(copy);
        if (p != PARSE_MORE || n == in.n)
            return p;
    }
}

static void assert_str(str got, const char *want)
{
    if (!str_eq(got, str_z(want)))
        fail_msg("got '%.*s', want '%s'", FMT(got), want);
}

/* SEC-17, HTTP-72: one refusal each, whatever follows and however it is cut. */
static const struct {
    const char *why;
    str head;
    int status;
} bad_heads[] = {
    {"bare LF line", STR("GET / HTTP/1.1\nHost: x\r\n\r\n"), 400},
    {"bare LF field", STR("GET / HTTP/1.1\r\nHost: x\n\r\n"), 400},
    {"bare LF end", STR("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400},
    {"bare CR", STR("GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n"), 400},
    {"CR CR LF", STR("GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"), 400},
    {"obs-fold", STR("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"), 400},
    {"tab fold", STR("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n"), 400},
    {"blank before colon", STR("GET / HTTP/1.1\r\nHost : x\r\n\r\n"), 400},
    {"tab before colon", STR("GET / HTTP/1.1\r\nHost: x\r\nA\t: x\r\n\r\n"), 400},
    {"blank before first name", STR("GET / HTTP/1.1\r\n Host: x\r\n\r\n"), 400},
    {"empty name", STR("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"), 400},
    {"no colon", STR("GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n"), 400},
    {"high byte in name", STR("GET / HTTP/1.1\r\nHost: x\r\n\xc3\xa4: y\r\n\r\n"), 400},
    {"NUL in value", STR("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), 400},
    {"ESC in value", STR("GET / HTTP/1.1\r\nHost: x\r\nA: b\x1b\r\n\r\n"), 400},
    {"DEL in value", STR("GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n"), 400},
    {"no Host", STR("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400},
    {"two Hosts", STR("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"), 400},
    {"two Hosts in 1.0", STR("GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"), 400},
    {"list as Host", STR("GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"), 400},
    {"tight list as Host", STR("GET / HTTP/1.1\r\nHost: x,y\r\n\r\n"), 400},
    {"user in Host", STR("GET / HTTP/1.1\r\nHost: a@x\r\n\r\n"), 400},
    {"path in Host", STR("GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"), 400},
    {"HTTP-72 CL and TE",
     STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {"HTTP-72 TE and CL",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
     400},
    {"double CL",
     STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\n"), 400},
    {"double equal CL",
     STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"), 400},
    {"listed CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n"), 400},
    {"empty CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"), 400},
    {"blank CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:  \t\r\n\r\n"), 400},
    {"plus CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n"), 400},
    {"minus CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n"), 400},
    {"hex CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\n"), 400},
    {"split CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3 3\r\n\r\n"), 400},
    {"64-bit CL", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n"),
     400},
    {"CL wraps", STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551619\r\n\r\n"),
     400},
    {"TE gzip", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"), 400},
    {"TE xchunked", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n"), 400},
    {"TE x, chunked", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n"),
     400},
    {"TE chunked, x",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n"), 400},
    {"TE quoted", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"), 400},
    {"TE with parameter",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;a=b\r\n\r\n"), 400},
    {"TE empty", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n"), 400},
    {"TE with VT", STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n"), 400},
    {"two TE",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: "
         "chunked\r\n\r\n"),
     400},
    {"two chunked",
     STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
         "chunked\r\n\r\n"),
     400},
    {"TE in 1.0", STR("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"two empty lines in front", STR("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"LF in front", STR("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"absolute-form unlike Host", STR("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), 400},
    {"absolute-form other port", STR("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"absolute-form without host", STR("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"absolute-form empty Host", STR("GET http://a/x HTTP/1.1\r\nHost:\r\n\r\n"), 400},
    {"absolute-form with user", STR("GET http://u@a/x HTTP/1.0\r\n\r\n"), 400},
    {"other scheme", STR("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {"high byte in target", STR("GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"tab in target", STR("GET /\tx HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"fragment", STR("GET /x#y HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"relative target", STR("GET x HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"star for GET", STR("GET * HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"no target", STR("GET  HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"two blanks", STR("GET /  HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"blank in front", STR(" GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"blank behind", STR("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"), 400},
    {"method with colon", STR("G:T / HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/1.9", STR("GET / HTTP/1.9\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/1.2", STR("GET / HTTP/1.2\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/0.9", STR("GET / HTTP/0.9\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/0.9 without version", STR("GET /\r\n\r\n"), 400},
    {"HTTP/1.10", STR("GET / HTTP/1.10\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/01.1", STR("GET / HTTP/01.1\r\nHost: x\r\n\r\n"), 400},
    {"http/1.1", STR("GET / http/1.1\r\nHost: x\r\n\r\n"), 400},
    {"HTTP/2 preface", STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
    {"CONNECT", STR("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"), 501},
    {"upgrade with CL",
     STR("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
         "upgrade\r\nContent-Length: 5\r\n\r\n"),
     400},
    {"upgrade with chunks",
     STR("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: a, WebSocket\r\nTransfer-Encoding: "
         "chunked\r\n\r\n"),
     400},
    {"TLS hello", STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
    {"PROXY v1", STR("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
    {"PROXY v2", STR("\r\n\r\n\0\r\nQUIT\n"), 400},
};

static void sec17_malformed_heads(void **state)
{
    (void)state;
    char text[1024];
    for (size_t i = 0; i < COUNT_OF(bad_heads); i++) {
        str head = bad_heads[i].head;
        memcpy(text, head.p, head.n);
        memcpy(text + head.n, NEXT, sizeof(NEXT));
        str in = str_of(text, head.n + sizeof(NEXT) - 1);
        for (size_t step = 1; step <= in.n; step = step < 9 ? step + 1 : step * 2) {
            enum parse p = in_steps(in, step);
            if (p != PARSE_BAD || status != bad_heads[i].status || used != 0)
                fail_msg("%s, step %zu: %d, status %d", bad_heads[i].why, step, p, status);
        }
        if (whole(in) != PARSE_BAD || status != bad_heads[i].status)
            fail_msg("%s", bad_heads[i].why);
    }
}

static void reads_a_request(void **state)
{
    (void)state;
    str in = S("POST /apps/1/events?auth_key=k&x HTTP/1.1\r\nHOST:Example.org:6001\r\n"
               "Content-Length: \t 5 \r\nX-Utf: \xc3\xa4\tb\r\nEmpty:\r\nExpect: "
               "100-Continue\r\n\r\nhello");
    assert_int_equal(whole(in), PARSE_OK);
    assert_int_equal(used, in.n - 5);
    assert_str(req.method, "POST");
    assert_str(req.target, "/apps/1/events?auth_key=k&x");
    assert_str(req.path, "/apps/1/events");
    assert_str(req.query, "auth_key=k&x");
    assert_str(req.host, "Example.org:6001");
    assert_int_equal(req.header_count, 5);
    assert_str(http1_header_get(&req, S("x-utf")), "\xc3\xa4\tb");
    assert_non_null(http1_header_get(&req, S("empty")).p);
    assert_null(http1_header_get(&req, S("absent")).p);
    assert_true(req.has_length && !req.chunked && req.expect_continue && req.keep_alive);
    assert_int_equal(req.length, 5);
    assert_false(req.has_upgrade || req.has_connection);
    for (size_t n = 0; n < used; n++)
        assert_int_equal(in_steps(str_of(in.p, n), n ? n : 1), PARSE_MORE);
}

static void largest_length(void **state)
{
    (void)state;
    assert_int_equal(
        whole(S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n")),
        PARSE_OK);
    assert_true(req.length == INT64_MAX);
}

static void target_forms(void **state)
{
    (void)state;
    static const struct {
        str head;
        const char *path, *query, *host;
    } rows[] = {
        {STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "/", "", "x"},
        {STR("GET /?a?b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), "/", "a?b", "[::1]:80"},
        {STR("GET /a%20b|\"{} HTTP/1.1\r\nHost:\r\n\r\n"), "/a%20b|\"{}", "", ""},
        {STR("GET hTTp://A.b/p?q HTTP/1.1\r\nHost: a.B\r\n\r\n"), "/p", "q", "A.b"},
        {STR("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n"), "/", "", "a"},
        {STR("GET http://a?q HTTP/1.0\r\n\r\n"), "/", "q", "a"},
        {STR("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), "*", "", "a"},
        {STR("\r\nGET //x HTTP/1.0\r\n\r\n"), "//x", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(whole(rows[i].head), PARSE_OK);
        assert_int_equal(used, rows[i].head.n);
        assert_str(req.path, rows[i].path);
        assert_str(req.query, rows[i].query);
        assert_str(req.host, rows[i].host);
    }
}

static void keep_alive_rules(void **state)
{
    (void)state;
    static const struct {
        str head;
        bool keep;
    } rows[] = {
        {STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), true},
        {STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, close,\r\nConnection: "
             "keep-alive\r\n\r\n"),
         false},
        {STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\n\r\n"), false},
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(whole(rows[i].head), PARSE_OK);
        assert_int_equal(req.keep_alive, rows[i].keep);
    }
}

static void upgrade_flags(void **state)
{
    (void)state;
    assert_int_equal(whole(S("GET / HTTP/1.1\r\nHost: x\r\nupgrade: h2c, WebSocket\r\n"
                             "connection: keep-alive, Upgrade\r\nContent-Length: 0\r\n\r\n")),
                     PARSE_OK);
    assert_true(req.has_upgrade && req.upgrade_websocket && req.has_connection &&
                req.connection_upgrade);
    assert_int_equal(whole(S("POST / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n"
                             "Connection: Upgrade, HTTP2-Settings\r\nContent-Length: 3\r\n\r\n")),
                     PARSE_OK);
    assert_true(req.has_upgrade && !req.upgrade_websocket && req.length == 3);
}

/* Only a body that will come is waited for, and only HTTP/1.1 knows how. */
static void expect_continue(void **state)
{
    (void)state;
    assert_int_equal(
        whole(S("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")),
        PARSE_OK);
    assert_false(req.expect_continue);
    assert_int_equal(
        whole(S("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")), PARSE_OK);
    assert_false(req.expect_continue);
    assert_int_equal(whole(S("POST / HTTP/1.1\r\nHost: x\r\nExpect: "
                             "100-continue\r\nTransfer-Encoding: Chunked\r\n\r\n")),
                     PARSE_OK);
    assert_true(req.expect_continue && req.chunked);
}

static void pipelined(void **state)
{
    (void)state;
    str in = S("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(whole(in), PARSE_OK);
    assert_str(req.path, "/1");
    in = str_from(in, used);
    assert_int_equal(whole(in), PARSE_OK);
    assert_str(req.path, "/2");
    assert_int_equal(used, in.n);
}

static struct buf head_with_fields(unsigned fields)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, S("GET / HTTP/1.1\r\nHost: x\r\n"));
    for (unsigned i = 1; i < fields; i++)
        buf_printf(&b, "A%u: b\r\n", i);
    buf_add(&b, S("\r\n"));
    return b;
}

static void sec6_field_count(void **state)
{
    (void)state;
    struct buf b = head_with_fields(100);
    assert_int_equal(whole(buf_str(&b)), PARSE_OK);
    assert_int_equal(req.header_count, 100);
    buf_finish(&b);
    b = head_with_fields(101);
    assert_int_equal(whole(buf_str(&b)), PARSE_BAD);
    assert_int_equal(status, 400);
    assert_int_equal(in_steps(buf_str(&b), 7), PARSE_BAD);
    assert_int_equal(status, 400);
    buf_finish(&b);
}

static struct buf head_of(size_t bytes, char fill)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_add(&b, S("GET / HTTP/1.1\r\nHost: x\r\nA: "));
    while (b.n < bytes - 4)
        buf_char(&b, fill);
    buf_add(&b, S("\r\n\r\n"));
    return b;
}

static void sec6_head_size(void **state)
{
    (void)state;
    for (size_t over = 0; over < 6; over++) {
        struct buf b = head_of(HTTP1_HEAD_MAX + over, 'a');
        buf_add(&b, S(NEXT));
        for (size_t step = 1; step < 40000; step = step * 3 + 1) {
            enum parse p = in_steps(buf_str(&b), step);
            assert_int_equal(p, over ? PARSE_BAD : PARSE_OK);
            if (over)
                assert_int_equal(status, 431);
            else
                assert_int_equal(used, HTTP1_HEAD_MAX);
        }
        buf_finish(&b);
    }
}

/* SEC-7: the work of 1-byte reads grows with the bytes, not with their square. */
static void sec7_one_byte_reads(void **state)
{
    (void)state;
    static const char fills[] = " ,\\\t;\"=";
    static const char *const names[] = {"Connection",        "Upgrade", "Host",   "Content-Length",
                                        "Transfer-Encoding", "Expect",  "X-Other"};
    for (size_t f = 0; f < sizeof(fills) - 1; f++) {
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            struct buf b;
            buf_init(&b, 1 << 20);
            buf_printf(&b, "GET / HTTP/1.1\r\n%s: ", names[k]);
            for (int i = 0; i < 8192; i++)
                buf_char(&b, fills[f]);
            buf_add(&b, S("\r\n\r\n"));
            size_t scanned = 0, steps = 0;
            for (size_t n = 1; n <= b.n; n++) {
                size_t before = scanned;
                enum parse p = http1_head(str_of(b.p, n), &scanned, &req, &used, &status);
                steps += scanned - before + 1;
                assert_true(n == b.n ? p != PARSE_MORE : p == PARSE_MORE);
            }
            assert_true(steps <= 2 * b.n + 2);
            buf_finish(&b);
        }
    }
}

static void lists(void **state)
{
    (void)state;
    str rest = S(" , a ,,b c,\t,d"), item;
    assert_true(http1_list_next(&rest, &item));
    assert_str(item, "a");
    assert_true(http1_list_next(&rest, &item));
    assert_str(item, "b c");
    assert_true(http1_list_next(&rest, &item));
    assert_str(item, "d");
    assert_false(http1_list_next(&rest, &item));
}

static void percent_decoding(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool plus;
        const char *out;
    } rows[] = {
        {"", false, ""},
        {"a%20b+c", true, "a b c"},
        {"a+b", false, "a+b"},
        {"%41%4a%4A", false, "AJJ"},
        {"%", false, "%"},
        {"%4", false, "%4"},
        {"%4g%zz", false, "%4g%zz"},
        {"%%41", false, "%A"},
        {"%2541", false, "%41"},
        {"%2b+", true, "+ "},
        {"%c3%a4", false, "\xc3\xa4"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[32];
        size_t n = strlen(rows[i].in);
        memcpy(text, rows[i].in, n);
        n = http1_percent_decode(str_of(text, n), rows[i].plus, text);
        assert_str(str_of(text, n), rows[i].out);
    }
}

/* Decodes with `step` bytes at a time; *rest_out = bytes behind the body. */
static enum parse chunks(str in, size_t step, struct buf *out, size_t *rest_out)
{
    struct http1_chunks c = {0};
    enum parse p = PARSE_MORE;
    while (in.n && p == PARSE_MORE) {
        size_t n = 0;
        str data;
        p = http1_chunks_read(&c, str_of(in.p, in.n < step ? in.n : step), &n, &data);
        assert_true(n > 0 && n <= in.n);
        buf_add(out, data);
        in = str_from(in, n);
    }
    *rest_out = in.n;
    return p;
}

static void chunk_bodies(void **state)
{
    (void)state;
    static const struct {
        str in;
        enum parse want;
        const char *body;
    } rows[] = {
        {STR("0\r\n\r\nnext"), PARSE_OK, ""},
        {STR("5\r\nhello\r\n0\r\n\r\nnext"), PARSE_OK, "hello"},
        {STR("0000a\r\n0123456789\r\n1;a\r\nx\r\n00\r\nA: b\r\nC:\r\n\r\nnext"), PARSE_OK,
         "0123456789x"},
        {STR("A;a=b;c=\"d \\\"e\";f\r\n0123456789\r\n0\r\n\r\nnext"), PARSE_OK, "0123456789"},
        {STR("5\r\nhel"), PARSE_MORE, "hel"},
        {STR("5\r\nhello\r\n0\r\n"), PARSE_MORE, "hello"},
        {STR("\r\n"), PARSE_BAD, ""},
        {STR(";a\r\n"), PARSE_BAD, ""},
        {STR("5\nhello\r\n"), PARSE_BAD, ""},
        {STR("5 \r\nhello\r\n"), PARSE_BAD, ""},
        {STR(" 5\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("+5\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("0x5\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("5;\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("5;a\nb\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("5;a=\"\n\"\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("5;a b\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("5\rhello\r\n"), PARSE_BAD, ""},
        {STR("5\r\nhello0\r\n\r\n"), PARSE_BAD, "hello"},
        {STR("5\r\nhello\n0\r\n\r\n"), PARSE_BAD, "hello"},
        {STR("8000000000000000\r\n"), PARSE_BAD, ""},
        {STR("10000000000000005\r\nhello\r\n"), PARSE_BAD, ""},
        {STR("7fffffffffffffff\r\nxy"), PARSE_MORE, "xy"},
        {STR("0\r\nA : b\r\n\r\n"), PARSE_BAD, ""},
        {STR("0\r\n: b\r\n\r\n"), PARSE_BAD, ""},
        {STR("0\r\nA: b\n\r\n"), PARSE_BAD, ""},
        {STR("0\r\nA: b\r\n c\r\n\r\n"), PARSE_BAD, ""},
        {STR("0\r\n\n"), PARSE_BAD, ""},
        {STR("0\r\n\rX"), PARSE_BAD, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= rows[i].in.n; step++) {
            struct buf b;
            size_t rest;
            buf_init(&b, 1024);
            enum parse p = chunks(rows[i].in, step, &b, &rest);
            if (p != rows[i].want || (p == PARSE_OK && rest != 4))
                fail_msg("row %zu step %zu: %d, rest %zu", i, step, p, rest);
            assert_str(buf_str(&b), rows[i].body);
            buf_finish(&b);
        }
    }
}

/* SEC-6: a chunk line of 257 bytes, trailers over 8 KiB. */
static void sec6_chunk_limits(void **state)
{
    (void)state;
    char text[HTTP1_TRAILERS_MAX + 64];
    for (size_t over = 0; over < 2; over++) {
        struct buf b;
        size_t rest, n = HTTP1_CHUNK_LINE_MAX + over;
        buf_init(&b, 1024);
        memset(text, 'a', sizeof(text));
        memcpy(text, "1;", 2);
        memcpy(text + n - 2, "\r\nx\r\n0\r\n\r\n", 10);
        assert_int_equal(chunks(str_of(text, n + 8), 64, &b, &rest), over ? PARSE_BAD : PARSE_OK);

        n = 3 + HTTP1_TRAILERS_MAX + over;
        memset(text, 'a', sizeof(text));
        memcpy(text, "0\r\nA:", 5);
        memcpy(text + n - 4, "\r\n\r\n", 4);
        assert_int_equal(chunks(str_of(text, n), 64, &b, &rest), over ? PARSE_BAD : PARSE_OK);
        buf_finish(&b);
    }
}

static void answers(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    assert_true(http1_response(
        &b,
        &(struct http1_answer){.status = 200, .length = 2, .content_type = S("application/json")}));
    assert_str(buf_str(&b),
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
    buf_clear(&b);
    assert_true(http1_response(&b, &(struct http1_answer){.status = 431, .close = true}));
    assert_str(buf_str(&b), "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
                            "Connection: close\r\n\r\n");
    buf_clear(&b);
    assert_true(http1_response(&b, &(struct http1_answer){.status = 100}));
    assert_str(buf_str(&b), "HTTP/1.1 100 Continue\r\n\r\n");
    buf_clear(&b);
    assert_true(http1_response(&b, &(struct http1_answer){.status = 204,
                                                          .name_keep_alive = true,
                                                          .more = S("Vary: origin\r\n")}));
    assert_str(buf_str(&b),
               "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVary: origin\r\n\r\n");
    buf_finish(&b);
    buf_init(&b, 20);
    assert_false(http1_response(&b, &(struct http1_answer){.status = 200}));
    buf_finish(&b);
}

/* SEC-20: no text can end a field. */
static void fields(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    assert_true(http1_field(&b, S("A"), S("b\tc")));
    assert_false(http1_field(&b, S("A"), S("b\r\nSet-Cookie: x")));
    assert_false(http1_field(&b, S("A"), S("b\0c")));
    assert_str(buf_str(&b), "A: b\tc\r\n");
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sec17_malformed_heads),
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(largest_length),
        cmocka_unit_test(target_forms),
        cmocka_unit_test(keep_alive_rules),
        cmocka_unit_test(upgrade_flags),
        cmocka_unit_test(expect_continue),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(sec6_field_count),
        cmocka_unit_test(sec6_head_size),
        cmocka_unit_test(sec7_one_byte_reads),
        cmocka_unit_test(lists),
        cmocka_unit_test(percent_decoding),
        cmocka_unit_test(chunk_bodies),
        cmocka_unit_test(sec6_chunk_limits),
        cmocka_unit_test(answers),
        cmocka_unit_test(fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
