/* unit/config_print.c - the effective configuration as JSON, and what a reload cannot change. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct config c, other;
static struct config_report r;
static struct err e;
static char path[64], printed[1 << 18];

static void load_as(const char *kind, const char *text, char **env, struct config *out)
{
    static char *none[] = {NULL};
    struct config_args args = {.config_path = path, .check_only = true};
    snprintf(path, sizeof path, "/tmp/config_print.%d.%s", (int)getpid(), kind);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    config_report_finish(&r);
    bool good = config_load(&args, env ? env : none, out, &r, &e);
    unlink(path);
    if (!good)
        fail_msg("%s", e.text);
}

static const char *captured(bool help)
{
    int fd = memfd_create("printed", 0);
    assert_true(fd >= 0);
    assert_true(help ? config_help(fd) : config_print(&c, fd));
    ssize_t n = pread(fd, printed, sizeof printed - 1, 0);
    close(fd);
    assert_true(n > 0 && (size_t)n < sizeof printed - 1);
    printed[n] = '\0';
    return printed;
}

static const char *print_of(const char *kind, const char *text)
{
    load_as(kind, text, NULL, &c);
    captured(false);
    config_finish(&c);
    return printed;
}

static void assert_has(const char *part)
{
    if (strstr(printed, part) == NULL)
        fail_msg("no %s in %s", part, printed);
}

#define SECRETS                                                                                    \
    "{\"ssl\":{\"passphrase\":\"hidden1\",\"certificates\":[{\"cert_path\":\"c\",\"key_path\":"    \
    "\"k\",\"passphrase\":\"hidden2\"}]},\"http_api\":{\"usage_token\":\"hidden3\"},"              \
    "\"adapter\":{\"shared_secret\":\"hidden4\",\"nats\":{\"password\":\"hidden5\","               \
    "\"token\":\"hidden6\",\"servers\":[\"nats://u:hidden7@h:1\",\"u:hidden8@h\"]},"               \
    "\"redis\":{\"redis_pub_options\":{\"url\":\"redis://:hid/den@9@h\",\"x\":\"hidden10\"}}},"    \
    "\"database\":{\"redis\":{\"password\":\"hidden11\",\"sentinel_password\":\"hidden12\","       \
    "\"cluster\":{\"password\":\"hidden13\"}},\"mysql\":{\"password\":\"hidden14\"},"              \
    "\"dynamodb\":{\"aws_secret_access_key\":\"hidden15\"}},"                                      \
    "\"app_manager\":{\"array\":{\"apps\":[{\"id\":\"a\",\"key\":\"k\",\"secret\":\"hidden16\","   \
    "\"enabled\":true,\"webhooks\":[{\"url\":\"https://u:hidden17@h/p?t=hidden18\","               \
    "\"event_types\":[],\"headers\":{\"Authorization\":\"hidden19\",\"url\":\"hidden20\"},"        \
    "\"auth\":\"hidden21\",\"Headers\":{\"url\":\"hidden22\",\"x\":{\"url\":\"hidden23\"}},"       \
    "\"keys\":["                                                                                   \
    "\"hidden24\"],\"filter\":{\"channel_prefix\":\"shown-\"}}]}]}}}"

/* CFG-17 */
static void secrets_are_masked(void **state)
{
    (void)state;
    print_of("json", SECRETS);
    assert_null(strstr(printed, "hid"));
    assert_has("\"***\"");
    assert_has("\"nats://***@h:1\"");
    assert_has("\"***@h\"");
    assert_has("\"redis://***@h\"");
    assert_has("\"https://***@h/p?***\"");
    assert_has("\"Authorization\": \"***\"");
    assert_has("\"auth\": \"***\"");
    assert_has("\"channel_prefix\": \"shown-\"");
    assert_has("\"passphrase\": \"***\"");
    assert_has("\"secret\": \"***\"");
}

/* What was printed says the same when it is read, whatever the defaults of blocks are. */
static void print_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", SECRETS,
        "{\"cache\":{\"redis\":{}},\"rate_limiter\":{\"redis\":{},\"api_rate_limit\":{}},"
        "\"event_limits\":{\"max_payload_in_kb\":7},\"unix_socket\":{\"permission_mode\":640},"
        "\"websocket\":{\"max_messages\":0,\"max_bytes\":5},\"cleanup\":{\"worker_threads\":3},"
        "\"app_manager\":{\"array\":{\"apps\":[{\"id\":\"a\",\"key\":\"k\",\"secret\":\"s\","
        "\"allowed_origins\":[\"*.example.com\"],\"max_connections\":\"5\"}]}}}"};
    char *first = malloc(sizeof printed);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        memcpy(first, print_of("json", texts[i]), sizeof printed);
        assert_string_equal(print_of("json", first), first);
    }
    free(first);
}

