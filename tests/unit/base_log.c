/* tests/unit/base_log.c - lines cannot be forged, mixed or repeated without end (SEC-20). */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

/* ---- catching stdout ------------------------------------------------------------------------ */

static int old_stdout, file;
static char caught[1 << 20];

static void catch_begin(void)
{
    char name[] = "/tmp/base_log_XXXXXX";
    fflush(stdout);
    file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    old_stdout = dup(STDOUT_FILENO);
    dup2(file, STDOUT_FILENO);
}

static str catch_end(void)
{
    dup2(old_stdout, STDOUT_FILENO);
    close(old_stdout);
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

/* 2026-01-02T03:04:05.678901Z */
static void expect_time(str s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    assert_true(s.n >= sizeof form - 1);
    for (size_t i = 0; i < sizeof form - 1; i++)
        assert_true(form[i] == 'd' ? s.p[i] >= '0' && s.p[i] <= '9' : s.p[i] == form[i]);
}

/* The message of one text line at INFO from module "m". */
static str message_of(str line)
{
    expect_time(line);
    str rest = str_from(line, 27);
    assert_true(str_starts(rest, S("  INFO m: ")) && str_ends(rest, S("\n")));
    assert_int_equal(count_lines(line), 1);
    rest = str_from(rest, 10);
    return str_of(rest.p, rest.n - 1);
}

static void set_up(const char *filter, bool json)
{
    log_setup(&(struct log_options){
        .filter = str_z(filter), .fallback = LOG_INFO, .json = json, .colors = true});
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_levels(void **state)
{
    int evaluated = 0;
    (void)state;
    set_up("warn", false);
    catch_begin();
    log_error("m", "one");
    log_warn("m", "two");
    log_info("m", "three %d", ++evaluated);
    log_debug("m", "four %d", ++evaluated);
    log_trace("m", "five %d", ++evaluated);
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
    assert_true(log_level_parse(S("OFF"), &level) && level == LOG_OFF);
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
    set_up("", false); /* a file is no terminal: no colors (MET-37) */
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
            set_up("", json);
            catch_begin();
            log_info("a module with a very long name that nobody would choose", "%s", text);
            str got = catch_end();
            assert_int_equal(count_lines(got), 1);
            assert_in_range(got.n, 1000, 4096);
            assert_true(
                str_ends(got, json ? S("…\"},\"target\":\"a module with a very long name \"}\n")
                                   : S("…\n")));
        }
}

/* Catches one JSON line and gives its members. */
static void json_line(struct json_field *top, size_t n, struct json_field *fields, size_t m)
{
    struct json v;
    str got = catch_end();
    assert_true(json_parse(got, &v, NULL) && count_lines(got) == 1);
    json_fields(v, top, n);
    json_fields(top[0].value, fields, m);
}

/* MET-35, MET-39: the exact value arrives, as far as it is UTF-8. */
static void test_json_lines(void **state)
{
    struct json_field top[] = {
        {S("fields"), {0}}, {S("timestamp"), {0}}, {S("level"), {0}}, {S("target"), {0}}};
    struct json_field f[] = {
        {S("message"), {0}}, {S("channel"), {0}}, {S("count"), {0}}, {S("retryable"), {0}}};
    arena a = {0};
    (void)state;
    set_up("", true);
    catch_begin();
    log_fields(LOG_WARN, "m", "she said \"no\"",
               LOG_TEXT("channel", S("a\n\"\\\033\x7f\xc2\x9b\xc3\xab\xff")),
               LOG_INTEGER("count", -12), LOG_BOOL("retryable", true));
    json_line(top, COUNT_OF(top), f, COUNT_OF(f));
    expect_time(json_string(top[1].value, &a));
    assert_true(str_eq(json_string(top[2].value, &a), S("WARN")));
    assert_true(str_eq(json_string(top[3].value, &a), S("m")));
    assert_true(str_eq(json_string(f[0].value, &a), S("she said \"no\"")));
    assert_true(
        str_eq(json_string(f[1].value, &a), S("a\n\"\\\033\x7f\xc2\x9b\xc3\xab\xef\xbf\xbd")));
    assert_true(
        str_eq(f[1].value.raw, S("\"a\\u000a\\\"\\\\\\u001b\\u007f\\u009b\xc3\xab\\ufffd\"")));
    assert_true(str_eq(f[2].value.raw, S("-12")) && str_eq(f[3].value.raw, S("true")));
    arena_finish(&a);
}

/* MET-38, both formats. */
static void test_target_and_place(void **state)
{
    struct json_field top[] = {
        {S("fields"), {0}}, {S("target"), {0}}, {S("filename"), {0}}, {S("line_number"), {0}}};
    struct log_options o = {.fallback = LOG_INFO, .hide_target = true};
    char want[64];
    (void)state;
    log_setup(&o);
    catch_begin();
    log_info("m", "x");
    assert_true(str_eq(str_from(catch_end(), 27), S("  INFO x\n")));
    o.places = true;
    log_setup(&o);
    catch_begin();
    log_info("m", "x"), snprintf(want, sizeof want, "  INFO base_log.c:%d: x\n", __LINE__);
    assert_true(str_eq(str_from(catch_end(), 27), str_z(want)));
    o.json = true;
    log_setup(&o);
    catch_begin();
    log_info("m", "x"), snprintf(want, sizeof want, "%d", __LINE__);
    json_line(top, COUNT_OF(top), NULL, 0);
    assert_int_equal(top[1].value.type, JSON_NONE);
    assert_true(str_eq(top[2].value.raw, S("\"base_log.c\"")));
    assert_true(str_eq(top[3].value.raw, str_z(want)));
}

/* MET-39: one event is one line, and its fields can be taken apart. */
static void test_text_fields(void **state)
{
    (void)state;
    set_up("", false);
    catch_begin();
    log_fields(LOG_INFO, "m", "subscribed", LOG_TEXT("app_id", S("4711")),
               LOG_TEXT("channel", S("a b\n\"x=\\")), LOG_TEXT("user_id", S("")),
               LOG_TEXT("error", S("k=v")), LOG_INTEGER("count", 7), LOG_BOOL("ok", false));
    assert_true(str_eq(message_of(catch_end()),
                       S("subscribed app_id=4711 channel=\"a b\\n\\\"x=\\\\\" user_id=\"\" "
                         "error=\"k=v\" count=7 ok=false")));
}

static void test_fields_without_end(void **state)
{
    static char text[5000];
    struct log_field f[64];
    struct json v;
    (void)state;
    memset(text, 1, sizeof text);
    for (size_t i = 0; i < COUNT_OF(f); i++)
        f[i] = (struct log_field)LOG_TEXT("name", str_of(text, sizeof text));
    for (int json = 0; json < 2; json++) {
        set_up("", json);
        catch_begin();
        log_event(LOG_HERE(LOG_INFO, "m"), str_of(text, sizeof text), f, COUNT_OF(f));
        str got = catch_end();
        assert_in_range(got.n, 3000, 4096);
        assert_int_equal(count_lines(got), 1);
        assert_true(!json || json_parse(got, &v, NULL));
    }
}

/* What one line looks like on a terminal. */
static str on_terminal(bool json, bool colors)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    fflush(stdout);
    old_stdout = dup(STDOUT_FILENO);
    dup2(slave, STDOUT_FILENO);
    log_setup(&(struct log_options){.fallback = LOG_INFO, .json = json, .colors = colors});
    log_info("m", "x");
    dup2(old_stdout, STDOUT_FILENO);
    close(old_stdout);
    ssize_t n = read(master, caught, sizeof caught - 1);
    close(slave);
    close(master);
    assert_true(n > 0);
    caught[n] = 0;
    return str_of(caught, (size_t)n);
}

