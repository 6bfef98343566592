/* tests/unit/wire_ws_inflate.c - permessage-deflate: round trips, RFC examples, limits, rubbish. */
#include "wire/ws_inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static char *noise(size_t n, unsigned alphabet)
{
    char *p = mem_alloc(n);
    uint32_t x = 12345;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (char)((x >> 16) % alphabet);
    }
    return p;
}

static void round_trip(str text, int window_bits)
{
    struct buf packed, back;
    buf_init(&packed, 1 << 24);
    buf_init(&back, text.n);
    assert_true(deflate_message(&packed, text, window_bits));
    assert_int_equal(inflate_message(&back, buf_str(&packed)), INFLATE_OK);
    assert_true(str_eq(buf_str(&back), text));
    if (text.n) { /* SEC-11: one byte less is too small */
        buf_finish(&back);
        buf_init(&back, text.n - 1);
        assert_int_equal(inflate_message(&back, buf_str(&packed)), INFLATE_TOO_BIG);
    }
    buf_finish(&packed);
    buf_finish(&back);
}

static void round_trips(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 100, 1000, 5000, 65535, 65536, 300000};
    for (int bits = 9; bits <= 15; bits++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            for (unsigned alphabet = 1; alphabet <= 256; alphabet += 85) {
                char *p = noise(sizes[i], alphabet);
                round_trip(str_of(p, sizes[i]), bits);
                free(p);
            }
}

/* RFC 7692 7.2.3: the examples. */
static void examples(void **state)
{
    (void)state;
    static const struct {
        str in, text;
    } table[] = {
        {STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), STR("Hello")},     /* 7.2.3.1 */
        {STR("\x00\x05\x00\xfa\xffHello\x00"), STR("Hello")},    /* 7.2.3.3 */
        {STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), STR("Hello")}, /* 7.2.3.4 */
        {STR("\xf3\x48\xcd\xc9\xc9\x07\x00"), STR("Hello")},     /* final block only */
        {STR("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), STR("Hello")}, /* 7.2.3.5 */
        {STR("\x00"), STR("")},                                                      /* 7.2.3.6 */
        {STR(""), STR("")},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out;
        buf_init(&out, 5);
        assert_int_equal(inflate_message(&out, table[i].in), INFLATE_OK);
        assert_true(str_eq(buf_str(&out), table[i].text));
        buf_finish(&out);
    }
}

static void broken(void **state)
{
    (void)state;
    static const str table[] = {
        STR("\x07"),                                 /* reserved block type */
        STR("\xf2\x48\xcd"),                         /* cut in a block */
        STR("\x00\x05\x00\xfa\xffHel"),              /* cut in a stored block */
        STR("\x00\x05\x00\xfa\xfeHello\x00"),        /* length and complement differ */
        STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x07\xff"), /* rubbish behind a final block */
        STR("\xff\xff\xff\xff\xff\xff"),
        STR("plain text, not compressed"),
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct buf out;
        buf_init(&out, 1000);
        if (inflate_message(&out, table[i]) != INFLATE_BROKEN)
            fail_msg("row %zu", i);
        buf_finish(&out);
    }
}

/* SEC-11: 64 KiB that inflate to 64 MiB stop at the limit; memory stays at the limit. */
static void bomb(void **state)
{
    (void)state;
    size_t n = 64 << 20;
    char *zeros = calloc(1, n);
    struct buf packed, out;
    buf_init(&packed, 1 << 20);
    assert_true(deflate_message(&packed, str_of(zeros, n), 15));
    free(zeros);
    buf_init(&out, 100 * 1024);
    assert_int_equal(inflate_message(&out, buf_str(&packed)), INFLATE_TOO_BIG);
    assert_true(out.cap <= 100 * 1024);
    buf_finish(&out);
    buf_finish(&packed);
}

static void deflate_into_little_room(void **state)
{
    (void)state;
    char *p = noise(5000, 256);
    struct buf out;
    buf_init(&out, 1000);
    assert_true(buf_add(&out, S("kept")));
    assert_false(deflate_message(&out, str_of(p, 5000), 15));
    assert_true(out.full && str_eq(buf_str(&out), S("kept")));
    buf_clear(&out);
    memset(p, 'x', 5000);
    assert_true(deflate_message(&out, str_of(p, 5000), 15)); /* the stream is usable again */
    free(p);
    buf_finish(&out);
}

static void finish_and_go_on(void **state)
{
    (void)state;
    ws_inflate_finish_thread();
    ws_inflate_finish_thread();
    round_trip(S("again"), 15);
    ws_inflate_finish_thread();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(examples),
        cmocka_unit_test(broken),
        cmocka_unit_test(bomb),
        cmocka_unit_test(deflate_into_little_room),
        cmocka_unit_test(finish_and_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