/* CFG-13, CFG-51 */
static void shapes_and_formats_are_equal(void **state)
{
    (void)state;
    char *first = malloc(sizeof printed);
    memcpy(first,
           print_of("json",
                    "{\"port\":7000,\"cors\":{\"origin\":[\"https://a.b\"]},\"adapter\":{"
                    "\"redis\":{\"prefix\":\"p\"}},\"database\":{\"redis\":{\"sentinels\":[{"
                    "\"host\":\"h\",\"port\":5}]}},\"app_manager\":{\"array\":{\"apps\":[{"
                    "\"id\":\"a\",\"key\":\"k\",\"secret\":\"s\",\"enabled\":true,"
                    "\"max_connections\":\"9\",\"max_event_batch_size\":3,"
                    "\"enable_client_messages\":true,\"webhooks\":[{\"url\":\"http://h/\","
                    "\"event_types\":[\"client_event\"]}]}]}}}"),
           sizeof printed);
    print_of("toml", "port = 7000\ncors.origin = ['https://a.b']\n[adapter.redis]\nprefix = \"p\"\n"
                     "[[database.redis.sentinels]]\nhost = 'h'\nport = 5\n"
                     "[[app_manager.array.apps]]\nid = 'a'\nkey = 'k'\nsecret = 's'\n"
                     "enabled = true\n[app_manager.array.apps.policy.limits]\n"
                     "max_connections = 9\nmax_event_batch_size = 3\n"
                     "[app_manager.array.apps.policy.features]\nenable_client_messages = true\n"
                     "[[app_manager.array.apps.policy.webhooks]]\nurl = 'http://h/'\n"
                     "event_types = ['client_event']\n");
    assert_string_equal(first, printed);
    free(first);
}

/* The drivers and flags that the server uses, not those that were written. */
static void effective_values(void **state)
{
    (void)state;
    static char *env[] = {"PORT=7005", "SOCKUDO_DEFAULT_APP_ID=e", "SOCKUDO_DEFAULT_APP_KEY=ek",
                          "SOCKUDO_DEFAULT_APP_SECRET=hidden", NULL};
    load_as("json", "{\"port\":1,\"cors\":{\"origin\":[\"*\"]}}", env, &c);
    captured(false);
    config_finish(&c);
    assert_has("\"port\": 7005");
    assert_has("\"credentials\": false");
    assert_has("\"queue\": {\n    \"driver\": \"memory\"");
    assert_has("\"id\": \"e\"");
    assert_null(strstr(printed, "hidden"));
}

static void help_has_every_option(void **state)
{
    (void)state;
    captured(true);
    assert_has("\nport\n    integer, default 6001, variable PORT, start\n    Port for HTTP");
    assert_has(
        "\nmax_connections\n    integer, default 0, variable SOCKUDO_MAX_CONNECTIONS, live\n");
    assert_has("\ncleanup.batch_size\n    integer, default 64, variable CLEANUP_BATCH_SIZE, start; "
               "read, without effect\n");
    size_t rows = 0;
    for (const char *p = printed; (p = strstr(p, ", default ")) != NULL; p++)
        rows++;
    assert_int_equal(rows, OPTION_COUNT);
}

static size_t restart_warnings(const char *before, const char *after)
{
    load_as("json", before, NULL, &c);
    load_as("json", after, NULL, &other);
    config_report_finish(&r);
    static struct config_start start;
    config_remember(&c, &start);
    bool needed = config_needs_restart(&start, &other, &r);
    config_finish(&c);
    config_finish(&other);
    assert_true(needed == (r.count > 0));
    return r.count;
}

static void reload_names_what_needs_a_restart(void **state)
{
    (void)state;
    assert_int_equal(restart_warnings("{}", "{}"), 0);
    assert_int_equal(restart_warnings("{\"port\":7000,\"host\":\"a\",\"database\":{\"mysql\":{"
                                      "\"password\":\"hidden1\"}}}",
                                      "{\"database\":{\"mysql\":{\"password\":\"hidden2\"}}}"),
                     3);
    assert_string_equal(r.messages[0].text, "\"host\" changed, but needs a restart");
    assert_string_equal(r.messages[1].text, "\"port\" changed, but needs a restart");
    assert_string_equal(r.messages[2].text,
                        "\"database.mysql.password\" changed, but needs a restart");
    assert_int_equal(restart_warnings("{\"port\":6001}", "{}"), 0); /* its default, written */
    assert_int_equal(
        restart_warnings("{\"max_connections\":5,\"debug\":true,\"mode\":\"x\"}", "{}"),
        0); /* live, or without effect */
    assert_int_equal(restart_warnings("{\"queue\":{\"driver\":\"memory\"}}", "{}"), 0);
    assert_int_equal(restart_warnings("{\"adapter\":{\"nats\":{\"servers\":[\"a\"]}}}",
                                      "{\"adapter\":{\"nats\":{\"servers\":[\"a\",\"b\"]}}}"),
                     1);
    config_report_finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(secrets_are_masked),
                                       cmocka_unit_test(print_reads_back),
                                       cmocka_unit_test(shapes_and_formats_are_equal),
                                       cmocka_unit_test(effective_values),
                                       cmocka_unit_test(help_has_every_option),
                                       cmocka_unit_test(reload_names_what_needs_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