/* MET-37 */
static void test_colors(void **state)
{
    (void)state;
    unsetenv("NO_COLOR");
    assert_true(
        str_eq(str_from(on_terminal(false, true), 27), S(" \033[32m INFO\033[0m m: x\r\n")));
    assert_true(str_eq(str_from(on_terminal(false, false), 27), S("  INFO m: x\r\n")));
    assert_null(memchr(caught, '\033', on_terminal(true, true).n));
    setenv("NO_COLOR", "1", 1);
    assert_true(str_eq(str_from(on_terminal(false, true), 27), S("  INFO m: x\r\n")));
    unsetenv("NO_COLOR");
}

/* MET-36 */
static void test_filters(void **state)
{
    static const struct {
        const char *filter;
        enum log_level a, b, max;
    } rows[] = {
        {"", LOG_INFO, LOG_INFO, LOG_INFO},
        {"warn", LOG_WARN, LOG_WARN, LOG_WARN},
        {"off", LOG_OFF, LOG_OFF, LOG_OFF},
        {"loud", LOG_INFO, LOG_INFO, LOG_INFO},
        {" Warn , a = DEBUG ", LOG_DEBUG, LOG_WARN, LOG_DEBUG},
        {"a=off", LOG_OFF, LOG_INFO, LOG_INFO},
        {"off,a=trace", LOG_TRACE, LOG_OFF, LOG_TRACE},
        {"a=debug,a=warn", LOG_WARN, LOG_INFO, LOG_INFO},
        {"info,sockudo=debug", LOG_DEBUG, LOG_DEBUG, LOG_DEBUG},
        {"sockudo=debug,info", LOG_DEBUG, LOG_DEBUG, LOG_DEBUG},
        {"info,sockudo_core=error,b=warn", LOG_ERROR, LOG_WARN, LOG_WARN},
        {"info,tower_http=trace", LOG_INFO, LOG_INFO, LOG_TRACE},
        {"debug,=trace,a=,,a=b=c,=,b", LOG_DEBUG, LOG_DEBUG, LOG_DEBUG},
        {"info,a name that is longer than a module can be=trace", LOG_INFO, LOG_INFO, LOG_INFO},
    };
    struct log_filter f;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log_filter_parse(&f, str_z(rows[i].filter), LOG_INFO);
        if (log_filter_level(&f, "a") != rows[i].a || log_filter_level(&f, "b") != rows[i].b ||
            log_filter_max(&f) != rows[i].max)
            fail_msg("\"%s\"", rows[i].filter);
    }
}

