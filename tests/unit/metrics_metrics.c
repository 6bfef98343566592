/* unit/metrics_metrics.c - cells per thread, their sums, and the text made from them. */
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct text {
    struct buf b;
};

static void read_values(void *ctx, struct metrics_report *r)
{
    metrics_report(r, METRIC_send_queue_bytes, 0, 0, *(double *)ctx);
    metrics_report(r, METRIC_cluster_nodes, 0, 0, 1);
    metrics_report(r, METRIC_queue_depth, label_queue_driver_MEMORY, label_state_DELAYED, 7);
    metrics_report(r, METRIC_backend_up, label_backend_CACHE, 0, 0);
}

static void text_make(struct text *t, const char *prefix)
{
    static double waiting = 1234567;
    struct metrics_format f = {
        .prefix = str_z(prefix), .port = 9601, .read = read_values, .ctx = &waiting};
    buf_init(&t->b, SIZE_MAX);
    metrics_write(&t->b, &f);
    buf_char(&t->b, '\0');
}

static bool has(const struct text *t, const char *part)
{
    return strstr(t->b.p, part) != NULL;
}

static void assert_has(const struct text *t, const char *part)
{
    if (!has(t, part))
        print_error("missing: %s\n", part);
    assert_true(has(t, part));
}

/* ---- cells ---- */

static void *add_elsewhere(void *arg)
{
    struct metrics_app *m = metrics_app(S("summed"));
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        METRICS_APP(m, connected[0], 1);
        METRICS_NODE(app_cache[label_app_cache_result_HIT], 1);
    }
    return NULL;
}

/* Each thread has its own block, and what a thread has counted stays when it is gone. */
static void sums_over_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_elsewhere, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    add_elsewhere(NULL);
    METRICS_APP(metrics_app(S("summed")), connected[0], -4999);
    assert_int_equal(METRICS_SUM_APP(S("summed"), connected[0]), 1);
    assert_int_equal(METRICS_SUM_APP(S("other"), connected[0]), 0);
    assert_int_equal(METRICS_SUM_NODE(app_cache[label_app_cache_result_HIT]), 5000);
    struct text t;
    text_make(&t, "");
    assert_has(&t, "\nconnected{app_id=\"summed\",port=\"9601\"} 1\n");
    assert_has(&t, "\napp_cache_total{result=\"hit\"} 5000\n");
    buf_finish(&t.b);
}

static void *go_down(void *arg)
{
    (void)arg;
    METRICS_APP(metrics_app(S("moved")), active_channels[label_channel_type_CACHE], -1);
    return NULL;
}

/* A channel may be opened by one worker and left last on another: -1 on its own is no lost value.
 */
static void gauges_across_threads(void **state)
{
    (void)state;
    pthread_t thread;
    struct metrics_app *m = metrics_app(S("moved"));
    metrics_app_known(S("moved"));
    METRICS_APP(m, active_channels[label_channel_type_CACHE], 1);
    assert_int_equal(pthread_create(&thread, NULL, go_down, NULL), 0);
    pthread_join(thread, NULL);
    struct text t;
    text_make(&t, "p_");
    assert_has(&t,
               "\np_active_channels{app_id=\"moved\",channel_type=\"cache\",port=\"9601\"} 0\n");
    buf_finish(&t.b);
}

static void labels_are_found(void **state)
{
    (void)state;
    assert_int_equal(metrics_label_find("queue_driver", S("redis-cluster")),
                     label_queue_driver_REDIS_CLUSTER);
    assert_int_equal(metrics_label_find("queue_driver", S("nonsense")), 0);
    assert_int_equal(metrics_label_find("status", S("429")), label_status_S429);
}

/* ---- apps ---- */

