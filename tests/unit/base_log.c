/* tests/unit/base_log.c - lines cannot be forged, mixed or repeated without end (SEC-20). */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"

/* ---- catching stderr ------------------------------------------------------------------------ */

static int old_stderr, file;
static char caught[1 << 20];

static void catch_begin(void)
{
    char name[] = "/tmp/base_log_XXXXXX";
    fflush(stderr);
    file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    old_stderr = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
}

static str catch_end(void)
{
    dup2(old_stderr, STDERR_FILENO);
    close(old_stderr);
    lseek(file, 0, SEEK_SET);
    ssize_t n = read(file, caught, sizeof caught - 1);
    close(file);
    assert_true(n >= 0);
    caught[n] = 0;
    return str_of(caught, (size_t)n);
}

static size_t count_lines(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

/* 2026-01-02T03:04:05.678Z */
static void expect_time(str s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    assert_true(s.n >= sizeof form - 1);
    for (size_t i = 0; i < sizeof form - 1; i++)
        assert_true(form[i] == 'd' ? s.p[i] >= '0' && s.p[i] <= '9' : s.p[i] == form[i]);
}

/* The message of one text line at INFO from module "m". */
static str message_of(str line)
{
    expect_time(line);
    str rest = str_from(line, 24);
    assert_true(str_starts(rest, S(" INFO  m: ")) && str_ends(rest, S("\n")));
    assert_int_equal(count_lines(line), 1);
    rest = str_from(rest, 10);
    return str_of(rest.p, rest.n - 1);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_levels(void **state)
{
    int evaluated = 0;
    (void)state;
    log_setup(LOG_WARN, false, false);
    catch_begin();
    log_error("m", "one");
    log_warn("m", "two");
    log_info("m", "three %d", ++evaluated);
    log_debug("m", "four %d", ++evaluated);
    log_write(LOG_TRACE, "m", "five");
    str got = catch_end();
    assert_int_equal(count_lines(got), 2);
    assert_int_equal(evaluated, 0);
    assert_true(log_enabled(LOG_WARN) && !log_enabled(LOG_INFO));
}

static void test_level_names(void **state)
{
    enum log_level level;
    (void)state;
    assert_true(log_level_parse(S("Error"), &level) && level == LOG_ERROR);
    assert_true(log_level_parse(S("trace"), &level) && level == LOG_TRACE);
    assert_false(log_level_parse(S("loud"), &level));
    assert_false(log_level_parse(S(""), &level));
}

static void test_nothing_can_be_forged(void **state)
{
    static const struct {
        str in;
        const char *out;
    } rows[] = {
        {STR("plain Zo\xc3\xab \xf0\x9f\x98\x80 %s \"q\" \\"),
         "plain Zo\xc3\xab \xf0\x9f\x98\x80 %s \"q\" \\"},
        {STR("a\r\n2026-01-01T00:00:00.000Z ERROR x"), "a\\r\\n2026-01-01T00:00:00.000Z ERROR x"},
        {STR("\033[31m\x7f\t\x01"), "\\x1b[31m\\x7f\\t\\x01"},
        {STR("\xc2\x9b"
             "31m \xc2\xa0"),
         "\\xc2\\x9b31m \xc2\xa0"},
        {STR("\xff\xc3 \xe2\x82"), "\\xff\\xc3 \\xe2\\x82"},
    };
    (void)state;
    log_setup(LOG_INFO, false, true); /* a file is no terminal: no colors */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        catch_begin();
        log_info("m", "%.*s", LOG_PEER(rows[i].in));
        str got = message_of(catch_end());
        if (!str_eq(got, str_z(rows[i].out)))
            fail_msg("row %zu: %.*s", i, FMT(got));
    }
}

static void test_long_lines_are_cut(void **state)
{
    static char text[100000];
    static const char *const fills[] = {"x", "\"", "\n", "\xc3\xab", "\xff"};
    (void)state;
    for (int json = 0; json < 2; json++)
        for (size_t f = 0; f < COUNT_OF(fills); f++) {
            for (size_t i = 0; i < sizeof text - 1; i++)
                text[i] = fills[f][i % strlen(fills[f])];
            log_setup(LOG_INFO, json, false);
            catch_begin();
            log_info("a module with a very long name that nobody would choose", "%s", text);
            str got = catch_end();
            assert_int_equal(count_lines(got), 1);
            assert_in_range(got.n, 1000, 4096);
            assert_true(str_ends(got, json ? S("…\"}\n") : S("…\n")));
        }
}

static void test_json_lines(void **state)
{
    struct json v;
    struct json_field f[] = {
        {S("timestamp"), {0}}, {S("level"), {0}}, {S("target"), {0}}, {S("message"), {0}}};
    arena a = {0};
    (void)state;
    log_setup(LOG_INFO, true, true);
    catch_begin();
    log_warn("m", "he said \"%s\"", "\xff\n\\");
    str got = catch_end();
    assert_true(json_parse(got, &v, NULL) && count_lines(got) == 1);
    json_fields(v, f, COUNT_OF(f));
    expect_time(json_string(f[0].value, &a));
    assert_true(str_eq(json_string(f[1].value, &a), S("WARN")));
    assert_true(str_eq(json_string(f[2].value, &a), S("m")));
    assert_true(str_eq(json_string(f[3].value, &a), S("he said \"\\xff\\n\\\"")));
    log_show_module(false);
    catch_begin();
    log_warn("m", "x");
    got = catch_end();
    assert_true(json_parse(got, &v, NULL));
    json_fields(v, f, COUNT_OF(f));
    assert_int_equal(f[2].value.type, JSON_NONE);
    log_show_module(true);
    arena_finish(&a);
}

static void test_errno_stays(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false, false);
    int saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = EAGAIN;
    log_info("m", "nobody hears this");
    int after = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(after, EAGAIN);
}