static void test_too_many_rules(void **state)
{
    struct log_filter f;
    struct buf b;
    (void)state;
    buf_init(&b, 10000);
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "m%d=trace,", i);
    buf_add(&b, S("m0=warn"));
    log_filter_parse(&f, buf_str(&b), LOG_ERROR);
    assert_int_equal(log_filter_level(&f, "m0"), LOG_WARN);
    assert_int_equal(log_filter_level(&f, "m15"), LOG_TRACE);
    assert_int_equal(log_filter_level(&f, "m16"), LOG_ERROR);
    buf_finish(&b);
}

static void test_modules(void **state)
{
    int evaluated = 0;
    (void)state;
    set_up("off,b=debug", false);
    catch_begin();
    log_error("a", "%d", ++evaluated);
    log_fields(LOG_DEBUG, "a", "x", LOG_INTEGER("n", ++evaluated));
    log_debug("b", "y");
    str got = catch_end();
    assert_true(str_eq(str_from(got, 27), S(" DEBUG b: y\n")));
    assert_int_equal(evaluated, 0);
}

static void test_errno_stays(void **state)
{
    (void)state;
    set_up("", false);
    int saved = dup(STDOUT_FILENO);
    close(STDOUT_FILENO);
    errno = EAGAIN;
    log_info("m", "nobody hears this");
    int after = errno;
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(after, EAGAIN);
}

