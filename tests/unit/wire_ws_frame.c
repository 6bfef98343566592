/* tests/unit/wire_ws_frame.c - client frames to messages (WS 2.4, 2.5, 2.6), our own frame heads.
 */
#include "wire/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "wire/ws_inflate.h"

static const struct ws_limits plain = {.max_message = 1000, .max_frame = 800};
static const struct ws_limits packed = {.max_message = 1000, .max_frame = 800, .deflate = true};

/* ---- frames of a client -------------------------------------------------------------------- */

static const uint8_t test_mask[4] = {0x12, 0x34, 0x56, 0x78};

/* b0 = FIN, RSV and opcode. */
static void put_frame(struct buf *b, uint8_t b0, str payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_frame_head(head, WS_OP_TEXT, false, payload.n);
    head[0] = b0;
    head[1] |= 0x80;
    assert_true(buf_add(b, str_of(head, n)));
    assert_true(buf_add(b, str_of(test_mask, 4)));
    char *to = buf_room(b, payload.n);
    assert_non_null(to);
    if (payload.n)
        memcpy(to, payload.p, payload.n);
    ws_unmask(to, payload.n, test_mask);
    b->n += payload.n;
}

#define FIN 0x80
#define RSV1 0x40

/* ---- a transcript of what the reader says --------------------------------------------------- */

static void note(struct buf *log, const struct ws_event *ev)
{
    static const char *const names[] = {"more", "message", "ping", "pong", "close", "bad"};
    buf_printf(log, "%s", names[ev->item]);
    if (ev->item == WS_BAD)
        buf_printf(log, " %u", ev->close_code);
    if (ev->item == WS_CLOSE)
        buf_printf(log, " %u", ev->close_code);
    if (ev->item == WS_MESSAGE && ev->binary)
        buf_printf(log, " binary");
    if (ev->item != WS_BAD) {
        buf_char(log, '(');
        buf_add(log, ev->payload);
        buf_char(log, ')');
    }
    buf_char(log, '\n');
}

/* Feeds `in` in pieces of `step` bytes, as the loop of a server does. */
static void read_all(const struct ws_limits *lim, str in, size_t step, struct buf *log)
{
    struct ws_reader r = {0};
    struct ws_event ev;
    struct buf have;
    buf_init(&have, 1 << 20);
    while (in.n) {
        size_t n = in.n < step ? in.n : step;
        assert_true(buf_add(&have, str_of(in.p, n)));
        in = str_from(in, n);
        size_t at = 0, used;
        do {
            enum ws_item item = ws_read(&r, lim, have.p + at, have.n - at, &used, &ev);
            assert_int_equal(item, ev.item);
            assert_true(used <= have.n - at);
            if (item != WS_MORE)
                note(log, &ev);
            at += used;
        } while (used);
        buf_drop(&have, at);
        assert_true(have.n < WS_REST);
    }
    if (ws_reader_midway(&r))
        buf_add(log, S("midway\n"));
    ws_reader_finish(&r);
    buf_finish(&have);
}

static void expect(const struct ws_limits *lim, const struct buf *in, str transcript)
{
    for (size_t step = 1; step <= in->n + 1; step = step < 20 ? step + 1 : step * 2) {
        struct buf log;
        buf_init(&log, 1 << 20);
        read_all(lim, buf_str(in), step, &log);
        if (!str_eq(buf_str(&log), transcript))
            fail_msg("pieces of %zu: got\n%.*swanted\n%.*s", step, FMT(buf_str(&log)),
                     FMT(transcript));
        buf_finish(&log);
    }
}

/* One frame, one expectation. */
static void expect_frame(const struct ws_limits *lim, uint8_t b0, str payload, str transcript)
{
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, b0, payload);
    expect(lim, &in, transcript);
    buf_finish(&in);
}

