/* unit/server_reload.c - what a configuration becomes for the workers, and what a reload changes.
 */
#include "server/state.h"

#include "base/log.h"
#include "server/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    char folder[64], path[80];
    struct config_args args;
    struct config config;
    struct server *server;
} t;

/* A configuration of its own, but for these members. */
static void write_config(const char *members)
{
    FILE *f = fopen(t.path, "w");
    assert_non_null(f);
    fprintf(f,
            "{\"host\":\"127.0.0.1\",\"port\":0,\"workers\":1,\"metrics\":{\"enabled\":false},"
            "\"app_manager\":{\"array\":{\"apps\":[]}}%s}",
            members);
    fclose(f);
}

static void start(const char *members)
{
    struct config_report r;
    struct err e = {.kind = ERR_NONE};
    char *none[] = {NULL};
    write_config(members);
    config_report_init(&r);
    if (!config_load(&t.args, none, &t.config, &r, &e))
        fail_msg("%s", e.text);
    config_report_finish(&r);
    t.server = server_create(&t.args, &t.config, &e);
    assert_non_null(t.server);
}

static void reload(const char *members)
{
    write_config(members);
    server_reload(t.server);
    for (uint16_t i = 0; i < t.server->worker_count; i++)
        worker_turn(&t.server->threads[i], 0);
    worker_turn(&t.server->service.thread, 0);
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    snprintf(t.folder, sizeof t.folder, "/tmp/sockudo-reload-XXXXXX");
    assert_non_null(mkdtemp(t.folder));
    snprintf(t.path, sizeof t.path, "%s/c.json", t.folder);
    t.args.config_path = t.path;
    return 0;
}

static int end(void **state)
{
    (void)state;
    server_destroy(&t.server);
    config_finish(&t.config);
    unlink(t.path);
    return rmdir(t.folder);
}

/* Whether the newest warning or error says so. */
static bool last_said(const char *part)
{
    static struct log_recent lines[LOG_RECENT];
    uint64_t total;
    return log_recent(lines, &total) > 0 &&
           memmem(lines[0].text, lines[0].text_n, part, strlen(part)) != NULL;
}

/* A number that does not fit is for ever, not the small one that its last bits make. */
static void large_limits_stay_large(void **state)
{
    (void)state;
    start(",\"websocket\":{\"max_messages\":4294967297,\"max_backpressure\":9007199254740993},"
          "\"health_check_timeout_ms\":9223372036854775807");
    assert_in_range(t.server->node.settings->health_check_timeout_ms, 1, INT32_MAX);
    assert_int_equal(t.server->node.settings->output.max_messages, UINT32_MAX);
    assert_int_equal(t.server->node.settings->output.max_bytes, 9007199254740993);
}

/* The next look at the certificates' files was due after the interval of before, up to a day. */
static void other_interval_counts_at_once(void **state)
{
    (void)state;
    start(",\"ssl\":{\"reload_interval_seconds\":86400}");
    t.server->tls_look_ms = INT64_MAX;
    reload(",\"ssl\":{\"reload_interval_seconds\":1}");
    assert_true(t.server->tls_look_ms <= loop_clock_monotonic(NULL));
}

/* What is named as waiting for a restart is exactly what is not put into use. */
static void names_what_needs_a_restart(void **state)
{
    (void)state;
    start("");
    reload(",\"instance\":{\"process_id\":\"marked\"}");
    assert_true(last_said("\"instance.process_id\" changed, but needs a restart"));
    reload(",\"instance\":{\"process_id\":\"marked\"}"); /* it still waits */
    assert_true(last_said("\"instance.process_id\" changed, but needs a restart"));
    reload(""); /* as at the start */
    assert_false(last_said("instance.process_id"));
    reload(",\"webhooks\":{\"ordered\":true,\"retry\":{\"enabled\":false}},"
           "\"instance\":{\"process_id\":\"again\"}");
    assert_false(last_said("webhooks"));
    reload(",\"port\":1x");
    assert_true(last_said("reload refused, nothing has changed"));
    assert_true(t.config.webhooks.ordered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(large_limits_stay_large, begin, end),
        cmocka_unit_test_setup_teardown(other_interval_counts_at_once, begin, end),
        cmocka_unit_test_setup_teardown(names_what_needs_a_restart, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