/* MET-42: in no 60 seconds more than ten, wherever they begin. */
static void test_sites(void **state)
{
    struct log_site site = {0};
    unsigned dropped;
    (void)state;
    for (int i = 0; i < 10000; i++) {
        bool allowed = log_site_allow(&site, i / 167, &dropped); /* seconds 0 to 59 */
        assert_int_equal(allowed, i < LOG_SITE_LINES);
        assert_int_equal(dropped, 0);
    }
    assert_true(log_site_allow(&site, 60, &dropped));
    assert_int_equal(dropped, 9990);
    for (int i = 1; i < LOG_SITE_LINES; i++) {
        assert_true(log_site_allow(&site, 90, &dropped));
        assert_int_equal(dropped, 0);
    }
    assert_false(log_site_allow(&site, 119, &dropped));
    assert_true(log_site_allow(&site, 120, &dropped)); /* that of second 60 has gone by */
    assert_int_equal(dropped, 1);
    assert_false(log_site_allow(&site, 149, &dropped));
}

static void test_limited_lines(void **state)
{
    (void)state;
    set_up("", false);
    catch_begin();
    for (int i = 0; i < 1000; i++) {
        log_limited(LOG_WARN, "m", "again %d", i);
        log_limited(LOG_DEBUG, "m", "never");
    }
    str got = catch_end();
    assert_int_equal(count_lines(got), LOG_SITE_LINES);
    assert_null(strstr(caught, "never"));
    struct log_site site = {.dropped = 7};
    catch_begin();
    log_write_limited(&site, LOG_HERE(LOG_INFO, "m"), "x");
    assert_true(str_eq(message_of(catch_end()), S("x (7 like this suppressed)")));
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
    set_up("", false);
    catch_begin();
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_APPEND);
    for (size_t i = 0; i < 4; i++) {
        memset(texts[i], (int)('a' + i), 200);
        pthread_create(&t[i], NULL, log_much, texts[i]);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    str got = catch_end();
    assert_int_equal(count_lines(got), 800);
    for (; got.n; got = str_from(got, 238)) {
        str message = message_of(str_of(got.p, 238));
        assert_int_equal(message.n, 200);
        for (size_t i = 1; i < 200; i++)
            assert_int_equal(message.p[i], message.p[0]);
    }
}

/* ---- the writer thread ---- */

static int pipe_ends[2];

static void pipe_begin(void)
{
    struct err e;
    fflush(stdout);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    old_stdout = dup(STDOUT_FILENO);
    dup2(pipe_ends[1], STDOUT_FILENO);
    close(pipe_ends[1]);
    assert_true(log_start(&e));
}

static void stdout_back(void)
{
    dup2(old_stdout, STDOUT_FILENO);
    close(old_stdout);
}

/* Reads lines until one says how many were dropped; the number of lines before it. */
static size_t read_to_notice(unsigned long *dropped)
{
    FILE *in = fdopen(pipe_ends[0], "r");
    char line[8192];
    size_t n = 0;
    while (fgets(line, sizeof line, in)) {
        char *at = strstr(line, "  WARN log: ");
        if (at && sscanf(at, "  WARN log: %lu log lines dropped", dropped) == 1)
            break;
        assert_non_null(strstr(line, " INFO m: xxx"));
        n++;
    }
    fclose(in);
    return n;
}

/* MET-41: nobody reads, and nobody waits; later it is told what is missing. */
static void test_nobody_reads(void **state)
{
    enum { LINES = 5000 };
    char text[1000];
    unsigned long dropped = 0;
    (void)state;
    memset(text, 'x', sizeof text);
    set_up("", false);
    pipe_begin();
    for (int i = 0; i < LINES; i++)
        log_info("m", "%.*s", (int)sizeof text, text);
    size_t n = read_to_notice(&dropped);
    log_stop();
    stdout_back();
    assert_true(dropped > 0);
    assert_int_equal(n + dropped, LINES);
}

static void test_stop_writes_all(void **state)
{
    struct err e;
    (void)state;
    set_up("", false);
    catch_begin();
    assert_true(log_start(&e));
    for (int i = 0; i < 500; i++)
        log_info("m", "%d", i);
    log_stop();
    log_info("m", "directly");
    str got = catch_end();
    assert_int_equal(count_lines(got), 501);
    assert_true(str_ends(got, S("m: directly\n")));
    log_stop(); /* once more: nothing happens */
}