static void expect_bytes(const struct ws_limits *lim, str bytes, str transcript)
{
    struct buf in;
    buf_init(&in, 1 << 20);
    assert_true(buf_add(&in, bytes));
    expect(lim, &in, transcript);
    buf_finish(&in);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void messages(void **state)
{
    (void)state;
    expect_frame(&plain, FIN | WS_OP_TEXT, S("hello"), S("message(hello)\n"));
    expect_frame(&plain, FIN | WS_OP_TEXT, S(""), S("message()\n"));
    expect_frame(&plain, FIN | WS_OP_BINARY, S("\xff\x00\xfe"),
                 S("message binary(\xff\x00\xfe)\n"));
    expect_frame(&plain, FIN | WS_OP_PING, S("p"), S("ping(p)\n"));
    expect_frame(&plain, FIN | WS_OP_PONG, S("\xff"), S("pong(\xff)\n"));
    expect_frame(&plain, FIN | WS_OP_CLOSE, S(""), S("close 1005()\n"));
    expect_frame(&plain, FIN | WS_OP_CLOSE,
                 S("\x03\xe8"
                   "bye"),
                 S("close 1000(bye)\n"));
}

static void fragments_with_control_frames_between(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, WS_OP_TEXT, S("one \xe2\x82"));
    put_frame(&in, FIN | WS_OP_PING, S("?"));
    put_frame(&in, WS_OP_CONTINUATION, S(""));
    put_frame(&in, WS_OP_CONTINUATION, S("\xac two"));
    put_frame(&in, FIN | WS_OP_PONG, S("!"));
    put_frame(&in, FIN | WS_OP_CONTINUATION, S(" three"));
    put_frame(&in, FIN | WS_OP_TEXT, S("next"));
    put_frame(&in, WS_OP_BINARY, S(""));
    put_frame(&in, FIN | WS_OP_CONTINUATION, S("\xff"));
    put_frame(&in, WS_OP_TEXT, S("un"));
    expect(&plain, &in,
           S("ping(?)\npong(!)\nmessage(one \xe2\x82\xac two three)\nmessage(next)\n"
             "message binary(\xff)\nmidway\n"));
    buf_finish(&in);
}

/* WS 2.4, row 1 */
static void protocol_errors(void **state)
{
    (void)state;
    static const str table[] = {
        STR("\x81\x05hello"),    /* not masked */
        STR("\xc1\x80\1\2\3\4"), /* RSV1, not negotiated */
        STR("\xa1\x80\1\2\3\4"),
        STR("\x91\x80\1\2\3\4"), /* RSV2, RSV3 */
        STR("\x83\x80\1\2\3\4"),
        STR("\x87\x80\1\2\3\4"), /* reserved opcodes */
        STR("\x8b\x80\1\2\3\4"),
        STR("\x8f\x80\1\2\3\4"),
        STR("\x09\x80\1\2\3\4"),
        STR("\x08\x80\1\2\3\4"),         /* fragmented control frame */
        STR("\x89\xfe\x00\x7e\1\2\3\4"), /* control frame of 126 bytes */
        STR("\x80\x80\1\2\3\4"),
        STR("\x00\x80\1\2\3\4"),                 /* nothing to continue */
        STR("\x01\x80\1\2\3\4\x81\x80\1\2\3\4"), /* message inside a message */
        STR("\x81\xfe\x00\x7d\1\2\3\4"),         /* length not minimal */
        STR("\x81\xff\0\0\0\0\0\0\xff\xff\1\2\3\4"),
        STR("\x81\xff\x80\0\0\0\0\0\0\0\1\2\3\4"), /* top bit */
        STR("\x88\x81\0\0\0\0\x03"),               /* Close of one byte */
        STR("\x88\x82\0\0\0\0\x03\xed"),           /* 1005 */
        STR("\x88\x82\0\0\0\0\x07\xd0"),           /* 2000 */
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        expect_bytes(&plain, table[i], S("bad 1002\n"));
    expect_bytes(&packed, S("\xc9\x80\1\2\3\4"), S("bad 1002\n"));
    expect_bytes(&packed, S("\x41\x80\1\2\3\4\xc0\x80\1\2\3\4"), S("bad 1002\n"));
}

static void close_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 65535; code++) {
        bool is_ok = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
        assert_int_equal(ws_close_code_ok((uint16_t)code), is_ok);
    }
    expect_frame(&plain, FIN | WS_OP_CLOSE, S("\x03\xe8\xff"), S("bad 1007\n"));
    expect_frame(&plain, FIN | WS_OP_CLOSE, S("\x03\xe8\xe2\x82"), S("bad 1007\n"));
    expect_frame(&plain, FIN | WS_OP_CLOSE, S("\x0f\xa0"), S("close 4000()\n"));
}

