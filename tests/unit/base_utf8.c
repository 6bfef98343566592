/* tests/unit/base_utf8.c - UTF-8 in one piece, in pieces, and cut. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const struct {
    str text;
    bool is_valid;
    size_t bad_at; /* index of the first byte no valid text can have there; = n: it is cut short */
} table[] = {
    {STR(""), true, 0},
    {STR("plain ASCII, longer than a word of eight bytes"), true, 0},
    {STR("a\0b"), true, 0},
    {STR("\x7f"), true, 0},
    {STR("\xc2\x80\xdf\xbf"), true, 0},
    {STR("\xe0\xa0\x80\xef\xbf\xbf"), true, 0},
    {STR("\xed\x9f\xbf\xee\x80\x80"), true, 0},
    {STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true, 0},
    {STR("01234567\xe2\x82\xac"
         "01234567\xf0\x9f\x98\x80"),
     true, 0},
    {STR("\x80"), false, 0},
    {STR("\xbf"), false, 0},
    {STR("01234567\xff"), false, 8},
    {STR("\xc0\x80"), false, 0},
    {STR("\xc1\xbf"), false, 0},
    {STR("\xc2 "), false, 1},
    {STR("\xc2\xc2"), false, 1},
    {STR("\xe0\x9f\xbf"), false, 1},
    {STR("\xe1\x80 "), false, 2},
    {STR("\xed\xa0\x80"), false, 1},
    {STR("\xf0\x8f\xbf\xbf"), false, 1},
    {STR("\xf1\x80\x80 "), false, 3},
    {STR("\xf4\x90\x80\x80"), false, 1},
    {STR("\xf5\x80\x80\x80"), false, 0},
    {STR("\xfe"), false, 0},
    {STR("\xc2"), false, 1},
    {STR("\xe2\x82"), false, 2},
    {STR("\xf0\x9f\x98"), false, 3},
};

static void whole_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (utf8_ok(table[i].text) != table[i].is_valid)
            fail_msg("row %zu", i);
}

/* WS 2.4: bad as soon as the bad byte has arrived, not earlier, not later. */
static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        enum utf8 at = UTF8_START;
        str text = table[i].text;
        for (size_t k = 0; k < text.n; k++) {
            at = utf8_feed(at, str_of(text.p + k, 1));
            bool is_bad = !table[i].is_valid && k >= table[i].bad_at;
            if ((at == UTF8_BAD) != is_bad)
                fail_msg("row %zu byte %zu", i, k);
        }
        assert_int_equal(at == UTF8_START, table[i].is_valid);
    }
}

static void every_code_point(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 0x120000; c++) {
        unsigned char b[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t i = n; i-- > 0;)
            b[i] = (unsigned char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        b[0] = n == 1 ? (unsigned char)c : (unsigned char)(lead[n] | c >> (6 * (n - 1)));
        bool is_valid = c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
        if (utf8_ok(str_of(b, n)) != is_valid)
            fail_msg("U+%X", c);
    }
}

static void cut_between_characters(void **state)
{
    (void)state;
    str euro = S("a\xe2\x82\xac"
                 "b");
    static const size_t kept[] = {0, 1, 1, 1, 4, 5, 5};
    for (size_t max = 0; max < COUNT_OF(kept); max++)
        assert_int_equal(utf8_cut(euro, max).n, kept[max]);
    assert_int_equal(utf8_cut(S("\xf0\x9f\x98\x80"), 3).n, 0);
    assert_int_equal(utf8_cut(S("\x80\x80\x80\x80\x80\x80\x80"), 6).n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_text),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
