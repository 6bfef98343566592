/* unit/api_route - which endpoint a path belongs to (http-api.md §1, §11; design §9) */
#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static enum route_result find(struct request *q, str method, str path)
{
    q->kind = q->kind ? q->kind : HTTP_MAIN;
    q->head.method = method;
    q->head.path = path;
    return route_find(q);
}

struct row {
    str method, path;
    enum route_result result;
    void (*endpoint)(struct request *q);
};

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct request q = {0};
        enum route_result got = find(&q, rows[i].method, rows[i].path);
        if (got != rows[i].result)
            fail_msg("%.*s %.*s: %d", FMT(rows[i].method), FMT(rows[i].path), (int)got);
        assert_ptr_equal(q.route ? q.route->endpoint : NULL, rows[i].endpoint);
        arena_finish(&q.memory);
    }
}

static void every_route(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STR("POST"), STR("/apps/1/events"), ROUTE_FOUND, endpoint_events},
        {STR("POST"), STR("/apps/1/batch_events"), ROUTE_FOUND, endpoint_batch_events},
        {STR("GET"), STR("/apps/1/channels"), ROUTE_FOUND, endpoint_channels},
        {STR("HEAD"), STR("/apps/1/channels"), ROUTE_FOUND, endpoint_channels}, /* HTTP-74 */
        {STR("GET"), STR("/apps/1/channels/c"), ROUTE_FOUND, endpoint_channel},
        {STR("GET"), STR("/apps/1/channels/c/users"), ROUTE_FOUND, endpoint_channel_users},
        {STR("POST"), STR("/apps/1/users/u/terminate_connections"), ROUTE_FOUND,
         endpoint_terminate},
        {STR("POST"), STR("/apps/1/users/u/force_reconnect"), ROUTE_FOUND,
         endpoint_force_reconnect},
        {STR("POST"), STR("/users/u/terminate_connections"), ROUTE_FOUND, /* HTTP-61 */
         endpoint_terminate},
        {STR("GET"), STR("/app/k"), ROUTE_FOUND, endpoint_upgrade},
        {STR("GET"), STR("/"), ROUTE_FOUND, endpoint_root},
        {STR("GET"), STR("/up"), ROUTE_FOUND, endpoint_up},
        {STR("GET"), STR("/up/1"), ROUTE_FOUND, endpoint_up_app},
        {STR("GET"), STR("/ready"), ROUTE_FOUND, endpoint_up},
        {STR("GET"), STR("/live"), ROUTE_FOUND, endpoint_live},
        {STR("GET"), STR("/accept-traffic"), ROUTE_FOUND, endpoint_accept_traffic},
        {STR("GET"), STR("/usage"), ROUTE_FOUND, endpoint_usage},
        {STR("GET"), STR("/stats"), ROUTE_FOUND, endpoint_stats},
        {STR("GET"), STR("/operator/stats"), ROUTE_FOUND, endpoint_stats},
    };
    check(rows, COUNT_OF(rows));
}

/* MET-1, MET-5: each listener serves what is its own. */
static void listeners(void **state)
{
    static const struct {
        str path;
        bool on_main, on_metrics;
    } rows[] = {
        {STR("/metrics"), false, true}, {STR("/up"), true, true},
        {STR("/usage"), true, true},    {STR("/apps/1/channels"), true, false},
        {STR("/app/k"), true, false},   {STR("/nope"), false, false},
        {STR("/status"), false, true},  {STR("/status/data"), false, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct request on_main = {.kind = HTTP_MAIN}, on_metrics = {.kind = HTTP_METRICS};
        assert_int_equal(find(&on_main, S("GET"), rows[i].path),
                         rows[i].on_main ? ROUTE_FOUND : ROUTE_NOT_FOUND);
        assert_int_equal(find(&on_metrics, S("GET"), rows[i].path),
                         rows[i].on_metrics ? ROUTE_FOUND : ROUTE_NOT_FOUND);
        arena_finish(&on_main.memory);
        arena_finish(&on_metrics.memory);
    }
}

/* HTTP-73 */
static void other_methods(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STR("GET"), STR("/apps/1/events"), ROUTE_WRONG_METHOD, endpoint_events},
        {STR("HEAD"), STR("/apps/1/events"), ROUTE_WRONG_METHOD, endpoint_events},
        {STR("POST"), STR("/apps/1/channels"), ROUTE_WRONG_METHOD, endpoint_channels},
        {STR("get"), STR("/apps/1/channels"), ROUTE_WRONG_METHOD, endpoint_channels},
        {STR("OPTIONS"), STR("/apps/1/events"), ROUTE_WRONG_METHOD, endpoint_events},
        {STR("HEAD"), STR("/app/k"), ROUTE_WRONG_METHOD, endpoint_upgrade},
        {STR("POST"), STR("/nope"), ROUTE_NOT_FOUND, NULL},
    };
    check(rows, COUNT_OF(rows));
}

/* HTTP-21; design §9: one trailing slash is ignored, but not behind an app key */
static void slashes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STR("POST"), STR("/apps/1/events/"), ROUTE_FOUND, endpoint_events},
        {STR("GET"), STR("/up/"), ROUTE_FOUND, endpoint_up},
        {STR("POST"), STR("/apps/1/events//"), ROUTE_NOT_FOUND, NULL},
        {STR("POST"), STR("/apps//events"), ROUTE_NOT_FOUND, NULL},
        {STR("POST"), STR("//apps/1/events"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("//"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/app/k/"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/app/"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/app"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/app/k/more"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/UP"), ROUTE_NOT_FOUND, NULL},
        {STR("OPTIONS"), STR("*"), ROUTE_NOT_FOUND, NULL},
        {STR("GET"), STR("/a/b/c/d/e/f/g"), ROUTE_NOT_FOUND, NULL},
    };
    check(rows, COUNT_OF(rows));
}

/* HTTP-58: each segment is decoded by itself, a decoded slash stays inside */
static void segments(void **state)
{
    (void)state;
    struct request q = {0};
    assert_int_equal(find(&q, S("GET"), S("/apps/1/channels/a%2Cb%2f%zz+")), ROUTE_FOUND);
    assert_ptr_equal(q.route->endpoint, endpoint_channel);
    assert_int_equal(q.segment_count, 4);
    assert_true(str_eq(q.segments[3], S("a,b/%zz+")));
    arena_finish(&q.memory);
}

static void bad_segments(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {STR("GET"), STR("/apps/1/channels/%00"), ROUTE_BAD_PATH, endpoint_channel},
        {STR("GET"), STR("/apps/1/channels/%ff"), ROUTE_BAD_PATH, endpoint_channel},
        {STR("POST"), STR("/apps/1/channels/%ed%a0%80"), ROUTE_BAD_PATH, endpoint_channel},
        {STR("GET"), STR("/app/%C0%80"), ROUTE_BAD_PATH, endpoint_upgrade},
        {STR("GET"), STR("/%ff"), ROUTE_NOT_FOUND, NULL},
    };
    check(rows, COUNT_OF(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route), cmocka_unit_test(listeners), cmocka_unit_test(other_methods),
        cmocka_unit_test(slashes),     cmocka_unit_test(segments),  cmocka_unit_test(bad_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