static void nothing_is_read_after_the_end(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, FIN | WS_OP_CLOSE, S("\x03\xe9"));
    put_frame(&in, FIN | WS_OP_TEXT, S("late"));
    expect(&plain, &in, S("close 1001()\n"));
    buf_clear(&in);
    put_frame(&in, FIN | WS_OP_TEXT, S("\xff"));
    put_frame(&in, FIN | WS_OP_TEXT, S("late"));
    expect(&plain, &in, S("bad 1007\n"));
    buf_finish(&in);
}

static void invalid_utf8(void **state)
{
    (void)state;
    expect_frame(&plain, FIN | WS_OP_TEXT, S("abc\xff"), S("bad 1007\n"));
    expect_frame(&plain, FIN | WS_OP_TEXT, S("abc\xe2\x82"), S("bad 1007\n"));
    expect_frame(&plain, FIN | WS_OP_TEXT, S("\xed\xa0\x80 surrogate"), S("bad 1007\n"));
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, WS_OP_TEXT, S("\xe2"));
    put_frame(&in, FIN | WS_OP_CONTINUATION, S("("));
    expect(&plain, &in, S("bad 1007\n"));
    buf_finish(&in);
}

/* WS 2.4, Autobahn 6.4: the bad byte is told although frame and message are not complete. */
static void invalid_utf8_in_an_incomplete_frame(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, WS_OP_TEXT, S("good \xf4"));
    put_frame(&in, WS_OP_CONTINUATION, S("\x90 and much more"));
    size_t to_bad_byte = in.n - strlen(" and much more");
    expect_bytes(&plain, str_of(in.p, to_bad_byte - 1), S("midway\n"));
    expect_bytes(&plain, str_of(in.p, to_bad_byte), S("bad 1007\n"));
    buf_finish(&in);
}

/* WS 2.5, SEC-10: judged from the head, before any payload and before the mask. */
static void too_big(void **state)
{
    (void)state;
    expect_bytes(&plain, S("\x81\xfe\x03\x21"), S("bad 1009\n")); /* 801: one frame */
    expect_bytes(&plain, S("\x81\xff\x00\x00\x00\x00\x80\x00\x00\x00"), S("bad 1009\n"));
    expect_bytes(&plain, S("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), S("bad 1009\n"));
    char text[801];
    memset(text, 'x', sizeof text);
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, WS_OP_TEXT, str_of(text, 800));
    put_frame(&in, FIN | WS_OP_CONTINUATION, str_of(text, 201));
    expect(&plain, &in, S("bad 1009\n"));
    buf_finish(&in);
}

static void exactly_the_limit(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof text);
    struct buf in, log;
    buf_init(&in, 1 << 20);
    buf_init(&log, 1 << 20);
    put_frame(&in, WS_OP_TEXT, str_of(text, 800));
    put_frame(&in, FIN | WS_OP_CONTINUATION, str_of(text, 200));
    buf_printf(&log, "message(%.*s)\n", 1000, text);
    expect(&plain, &in, buf_str(&log));
    buf_finish(&in);
    buf_finish(&log);
}

