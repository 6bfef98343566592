/* unit/pusher_member - channel_data and user_data (WS-65, WS-66, WS-67, WS-68, WS-75, WS-105,
 * WS-111) */
#include "pusher/member.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/buf.h"

static arena memory;

static int code_of(str data, size_t max)
{
    struct member_data m;
    struct wire_error e;
    return member_parse(data, max, (unsigned)(max / 1024), &memory, &m, &e) ? 0 : e.code;
}

static void ws66_ids(void **state)
{
    struct member_data m;
    struct wire_error e;
    (void)state;
    assert_true(member_parse(S("{\"user_id\":9007199254740993}"), 0, 0, &memory, &m, &e));
    assert_true(str_eq(m.user_id, S("9007199254740993")) && str_eq(m.user_info, S("{}")));
    assert_true(
        member_parse(S("{\"user_id\":\"a\\u0062\",\"user_info\":[1 ]}"), 0, 0, &memory, &m, &e));
    assert_true(str_eq(m.user_id, S("ab")) && str_eq(m.user_info, S("[1 ]")));
}

static void ws67_refused(void **state)
{
    static const str bad[] = {STR("{}"),
                              STR("{\"user_id\":\"\"}"),
                              STR("{\"user_id\":null}"),
                              STR("{\"user_id\":true}"),
                              STR("{\"user_id\":1.5}"),
                              STR("{\"user_id\":1e3}"),
                              STR("{\"user_id\":[]}")};
    char longest[300];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(code_of(bad[i], 0), 4300);
    assert_int_equal(code_of(S("[]"), 0), WIRE_NULL);
    assert_int_equal(code_of(S("{"), 0), WIRE_NULL);
    int n = snprintf(longest, sizeof longest, "{\"user_id\":\"%0256d\"}", 1);
    assert_int_equal(code_of(str_of(longest, (size_t)n), 0), 0);
    n = snprintf(longest, sizeof longest, "{\"user_id\":\"%0257d\"}", 1);
    assert_int_equal(code_of(str_of(longest, (size_t)n), 0), 4300);
}

/* security.md R15: an integer is kept as text, of at most so many digits */
static void r15_long_integers(void **state)
{
    char text[300];
    (void)state;
    int n = snprintf(text, sizeof text, "{\"user_id\":1%0255d}", 7);
    assert_int_equal(code_of(str_of(text, (size_t)n), 0), 0);
    n = snprintf(text, sizeof text, "{\"user_id\":1%0256d}", 7);
    assert_int_equal(code_of(str_of(text, (size_t)n), 0), 4300);
}

static void ws75_size(void **state)
{
    char text[1200];
    (void)state;
    int n = snprintf(text, sizeof text, "{\"user_id\":1,\"user_info\":\"%01024d\"}", 1);
    assert_int_equal(code_of(str_of(text, (size_t)n), 1024), 0);
    n = snprintf(text, sizeof text, "{\"user_id\":1,\"user_info\":\"%01025d\"}", 1);
    assert_int_equal(code_of(str_of(text, (size_t)n), 1024), 4300);
}

static void ws111_watchlist(void **state)
{
    struct user_data u;
    struct wire_error e;
    struct buf b;
    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"id\":\"me\",\"watchlist\":[7,\"u-0\",\"u-0\",\"\""));
    for (int i = 0; i < 101; i++)
        buf_printf(&b, ",\"u-%d\"", i);
    buf_add(&b, S("]}"));
    assert_true(user_data_parse(buf_str(&b), &memory, &u, &e));
    assert_true(u.watch_truncated && u.watch_count == WATCHLIST_MAX);
    assert_true(str_eq(u.watchlist[99], S("u-99")));
    assert_false(user_data_parse(S("{\"id\":7}"), &memory, &u, &e));
    assert_int_equal(e.code, 4009);
    buf_finish(&b);
}