/* MET-8: a configured app has its series before anything happens, once, whatever the order. */
static void known_apps_are_there(void **state)
{
    (void)state;
    static const char *const names[] = {"connected",
                                        "new_connections_total",
                                        "new_disconnections_total",
                                        "socket_received_bytes",
                                        "socket_transmitted_bytes",
                                        "ws_messages_received_total",
                                        "ws_messages_sent_total",
                                        "http_received_bytes",
                                        "http_transmitted_bytes",
                                        "http_calls_received_total",
                                        "horizontal_adapter_resolve_time_count",
                                        "horizontal_adapter_resolved_promises",
                                        "horizontal_adapter_uncomplete_promises",
                                        "horizontal_adapter_sent_requests",
                                        "horizontal_adapter_received_requests",
                                        "horizontal_adapter_received_responses"};
    static const char *const ids[] = {"known-m", "known-z", "known-a", "known-m", "known-b"};
    struct text t;
    char line[128];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        metrics_app_known(str_z(ids[i]));
    text_make(&t, "soketi_");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (size_t k = 0; k < COUNT_OF(ids); k++) {
            snprintf(line, sizeof line, "\nsoketi_%s{app_id=\"%s\",port=\"9601\"} 0\n", names[i],
                     ids[k]);
            assert_has(&t, line);
            assert_null(strstr(strstr(t.b.p, line) + 1, line));
        }
    assert_false(has(&t, "rate_limit_checks_total{app_id=\"known-a\",limiter_type=\"api"));
    assert_has(&t, "\nsoketi_rate_limit_checks_total{app_id=\"known-a\",limiter_type=\"messages\","
                   "request_context=\"unknown\",port=\"9601\"} 0\n");
    buf_finish(&t.b);
}

/* MET-3: an id may hold anything. */
static void label_values_are_escaped(void **state)
{
    (void)state;
    struct text t;
    metrics_app_known(S("a\"b\\c\nd\xc3\xa4"));
    metrics_app_known(S("\""));
    metrics_app_known(S("x\n"));
    text_make(&t, "");
    assert_has(&t, "\nconnected{app_id=\"a\\\"b\\\\c\\nd\xc3\xa4\",port=\"9601\"} 0\n");
    assert_has(&t, "\nconnected{app_id=\"\\\"\",port=\"9601\"} 0\n");
    assert_has(&t, "\nconnected{app_id=\"x\\n\",port=\"9601\"} 0\n");
    buf_finish(&t.b);
}

/* ---- histograms ---- */

/* A bound belongs to its bucket; buckets add up; above the last bound counts in +Inf alone. */
static void buckets_add_up(void **state)
{
    (void)state;
    static const double samples[] = {0.5, 0.6, 1, 5000, 5001, 20000, 40000, -3};
    struct metrics_histogram *h = &metrics_thread()->cells.event_loop_lag[label_thread_SERVICE];
    struct metrics_histogram *l =
        &metrics_thread()->cells.webhook_request_duration[label_target_LAMBDA];
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        metrics_sample(h, samples[i]);
        metrics_sample(l, samples[i]);
    }
    struct text t;
    text_make(&t, "");
#define LAG(le, n) "\nevent_loop_lag_ms_bucket{thread=\"service\",le=\"" le "\"} " n "\n"
    assert_has(&t, LAG("0.5", "2"));
    assert_has(&t, LAG("1", "4"));
    assert_has(&t, LAG("2500", "4"));
    assert_has(&t, LAG("5000", "5"));
    assert_has(&t, LAG("+Inf", "8"));
    assert_false(has(&t, "event_loop_lag_ms_bucket{thread=\"service\",le=\"10000\""));
    assert_has(&t, "\nevent_loop_lag_ms_sum{thread=\"service\"} 70003.1\n");
    assert_has(&t, "\nevent_loop_lag_ms_count{thread=\"service\"} 8\n");
#define HOOK(le, n)                                                                                \
    "\nwebhook_request_duration_ms_bucket{target=\"lambda\",port=\"9601\",le=\"" le "\"} " n "\n"
    assert_has(&t, HOOK("5000", "5"));
    assert_has(&t, HOOK("10000", "6"));
    assert_has(&t, HOOK("30000", "7"));
    assert_has(&t, HOOK("+Inf", "8"));
    buf_finish(&t.b);
}