static void why_is_fit_to_send(void **state)
{
    (void)state;
    struct ws_reader r = {0};
    struct ws_event ev;
    size_t used;
    char big[] = "\x81\xfe\x03\x21";
    assert_int_equal(ws_read(&r, &plain, big, 4, &used, &ev), WS_BAD);
    assert_int_equal(ev.close_code, 1009);
    assert_string_equal(ev.why, "Message too big"); /* WS 2.5 */
    ws_reader_finish(&r);
}

/* Whole frames are slices of the input: no copy. */
static void whole_frames_stay_in_place(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, FIN | WS_OP_TEXT, S("in place"));
    put_frame(&in, FIN | WS_OP_PING, S("too"));
    struct ws_reader r = {0};
    struct ws_event ev;
    size_t used;
    assert_int_equal(ws_read(&r, &plain, in.p, in.n, &used, &ev), WS_MESSAGE);
    assert_ptr_equal(ev.payload.p, in.p + 6);
    assert_int_equal(used, 14);
    assert_int_equal(ws_read(&r, &plain, in.p + 14, in.n - 14, &used, &ev), WS_PING);
    assert_ptr_equal(ev.payload.p, in.p + 20);
    ws_reader_finish(&r);
    buf_finish(&in);
}

/* SEC-10: many tiny or empty fragments cost no memory of their own, and each returns to the caller.
 */
static void memory_follows_the_bytes_received(void **state)
{
    (void)state;
    const struct ws_limits wide = {.max_message = 1 << 29, .max_frame = 1 << 29};
    struct ws_reader r = {0};
    struct ws_event ev;
    size_t used;
    char head[] = "\x01\xff\0\0\0\0\x10\0\0\0\0\0\0\0"
                  "abc"; /* declares 256 MiB, sends three bytes */
    assert_int_equal(ws_read(&r, &wide, head, sizeof head - 1, &used, &ev), WS_MORE);
    assert_int_equal(used, sizeof head - 1);
    assert_true(r.cap <= 64);
    ws_reader_finish(&r);

    for (size_t i = 0; i < 100000; i++) {
        char empty[] = "\x01\x80\0\0\0\0\x00\x80\0\0\0\0";
        assert_int_equal(ws_read(&r, &wide, i ? empty + 6 : empty, i ? 6 : 12, &used, &ev),
                         WS_MORE);
        assert_int_equal(used, 6);
    }
    assert_null(r.body);
    for (size_t i = 0; i < 100000; i++) {
        char one[] = "\x00\x81\0\0\0\0x";
        assert_int_equal(ws_read(&r, &wide, one, 7, &used, &ev), WS_MORE);
        assert_int_equal(used, 7);
        assert_true(r.cap <= 2 * r.n || r.cap == 64);
    }
    assert_true(ws_reader_midway(&r));
    char end[] = "\x80\x80\0\0\0\0";
    assert_int_equal(ws_read(&r, &wide, end, 6, &used, &ev), WS_MESSAGE);
    assert_int_equal(ev.payload.n, 100000);
    assert_false(ws_reader_midway(&r));
    ws_reader_release(&r);
    assert_null(r.body);
    ws_reader_finish(&r);
}