/* WS-67: the text that the client gets for each kind of fault */
static void ws67_texts(void **state)
{
    static const struct {
        str data;
        int code;
        const char *text;
    } t[] = {
        {STR(""), WIRE_NULL, "Invalid channel_data JSON for presence"},
        {STR("7"), WIRE_NULL, "Invalid channel_data JSON for presence"},
        {STR("{\"user_id\":\"a\"}x"), WIRE_NULL, "Invalid channel_data JSON for presence"},
        {STR("{\"user_id\":{}}"), 4300, "Channel error: Missing user_id in channel_data"},
        {STR("{\"user_id\":1.0}"), 4300, "Channel error: Missing user_id in channel_data"},
        {STR("{\"User_id\":\"a\"}"), 4300, "Channel error: Missing user_id in channel_data"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        struct member_data m;
        struct wire_error e;
        assert_false(member_parse(t[i].data, 0, 0, &memory, &m, &e));
        assert_int_equal(e.code, t[i].code);
        assert_string_equal(e.text, t[i].text);
    }
}

/* WS-68, WS-65, WS-66: absent and null info are {}, other info keeps its bytes; ids are text */
static void ws68_info(void **state)
{
    static const struct {
        str data, id, info;
    } t[] = {
        {STR("{\"user_id\":7}"), STR("7"), STR("{}")},
        {STR("{\"user_id\":-7,\"user_info\":null}"), STR("-7"), STR("{}")},
        {STR("{\"user_id\":\"7\",\"user_info\":1.10}"), STR("7"), STR("1.10")},
        {STR("{\"user_info\":\"a\\/b\",\"user_id\":\"\\ud83d\\ude00\"}"), STR("\xf0\x9f\x98\x80"),
         STR("\"a\\/b\"")},
        {STR("{\"user_id\":1,\"user_id\":123456789012345678901234567890}"),
         STR("123456789012345678901234567890"), STR("{}")},
        {STR(" {\"x\":[], \"user_id\" : \"u\" , \"user_info\" : { \"a\" : 1 } } "), STR("u"),
         STR("{ \"a\" : 1 }")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        struct member_data m;
        struct wire_error e;
        assert_true(member_parse(t[i].data, 0, 0, &memory, &m, &e));
        assert_true(str_eq(m.user_id, t[i].id) && str_eq(m.user_info, t[i].info));
    }
}

static void ws75_text(void **state)
{
    struct member_data m;
    struct wire_error e;
    (void)state;
    assert_false(member_parse(S("{\"user_id\":1,\"user_info\":[1,2,3]}"), 6, 2, &memory, &m, &e));
    assert_string_equal(e.text, "Channel error: Presence member data size exceeds limit (2KB)");
    assert_true(member_parse(S("{\"user_id\":1,\"user_info\":[1,2,3]}"), 7, 2, &memory, &m, &e));
    /* of a string its content counts, not its spelling */
    assert_true(
        member_parse(S("{\"user_id\":1,\"user_info\":\"\\u0061\\/\"}"), 2, 2, &memory, &m, &e));
}

static void ws104_user_data(void **state)
{
    static const struct {
        str data;
        const char *text;
    } bad[] = {
        {STR(""), "Authentication error: Invalid user_data JSON"},
        {STR("[]"), "Authentication error: Invalid user_data JSON"},
        {STR("{}"), "Authentication error: Missing 'id' field in user_data"},
        {STR("{\"id\":7}"), "Authentication error: Missing 'id' field in user_data"},
        {STR("{\"id\":\"\"}"), "Authentication error: Missing 'id' field in user_data"},
    };
    char longest[300];
    struct user_data u;
    struct wire_error e;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(user_data_parse(bad[i].data, &memory, &u, &e));
        assert_int_equal(e.code, 4009);
        assert_string_equal(e.text, bad[i].text);
    }
    int n = snprintf(longest, sizeof longest, "{\"id\":\"%0256d\"}", 1);
    assert_true(user_data_parse(str_of(longest, (size_t)n), &memory, &u, &e));
    n = snprintf(longest, sizeof longest, "{\"id\":\"%0257d\"}", 1);
    assert_false(user_data_parse(str_of(longest, (size_t)n), &memory, &u, &e));
    assert_true(user_data_parse(S("{\"id\":\"u\",\"watchlist\":\"a\"}"), &memory, &u, &e));
    assert_true(str_eq(u.user_info, S("{}")) && u.watch_count == 0 && !u.watch_truncated);
}

/* WS-111: exactly 100 ids, and repetitions of them, are not too many */
static void ws111_full_list(void **state)
{
    struct user_data u;
    struct wire_error e;
    struct buf b;
    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"id\":\"me\",\"watchlist\":[null"));
    for (int i = 0; i < 300; i++)
        buf_printf(&b, ",\"u-%d\"", i % 100);
    buf_add(&b, S("]}"));
    assert_true(user_data_parse(buf_str(&b), &memory, &u, &e));
    assert_true(u.watch_count == WATCHLIST_MAX && !u.watch_truncated);
    buf_finish(&b);
}

static int end(void **state)
{
    (void)state;
    arena_finish(&memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws66_ids),          cmocka_unit_test(ws67_refused),
        cmocka_unit_test(r15_long_integers), cmocka_unit_test(ws75_size),
        cmocka_unit_test(ws67_texts),        cmocka_unit_test(ws68_info),
        cmocka_unit_test(ws75_text),         cmocka_unit_test(ws104_user_data),
        cmocka_unit_test(ws111_watchlist),   cmocka_unit_test(ws111_full_list),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
