/* unit/config_samples.c - whole files: those in config/ and those with every key there is.
 *
 * tests/configs/first-generation.json has every key of Sockudo's first generation, version-5.json
 * and version-5.toml every key of its version 5.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OPTIONS_OF_VERSION_5 = 226 }; /* without those that only this server has */

static struct config c;
static struct config_report r;
static struct err e;
static char texts[2][1 << 18];

/* The effective configuration into texts[at]; c and r stay. */
static void load(const char *path, int at)
{
    static char *env[] = {"SOCKUDO_APP_SECRET=anything", NULL};
    struct config_args args = {.config_path = path, .check_only = true};
    config_report_finish(&r);
    if (!config_load(&args, env, &c, &r, &e))
        fail_msg("%s", e.text);
    int fd = memfd_create("printed", 0);
    assert_true(fd >= 0 && config_print(&c, fd));
    ssize_t n = pread(fd, texts[at], sizeof texts[at] - 1, 0);
    close(fd);
    assert_true(n > 0 && (size_t)n < sizeof texts[at] - 1);
    texts[at][n] = '\0';
}

static size_t said(const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < r.count; i++)
        n += strstr(r.messages[i].text, part) != NULL;
    return n;
}

static int finish(void **state)
{
    (void)state;
    config_finish(&c);
    config_report_finish(&r);
    return 0;
}

/* A file to copy must be silent, and must not work without a secret of one's own. */
static void examples(void **state)
{
    (void)state;
    static const char *const paths[] = {"config/config.json", "config/config.toml"};
    for (int i = 0; i < 2; i++) {
        struct config_args args = {.config_path = paths[i], .check_only = true, .strict = true};
        char *none[] = {NULL};
        config_report_finish(&r);
        assert_false(config_load(&args, none, &c, &r, &e));
        assert_non_null(strstr(e.text, "variables without a value: SOCKUDO_APP_SECRET"));
        load(paths[i], i);
        assert_int_equal(r.warnings, said("this build"));
        assert_int_equal(c.app_count, 1);
        assert_true(str_eq(c.apps[0]->secret, S("anything")));
        config_finish(&c);
    }
    assert_string_equal(texts[0], texts[1]);
}

/* CFG-11 */
static void first_generation(void **state)
{
    (void)state;
    load("tests/configs/first-generation.json", 0);
    assert_int_equal(said("unknown key"), 0);
    assert_int_equal(said("\"cluster\" has no effect"), 1); /* CFG-80 */
    assert_int_equal(c.app_count, 2);
    assert_int_equal(c.apps[0]->webhook_count, 1);
    assert_int_equal(c.apps[0]->webhooks[0].events,
                     WEBHOOK_CHANNEL_OCCUPIED | WEBHOOK_CHANNEL_VACATED | WEBHOOK_MEMBER_ADDED);
    assert_true(str_eq(c.apps[1]->webhooks[0].lambda_region, S("us-east-1")));
    assert_int_equal(c.apps[0]->max_event_payload_kb, 100);
    assert_int_equal(c.values[OPT_adapter_cluster_request_timeout_ms].i, 5000);
    assert_int_equal(c.values[OPT_adapter_nats_request_timeout_ms].source, FROM_FILE);
}

static size_t options_of_the_file(void)
{
    size_t n = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        n += c.values[i].source == FROM_FILE;
    return n;
}

/* CFG-12, CFG-13, CFG-78, CFG-86: every option is read from where both formats have it. */
static void version_5(void **state)
{
    (void)state;
    static const char *const paths[] = {"tests/configs/version-5.json",
                                        "tests/configs/version-5.toml"};
    for (int i = 0; i < 2; i++) {
        load(paths[i], i);
        assert_int_equal(said("unknown key"), 0);
        assert_int_equal(r.strict, 1); /* ssl.ca_path */
        assert_int_equal(said("\"ssl.ca_path\" has no effect"), 1);
        assert_int_equal(options_of_the_file(), OPTIONS_OF_VERSION_5);
        assert_true(c.apps[0]->message_rate.enabled && c.apps[0]->allowed_origin_count == 2);
        assert_int_equal(c.apps[0]->webhook_count, 2);
        config_finish(&c);
    }
    assert_string_equal(texts[0], texts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(examples, finish),
                                       cmocka_unit_test_teardown(first_generation, finish),
                                       cmocka_unit_test_teardown(version_5, finish)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