static void test_sites(void **state)
{
    struct log_site site = {0};
    unsigned dropped;
    (void)state;
    for (int i = 0; i < 25; i++) {
        assert_int_equal(log_site_allow(&site, 100, &dropped), i < LOG_SITE_PER_SECOND);
        assert_int_equal(dropped, 0);
    }
    assert_true(log_site_allow(&site, 101, &dropped));
    assert_int_equal(dropped, 15);
    assert_true(log_site_allow(&site, 101, &dropped));
    assert_int_equal(dropped, 0);
}

static void test_limited_lines(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false, false);
    catch_begin();
    for (int i = 0; i < 1000; i++) {
        log_limited(LOG_WARN, "m", "again %d", i);
        log_limited(LOG_DEBUG, "m", "never");
    }
    str got = catch_end();
    assert_in_range(count_lines(got), 10, 20); /* the second may change in between */
    assert_null(strstr(caught, "never"));
    struct log_site site = {.second = -1, .dropped = 7};
    catch_begin();
    log_write_limited(&site, LOG_INFO, "m", "x");
    assert_true(str_eq(message_of(catch_end()), S("x (7 similar lines dropped)")));
}

static void *log_much(void *text)
{
    for (int i = 0; i < 200; i++)
        log_info("m", "%s", (char *)text);
    return NULL;
}

static void test_threads_do_not_mix(void **state)
{
    static char texts[4][201];
    pthread_t t[4];
    (void)state;
    log_setup(LOG_INFO, false, false);
    catch_begin();
    fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_APPEND);
    for (size_t i = 0; i < 4; i++) {
        memset(texts[i], (int)('a' + i), 200);
        pthread_create(&t[i], NULL, log_much, texts[i]);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    str got = catch_end();
    assert_int_equal(count_lines(got), 800);
    for (; got.n; got = str_from(got, 235)) {
        str message = message_of(str_of(got.p, 235));
        assert_int_equal(message.n, 200);
        for (size_t i = 1; i < 200; i++)
            assert_int_equal(message.p[i], message.p[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_nothing_can_be_forged),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_errno_stays),
        cmocka_unit_test(test_sites),
        cmocka_unit_test(test_limited_lines),
        cmocka_unit_test(test_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
