/* unit/base_memory - what a peer made big may fail (security.md R10, SEC-32). The sanitizer's
 * malloc refuses what is larger than LARGEST; a plain one gives it, and the tests skip themselves.
 */
#include "base/buf.h"

#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/limits.h"
#include "wire/ws_frame.h"
#include "wire/ws_inflate.h"

enum { LARGEST = 4 << 20 };
#define OPTIONS "allocator_may_return_null=1:max_allocation_size_mb=4"

__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return OPTIONS;
}
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return OPTIONS;
}

static int must_fail(void **state)
{
    (void)state;
    void *volatile p = malloc(LARGEST + 1);
    free(p);
    if (p)
        skip();
    return 0;
}

static void resize_keeps_what_was(void **state)
{
    (void)state;
    char *p = mem_try_resize(NULL, LARGEST / 2);
    assert_non_null(p);
    p[LARGEST / 2 - 1] = 'x';
    assert_null(mem_try_resize(p, LARGEST + 1));
    assert_int_equal(p[LARGEST / 2 - 1], 'x');
    free(p);
}

static void soft_buffer_is_full(void **state)
{
    static char piece[MEM_PEER_SIZED];
    struct buf b;
    size_t n = 0;
    (void)state;
    buf_init(&b, SIZE_MAX);
    b.soft = true;
    while (buf_add(&b, str_of(piece, sizeof piece)))
        n += sizeof piece;
    assert_true(b.full && b.n == n && n >= LARGEST / 2);
    buf_clear(&b);
    assert_true(buf_add(&b, str_of(piece, sizeof piece)) && !b.full);
    buf_finish(&b);
    assert_true(b.soft);
}

static const struct ws_limits large = {1 << 30, 1 << 30, true};

/* A message that comes in pieces: Close 1009 when there is no memory for the next. */
static void message_is_too_big(void **state)
{
    static char piece[MEM_PEER_SIZED];
    struct ws_reader r = {0};
    struct ws_event ev;
    size_t used, sent = 0;
    char head[] = {0x02, (char)0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}; /* 16 MiB, mask 0 */
    (void)state;
    assert_int_equal(ws_read(&r, &large, head, sizeof head, &used, &ev), WS_MORE);
    while (ws_read(&r, &large, piece, sizeof piece, &used, &ev) == WS_MORE)
        sent += sizeof piece;
    assert_int_equal(ev.item, WS_BAD);
    assert_int_equal(ev.close_code, 1009);
    assert_true(sent >= LARGEST / 2 && sent < 16 << 20);
    ws_reader_finish(&r);
}

/* The same of one that would grow when it is inflated: four times half of LARGEST. */
static void compressed_message_is_too_big(void **state)
{
    enum { PARTS = 4, HEAD = 8 };
    static const str between = STR("\0\0\xff\xff");
    static char blanks[LARGEST / 2];
    struct ws_reader r = {0};
    struct ws_event ev;
    struct buf part, frame;
    size_t used;
    (void)state;
    buf_init(&part, SIZE_MAX);
    buf_init(&frame, UINT16_MAX);
    memset(blanks, ' ', sizeof blanks);
    assert_true(deflate_message(&part, str_of(blanks, sizeof blanks), 15));
    buf_add(&frame, str_of("\xc1\xfe\0\0\0\0\0\0", HEAD));
    for (int i = 0; i < PARTS; i++) {
        buf_add(&frame, buf_str(&part));
        buf_add(&frame, i < PARTS - 1 ? between : S(""));
    }
    assert_false(frame.full);
    frame.p[2] = (char)((frame.n - HEAD) >> 8);
    frame.p[3] = (char)(frame.n - HEAD);
    assert_int_equal(ws_read(&r, &large, frame.p, frame.n, &used, &ev), WS_BAD);
    assert_int_equal(ev.close_code, 1009);
    ws_reader_finish(&r);
    buf_finish(&part);
    buf_finish(&frame);
    ws_inflate_finish_thread();
}

static void reserve_is_made_once(void **state)
{
    (void)state;
    assert_int_equal(mem_reserve(), MEM_RESERVE_MADE);
    assert_int_equal(mem_reserve(), MEM_RESERVE_KEPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(resize_keeps_what_was, must_fail),
        cmocka_unit_test_setup(soft_buffer_is_full, must_fail),
        cmocka_unit_test_setup(message_is_too_big, must_fail),
        cmocka_unit_test_setup(compressed_message_is_too_big, must_fail),
        cmocka_unit_test(reserve_is_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
