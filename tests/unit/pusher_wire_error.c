/* tests/unit/pusher_wire_error.c - rows of errors.def keep the rules of websocket-protocol.md §5
 * and §7.2; foreign text cannot break a frame. */
#include "pusher/wire_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/utf8.h"

static bool is_code(int code)
{
    static const int codes[] = {WIRE_NULL, 4001, 4003, 4004, 4007, 4009,
                                4100,      4200, 4201, 4300, 4301, 4302};
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (code == codes[i])
            return true;
    return false;
}

/* 4000, 4006, 4008 and 4202 are never sent (§1.2, §2.3, §4.2); type and status come together. */
static void rows(void **state)
{
    (void)state;
    for (int id = 0; id < WIRE_ERROR_COUNT; id++) {
        struct wire_error e = wire_error((enum wire_error_id)id);
        str type = str_z(e.type);
        assert_true(is_code(e.code));
        assert_true(e.text[0]);
        assert_int_equal(type.n == 0, e.status == 0);
        if (str_eq(type, S("AuthError")))
            assert_true(e.code == 4009 && e.status == 401);
        else if (str_eq(type, S("InvalidRequest")))
            assert_int_equal(e.status, 400);
        else if (type.n)
            assert_true(str_eq(type, S("LimitReached")) &&
                        (e.status == 4009 || e.status == 4100 || e.status == 4301));
    }
}

static void filled_in(void **state)
{
    (void)state;
    struct wire_error e = wire_error_f(WIRE_MEMBER_SIZE, "%u", 2u);
    assert_string_equal(e.text, "Channel error: Presence member data size exceeds limit (2KB)");
    assert_true(e.code == 4300 && e.status == 4301);
    assert_string_equal(e.type, "LimitReached");
    e = wire_error_f(WIRE_SIGNIN_FIELD, "user_data");
    assert_string_equal(e.text, "Authentication error: Missing 'user_data' field in signin data");
    e = wire_error_f(WIRE_UNSUPPORTED_PROTOCOL, "%.*s", 2, "%s");
    assert_string_equal(e.text, "Unsupported protocol version: %s"); /* filled once */
}

/* What the peer named comes back as UTF-8, whatever it was and wherever it is cut. */
static void always_utf8(void **state)
{
    char name[700];
    (void)state;
    struct wire_error e = wire_error_f(WIRE_UNSUPPORTED_PROTOCOL, "%s",
                                       "\xff"
                                       "7\xc3\xab\xe2\x82");
    assert_string_equal(e.text, "Unsupported protocol version: ?7\xc3\xab??");
    for (size_t i = 0; i + 1 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xab", 2);
    for (int before = 0; before < 4; before++) {
        e = wire_error_f(WIRE_CLIENT_NOT_SUBSCRIBED, "%.*s%.*s", before, "abcd", (int)sizeof name,
                         name);
        assert_true(utf8_ok(str_z(e.text)));
        assert_true(strlen(e.text) > 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(filled_in),
        cmocka_unit_test(always_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