static void *set_up_again(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        set_up(i % 2 ? "m=debug" : "", i % 3 == 0);
    return NULL;
}

/* SIGHUP changes the filter while others log; for the thread sanitizer. */
static void test_change_while_logging(void **state)
{
    static char text[] = "x";
    struct err e;
    pthread_t t[3];
    (void)state;
    set_up("", false);
    catch_begin();
    assert_true(log_start(&e));
    pthread_create(&t[0], NULL, log_much, text);
    pthread_create(&t[1], NULL, log_much, text);
    pthread_create(&t[2], NULL, set_up_again, NULL);
    for (size_t i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    log_stop();
    assert_int_equal(count_lines(catch_end()), 400);
}

/* A reader that stays stuck delays the end by LOG_STOP_MS, not forever. Leaves the writer behind,
 * so this is the last test. */
static void test_stop_with_a_stuck_reader(void **state)
{
    enum { LINES = 200 };
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof text);
    set_up("", false);
    pipe_begin();
    for (int i = 0; i < LINES; i++)
        log_info("m", "%.*s", (int)sizeof text, text);
    log_stop();
    log_info("m", "lost, but does not wait");
    FILE *in = fdopen(pipe_ends[0], "r");
    char line[2000];
    for (int i = 0; i < LINES; i++) /* only then is the writer done with stdout */
        assert_true(fgets(line, sizeof line, in) && strstr(line, " INFO m: xxx"));
    stdout_back();
    assert_null(fgets(line, sizeof line, in)); /* the end: our side was the last one */
    fclose(in);
}

/* Warnings and errors that were written, newest first, without end of line and escaped. */
static void test_recent_lines(void **state)
{
    (void)state;
    static struct log_recent got[LOG_RECENT];
    uint64_t before, total;
    log_recent(got, &before);
    catch_begin();
    set_up("warn,quiet=off", false);
    log_warn("m", "one\n");
    log_info("m", "not wanted");
    log_warn("quiet", "filtered");
    log_fields(LOG_ERROR, "m", "two", LOG_TEXT("channel", S("a b")));
    catch_end();
    assert_true(log_recent(got, &total) >= 2);
    assert_int_equal(total, before + 2);
    assert_true(str_eq(str_of(got[0].text, got[0].text_n), S("two channel=\"a b\"")));
    assert_int_equal(got[0].level, LOG_ERROR);
    assert_string_equal(got[0].module, "m");
    assert_true(str_eq(str_of(got[1].text, got[1].text_n), S("one\\n")));
    assert_int_equal(got[1].level, LOG_WARN);
}

static void test_recent_lines_are_bounded(void **state)
{
    (void)state;
    static struct log_recent got[LOG_RECENT];
    char text[LOG_MESSAGE_MAX];
    uint64_t total;
    memset(text, 'x', sizeof text);
    text[0] = 'a'; /* the euro signs do not end at the limit */
    for (size_t i = 1; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    catch_begin();
    set_up("warn", false);
    for (int i = 0; i < LOG_RECENT + 7; i++)
        log_warn("m", "%d %.*s", i, 1200, text);
    catch_end();
    assert_int_equal(log_recent(got, &total), LOG_RECENT);
    for (int i = 0; i < LOG_RECENT; i++) {
        char number[16];
        int n = snprintf(number, sizeof number, "%d ", LOG_RECENT + 6 - i);
        str line = str_of(got[i].text, got[i].text_n);
        assert_true(str_starts(line, str_of(number, (size_t)n)));
        assert_true(line.n <= LOG_RECENT_TEXT_MAX && line.n > LOG_RECENT_TEXT_MAX - 3);
        assert_true(utf8_ok(line));
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
        cmocka_unit_test(test_target_and_place),
        cmocka_unit_test(test_text_fields),
        cmocka_unit_test(test_fields_without_end),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_too_many_rules),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_recent_lines),
        cmocka_unit_test(test_recent_lines_are_bounded),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_stop_writes_all),
        cmocka_unit_test(test_change_while_logging),
        cmocka_unit_test(test_stop_with_a_stuck_reader),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
