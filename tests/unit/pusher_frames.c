/* tests/unit/pusher_frames.c - every frame of the server, byte for byte as in
 * websocket-protocol.md. */
#include "pusher/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "pusher/wire_error.h"

static struct buf out;

/* What was written since the last call; NUL-terminated. */
static const char *text(void)
{
    static char copy[2048];
    CHECK(out.n < sizeof copy && !out.full);
    memcpy(copy, out.p, out.n);
    copy[out.n] = 0;
    buf_clear(&out);
    return copy;
}

static void connection(void **state)
{
    (void)state;
    frame_established(&out, S("8410.27461"), 120); /* WS-1 */
    assert_string_equal(text(),
                        "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_"
                        "id\\\":\\\"8410.27461\\\",\\\"activity_timeout\\\":120}\"}");
    frame_ping(&out);
    assert_string_equal(text(), "{\"event\":\"pusher:ping\",\"data\":\"{}\"}");
    frame_pong(&out);
    assert_string_equal(text(), "{\"event\":\"pusher:pong\",\"data\":\"{}\"}");
}

/* pusher:error has an object; the code is a number or null; the channel only if known */
static void errors(void **state)
{
    (void)state;
    frame_error(&out, S(""), 4001, S("Application does not exist"));
    assert_string_equal(text(), "{\"event\":\"pusher:error\",\"data\":{\"code\":4001,\"message\":"
                                "\"Application does not exist\"}}");
    frame_error(&out, S("private-a"), WIRE_NULL, S("say \"x\"\n"));
    assert_string_equal(text(), "{\"event\":\"pusher:error\",\"channel\":\"private-a\",\"data\":{"
                                "\"code\":null,\"message\":\"say \\\"x\\\"\\n\"}}");
    /* WS-54 */
    frame_subscription_error(&out, S("private-orders.42"), S("AuthError"),
                             S("Authentication error: Invalid authentication signature"), 401);
    assert_string_equal(
        text(), "{\"event\":\"pusher:subscription_error\",\"channel\":\"private-orders.42\","
                "\"data\":{\"type\":\"AuthError\",\"error\":\"Authentication error: Invalid "
                "authentication signature\",\"status\":401}}");
}

static void subscriptions(void **state)
{
    (void)state;
    frame_subscribed(&out, S("orders"));
    assert_string_equal(text(), "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":"
                                "\"orders\",\"data\":\"{}\"}");
    frame_cache_miss(&out, S("cache-x"));
    assert_string_equal(
        text(), "{\"event\":\"pusher:cache_miss\",\"channel\":\"cache-x\",\"data\":\"{}\"}");
    frame_subscribed_presence(&out, S("presence-room-1"), S("\\\"u-8\\\",\\\"u-7\\\""),
                              S("\\\"u-8\\\":{\\\"name\\\":\\\"Ida\\\"},\\\"u-7\\\":{}"), 2);
    assert_string_equal(
        text(),
        "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"presence-room-"
        "1\",\"data\":\"{\\\"presence\\\":{\\\"ids\\\":[\\\"u-8\\\",\\\"u-7\\\"],\\\"hash"
        "\\\":{\\\"u-8\\\":{\\\"name\\\":\\\"Ida\\\"},\\\"u-7\\\":{}},\\\"count\\\":2}}\"}");
    frame_subscribed_presence(&out, S("presence-x"), S(""), S(""), 0);
    assert_string_equal(text(), "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":"
                                "\"presence-x\",\"data\":\"{\\\"presence\\\":{\\\"ids\\\":[],"
                                "\\\"hash\\\":{},\\\"count\\\":0}}\"}");
}

/* the data literal is copied as the publisher wrote it; user_id only on presence channels */
static void events(void **state)
{
    (void)state;
    frame_event_raw(&out, S("client-typing"), S("presence-room-1"), S("\"{\\\"on\\\":true}\""),
                    S("u-7"));
    assert_string_equal(text(), "{\"event\":\"client-typing\",\"channel\":\"presence-room-1\","
                                "\"data\":\"{\\\"on\\\":true}\",\"user_id\":\"u-7\"}");
    frame_event_raw(&out, S("a\"b"), S("news"), S("\"\\u00eb\\/\""), S(""));
    assert_string_equal(text(),
                        "{\"event\":\"a\\\"b\",\"channel\":\"news\",\"data\":\"\\u00eb\\/\"}");
}

static void users(void **state)
{
    (void)state;
    frame_signin_success(&out, S("{\"id\":\"u-7\"}"));
    assert_string_equal(text(), "{\"event\":\"pusher:signin_success\",\"data\":{\"user_data\":"
                                "\"{\\\"id\\\":\\\"u-7\\\"}\"}}");
    frame_watchlist(&out, S("\"u-8\""), S("\"u-9\",\"}\""));
    assert_string_equal(
        text(), "{\"event\":\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":[{"
                "\\\"name\\\":\\\"online\\\",\\\"user_ids\\\":[\\\"u-8\\\"]},{\\\"name\\\":"
                "\\\"offline\\\",\\\"user_ids\\\":[\\\"u-9\\\",\\\"}\\\"]}]}\"}");
    frame_watchlist(&out, S(""), S("\"u-9\""));
    assert_string_equal(
        text(), "{\"event\":\"pusher_internal:watchlist_events\",\"data\":\"{\\\"events\\\":[{"
                "\\\"name\\\":\\\"offline\\\",\\\"user_ids\\\":[\\\"u-9\\\"]}]}\"}");
}

/* An escaped quote inside an id passes two levels of strings (WS-111). */
static void nested_strings(void **state)
{
    arena a = {0};
    struct json top, data;
    struct json_field f[] = {{S("data"), {0}}}, g[] = {{S("events"), {0}}};
    (void)state;
    frame_watchlist(&out, S("\"a\\\"b\\\\\""), S(""));
    assert_true(json_parse(buf_str(&out), &top, NULL));
    json_fields(top, f, 1);
    assert_int_equal(f[0].value.type, JSON_STRING);
    assert_true(json_parse(json_string(f[0].value, &a), &data, NULL));
    json_fields(data, g, 1);
    assert_true(str_eq(g[0].value.raw, S("[{\"name\":\"online\",\"user_ids\":[\"a\\\"b\\\\\"]}]")));
    buf_clear(&out);
    arena_finish(&a);
}

/* A buffer that is too small says so; nothing is written behind its end. */
static void too_small(void **state)
{
    struct buf b;
    (void)state;
    for (size_t max = 0; max < 60; max++) {
        buf_init(&b, max);
        frame_error(&b, S("c"), 4100, S("Over capacity"));
        assert_true(b.full && b.n <= max);
        buf_finish(&b);
    }
}

static int begin(void **state)
{
    (void)state;
    buf_init(&out, 2000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_finish(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection), cmocka_unit_test(errors), cmocka_unit_test(subscriptions),
        cmocka_unit_test(events),     cmocka_unit_test(users),  cmocka_unit_test(nested_strings),
        cmocka_unit_test(too_small),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