/* MET-17: no question is asked, but the bounds are there. */
static void resolve_time_bounds(void **state)
{
    (void)state;
    static const char *const bounds[] = {"0.5", "1",   "2.5", "5",    "10",   "25",   "50",
                                         "100", "250", "500", "1000", "2500", "5000", "+Inf"};
    struct text t;
    char part[128];
    metrics_app_known(S("asks-nobody"));
    text_make(&t, "");
    const char *at = strstr(t.b.p, "horizontal_adapter_resolve_time_bucket{app_id=\"asks-nobody\"");
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        snprintf(part, sizeof part,
                 "horizontal_adapter_resolve_time_bucket{app_id=\"asks-nobody\",port=\"9601\","
                 "le=\"%s\"} 0\n",
                 bounds[i]);
        assert_non_null(at);
        assert_memory_equal(at, part, strlen(part));
        at += strlen(part);
    }
    assert_memory_equal(at, "horizontal_adapter_resolve_time_sum{", 36);
    buf_finish(&t.b);
}

/* ---- what others report, and the names ---- */

static void reported_values(void **state)
{
    (void)state;
    struct text t;
    text_make(&t, "sockudo_");
    assert_has(&t, "\nsockudo_send_queue_bytes{port=\"9601\"} 1234567\n");
    assert_has(&t, "\nsockudo_cluster_nodes 1\n");
    assert_has(&t, "\nsockudo_queue_depth{driver=\"memory\",state=\"delayed\"} 7\n");
    assert_has(&t, "\nsockudo_backend_up{backend=\"cache\"} 0\n");
    assert_has(&t, "\nsockudo_build_info{version=\"" SOCKUDO_VERSION "\",commit=\"");
    buf_finish(&t.b);
}

/* MET-4: the prefix stands before every family but process_*. */
static void prefixes(void **state)
{
    (void)state;
    struct text t;
    static const char *const all[] = {"", "soketi_", "a:b_"};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        size_t families = 0, n = strlen(all[i]);
        text_make(&t, all[i]);
        for (const char *at = t.b.p; (at = strstr(at, "# TYPE ")) != NULL; families++) {
            at += 7;
            assert_true(memcmp(at, all[i], n) == 0 || memcmp(at, "process_", 8) == 0);
            assert_false(n > 0 && memcmp(at + n, "process_", 8) == 0);
        }
        assert_int_equal(families, METRIC_COUNT + 7); /* build_info and process_* */
        buf_finish(&t.b);
    }
}

/* Every row is in the output, under the labels that the list tells. */
static void list_of_all(void **state)
{
    (void)state;
    struct buf b;
    struct text t;
    char name[256];
    size_t rows = 0;
    buf_init(&b, SIZE_MAX);
    metrics_list(&b, S("p_"));
    buf_char(&b, '\0');
    text_make(&t, "p_");
    for (char *line = b.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, rows++) {
        int n = (int)strcspn(line, " ");
        int type = (int)strcspn(line + n + 1, " \n");
        snprintf(name, sizeof name, "\n# TYPE %.*s %.*s\n", n, line, type, line + n + 1);
        assert_has(&t, name);
    }
    assert_int_equal(rows, METRIC_COUNT);
    assert_non_null(strstr(b.p, "p_connected gauge app_id port\n"));
    assert_non_null(strstr(b.p, "p_http_requests_total counter port route method status\n"));
    assert_non_null(strstr(
        b.p, "p_rate_limit_checks_total counter app_id port limiter_type request_context\n"));
    assert_non_null(strstr(b.p, "p_queue_depth gauge driver state\n"));
    buf_finish(&b);
    buf_finish(&t.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_threads),
        cmocka_unit_test(gauges_across_threads),
        cmocka_unit_test(labels_are_found),
        cmocka_unit_test(known_apps_are_there),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(buckets_add_up),
        cmocka_unit_test(resolve_time_bounds),
        cmocka_unit_test(reported_values),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(list_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