/* WS 2.6 */
static void compressed_messages(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    put_frame(&in, FIN | RSV1 | WS_OP_TEXT, S("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    put_frame(&in, RSV1 | WS_OP_BINARY, S("\xf2\x48\xcd"));
    put_frame(&in, FIN | WS_OP_PING, S(""));
    put_frame(&in, FIN | WS_OP_CONTINUATION, S("\xc9\xc9\x07\x00"));
    put_frame(&in, FIN | WS_OP_TEXT, S("plain"));
    put_frame(&in, FIN | RSV1 | WS_OP_TEXT, S("\x00"));
    expect(&packed, &in,
           S("message(Hello)\nping()\nmessage binary(Hello)\nmessage(plain)\nmessage()\n"));
    buf_finish(&in);
    expect_frame(&packed, FIN | RSV1 | WS_OP_TEXT, S("\x07\x00"), S("bad 1007\n"));
    /* a stored block with FF in it: only text must be UTF-8 */
    str ff = S("\x00\x01\x00\xfe\xff\xff\x00");
    expect_frame(&packed, FIN | RSV1 | WS_OP_TEXT, ff, S("bad 1007\n"));
    expect_frame(&packed, FIN | RSV1 | WS_OP_BINARY, ff, S("message binary(\xff)\n"));
}

/* SEC-11: the inflated size obeys the limit. */
static void compressed_too_big(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'x', sizeof text);
    for (size_t n = 1000; n <= 1001; n++) {
        struct buf zip, log;
        buf_init(&zip, 1 << 20);
        buf_init(&log, 1 << 20);
        assert_true(deflate_message(&zip, str_of(text, n), 15));
        if (n == 1000)
            buf_printf(&log, "message(%.*s)\n", 1000, text);
        else
            buf_printf(&log, "bad 1009\n");
        expect_frame(&packed, FIN | RSV1 | WS_OP_TEXT, buf_str(&zip), buf_str(&log));
        buf_finish(&zip);
        buf_finish(&log);
    }
}

static void unmask(void **state)
{
    (void)state;
    char p[70];
    for (size_t at = 0; at < 9; at++)
        for (size_t n = 0; n < 60; n++) {
            for (size_t i = 0; i < sizeof p; i++)
                p[i] = (char)i;
            ws_unmask(p + at, n, test_mask);
            for (size_t i = 0; i < sizeof p; i++) {
                uint8_t m = i >= at && i < at + n ? test_mask[(i - at) & 3] : 0;
                assert_int_equal((uint8_t)p[i], i ^ m);
            }
        }
}

static void frame_heads(void **state)
{
    (void)state;
    static const struct {
        uint64_t payload;
        bool rsv1;
        str head;
    } table[] = {
        {0, false, STR("\x81\x00")},
        {125, true, STR("\xc1\x7d")},
        {126, false, STR("\x81\x7e\x00\x7e")},
        {65535, false, STR("\x81\x7e\xff\xff")},
        {65536, false, STR("\x81\x7f\0\0\0\0\0\x01\0\0")},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint8_t out[WS_HEAD_MAX];
        size_t n = ws_frame_head(out, WS_OP_TEXT, table[i].rsv1, table[i].payload);
        assert_true(str_eq(str_of(out, n), table[i].head));
    }
}

static void close_payloads(void **state)
{
    (void)state;
    uint8_t out[125];
    assert_int_equal(ws_close_payload(out, 1005, S("ignored")), 0);
    assert_int_equal(ws_close_payload(out, 4001, S("no app")), 8);
    assert_memory_equal(out, "\x0f\xa1no app", 8);
    char reason[124];
    memset(reason, 'x', 122);
    memcpy(reason + 122, "\xc3\xa4", 2); /* would end at 124 */
    assert_int_equal(ws_close_payload(out, 1000, str_of(reason, 124)), 124);
    assert_int_equal(ws_close_payload(out, 1000, str_of(reason + 1, 123)), 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(fragments_with_control_frames_between),
        cmocka_unit_test(protocol_errors),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(nothing_is_read_after_the_end),
        cmocka_unit_test(invalid_utf8),
        cmocka_unit_test(invalid_utf8_in_an_incomplete_frame),
        cmocka_unit_test(too_big),
        cmocka_unit_test(exactly_the_limit),
        cmocka_unit_test(why_is_fit_to_send),
        cmocka_unit_test(whole_frames_stay_in_place),
        cmocka_unit_test(memory_follows_the_bytes_received),
        cmocka_unit_test(compressed_messages),
        cmocka_unit_test(compressed_too_big),
        cmocka_unit_test(unmask),
        cmocka_unit_test(frame_heads),
        cmocka_unit_test(close_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
