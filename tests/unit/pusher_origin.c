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
        {STR("https://ab*ba"), STR("https://abba"), true},
        {STR("http*://a.test"), STR("https://a.test"), true},
        {STR("http*.a.test"), STR("https://b.a.test"), true},     /* the whole of what was sent */
        {STR("app-*.a.test"), STR("https://app-1.a.test"), true}, /* or without the scheme */
        {STR("app-*.a.test"), STR("https://b.a.test"), false},
        {STR("example.com:444"), STR("https://example.com:444"), true},
        {STR("EXAMPLE.com"), STR("https://example.COM"), true},
        {STR("*.Example.com"), STR("https://A.example.COM"), true},
        {STR("*.example.com"), STR(""), false},
        {STR("*.example.com"), STR("null"), false},
        {STR("null"), STR("null"), false}, /* SEC-23: nobody in particular */
        {STR("n*l"), STR("NULL"), false},
        {STR("null"), STR("http://null"), true},
        {STR("https://*.example.com"), STR("https://example.com"), false},
        {STR("example.com"), STR("https://example.com.evil.test"), false},
        {STR("example.com"), STR("https://evil.test/example.com"), false},
        {STR("*.*"), STR("https://a.b"), false},
        {STR(""), STR(""), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(origin_matches(t[i].pattern, t[i].origin), t[i].matches);
}

static void good_patterns(void **state)
{
    static const str good[] = {STR("*"),
                               STR("any"),
                               STR("Any"),
                               STR("https://*"),
                               STR("localhost:3000"),
                               STR("*.example.com"),
                               STR("https://*.example.com:8443"),
                               STR("pre*suf"),
                               STR("[::1]:3000"),
                               STR("null")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(origin_pattern_check(good[i], NULL));
}

/* WS-21 is the caller's: here an empty list admits nobody. */
static void lists(void **state)
{
    static const str list[] = {STR(""), STR("https://a.test"), STR("*.b.test")};
    (void)state;
    assert_true(origin_allowed(list, COUNT_OF(list), S("https://a.test")));
    assert_true(origin_allowed(list, COUNT_OF(list), S("http://x.b.test")));
    assert_false(origin_allowed(list, COUNT_OF(list), S("http://a.test")));
    assert_false(origin_allowed(list, COUNT_OF(list), S("")));
    assert_false(origin_allowed(NULL, 0, S("https://a.test")));
}

static void cfg29_bad_patterns(void **state)
{
    static const str bad[] = {STR(""),         STR("*.*bad"), STR("://host"),    STR("http://"),
                              STR("*."),       STR("a..b"),   STR(".a"),         STR("a."),
                              STR("a.:80"),    STR("*.:80"),  STR("https://*."), STR("*.a.."),
                              STR("https://"), STR("**")};
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
        cmocka_unit_test(good_patterns),
        cmocka_unit_test(lists),
        cmocka_unit_test(cfg29_bad_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
