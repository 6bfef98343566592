/* unit/base_pattern.c - the dialect of app owners' patterns, and that matching is bounded (R17). */
#include "base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <time.h>

static bool compiles(const char *text)
{
    struct err e = {.kind = ERR_NONE};
    struct pattern *p = pattern_create(str_z(text), &e);
    bool ok = p != NULL;
    assert_int_equal(e.kind, ok ? ERR_NONE : ERR_INVALID);
    pattern_destroy(&p);
    return ok;
}

static bool matches(const char *pattern, const char *text)
{
    struct err e;
    struct pattern *p = pattern_create(str_z(pattern), &e);
    assert_non_null(p);
    bool found = pattern_match(p, str_z(text), NULL);
    pattern_destroy(&p);
    return found;
}

static void accepts_what_both_know(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",          "a",          "^orders-\\d+$", "(?:room|hall)-[0-9]{1,3}",
        "(?i)News",  "(?i-s:x)",   "(?P<n>a)",      "(?<n>a)",
        "[^]a]+",    "[]a]",       "[a-z(?=]",      "a+?b*?",
        "\\.\\-\\(", "\\bword\\B", "[[:alpha:]]",   "a\\++",
        "\\p{L}"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!compiles(good[i]))
            fail_msg("refused: %s", good[i]);
}

static void refuses_what_one_lacks(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "(",     ")",      "[a",     "a**",       "*a",     "\\",    "(?=a)",
        "(?!a)", "(?<=a)", "(?<!a)", "(a)\\1",    "\\k<n>", "(?>a)", "(?R)",
        "(?1)",  "(?P=n)", "(?P>n)", "(*ACCEPT)", "a++",    "a?+",   "(?(1)a|b)",
        "\\K",   "\\Ca",   "\\g{1}", "(?#note)",  "a{2}+",  "(?C)"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (compiles(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    char text[PATTERN_MAX + 2];
    memset(text, 'a', sizeof text);
    text[PATTERN_MAX] = '\0';
    assert_true(compiles(text));
    text[PATTERN_MAX] = 'a';
    text[PATTERN_MAX + 1] = '\0';
    assert_false(compiles(text));
}

/* HOOK-31 */
static void hook31_finds_anywhere(void **state)
{
    (void)state;
    assert_true(matches("^orders-\\d+$", "orders-42"));
    assert_false(matches("^orders-\\d+$", "x-orders-42"));
    assert_true(matches("rders", "x-orders-42"));
    assert_false(matches("orders$", "orders\n")); /* the end is the end */
    assert_true(matches("", "anything"));
}

/* HOOK-31 */
static void hook31_is_bounded(void **state)
{
    (void)state;
    char text[202];
    struct err e;
    bool exceeded;
    memset(text, 'a', 200);
    text[200] = '!';
    text[201] = '\0';
    struct pattern *p = pattern_create(S("(a+)+$"), &e);
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    assert_false(pattern_match(p, str_z(text), &exceeded));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_true(exceeded);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    print_message("bounded after %.2f ms of CPU\n", ms);
    assert_true(pattern_match(p, S("baaa"), &exceeded) && !exceeded);
    pattern_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_both_know), cmocka_unit_test(refuses_what_one_lacks),
        cmocka_unit_test(hook31_finds_anywhere), cmocka_unit_test(hook31_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
