/* unit/pusher_origin - patterns of websocket-protocol.md §1.7 (WS-18, WS-19, WS-20, CFG-29, SEC-23)
 */
#include "pusher/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void ws19_matches(void **state)
{
    static const struct {
        str pattern, origin;
        bool matches;
    } t[] = {
        {STR("*"), STR(""), true},
        {STR("ANY"), STR("null"), true},
        {STR("https://app.example.com"), STR("https://APP.example.com"), true},
        {STR("https://app.example.com"), STR("http://app.example.com"), false},
        {STR("https://app.example.com"), STR(""), false},
        {STR("example.com"), STR("http://example.com"), true},
        {STR("example.com"), STR("https://example.com"), true},
        {STR("example.com"), STR("https://example.com:444"), false},
        {STR("*.example.com"), STR("https://a.b.example.com"), true},
        {STR("*.example.com"), STR("http://example.com"), true},
        {STR("*.example.com"), STR("https://badexample.com"), false},
        {STR("*.example.com"), STR("https://a.example.com:8443"), false},
        {STR("https://*.example.com"), STR("https://a.example.com"), true},
        {STR("https://*.example.com"), STR("http://a.example.com"), false},
        {STR("https://ab*ba"), STR("https://aba"), false}, /* prefix and suffix must not overlap */
        {STR("*.*"), STR("https://a.b"), false},
        {STR(""), STR(""), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(origin_matches(t[i].pattern, t[i].origin), t[i].matches);
}

static void cfg29_bad_patterns(void **state)
{
    static const str bad[] = {STR(""),   STR("*.*bad"), STR("://host"), STR("http://"),
                              STR("*."), STR("a..b"),   STR(".a"),      STR("a.")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct err e = {0};
        assert_false(origin_pattern_check(bad[i], &e));
        assert_int_equal(e.kind, ERR_CONFIG);
        assert_false(origin_matches(bad[i], S("https://host")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws19_matches),
        cmocka_unit_test(cfg29_bad_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
