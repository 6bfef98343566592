/* io/alarm.h: order, moving, stopping, and alarms that set themselves anew. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "io/alarm.h"

struct probe {
    struct alarm alarm;
    struct alarms *heap;
    int64_t fired; /* how often */
    int64_t again_ms;
};
static int64_t last_due;

static void fire(void *ctx)
{
    struct probe *p = ctx;
    assert_true(p->alarm.due_ms >= last_due);
    last_due = p->alarm.due_ms;
    p->fired++;
    if (p->again_ms)
        alarm_set(p->heap, &p->alarm, p->again_ms);
}

static void fires_in_order(void **state)
{
    enum { N = 500 };
    static struct probe p[N];
    struct alarms h = {0};
    (void)state;
    srandom(7);
    for (int i = 0; i < N; i++) {
        p[i] = (struct probe){.alarm = {.fn = fire, .ctx = &p[i]}, .heap = &h};
        alarm_set(&h, &p[i].alarm, random() % 1000);
    }
    for (int i = 0; i < N; i += 3) /* moved, some to later, some to earlier */
        alarm_set(&h, &p[i].alarm, random() % 1000);
    for (int i = 0; i < N; i += 7)
        alarm_stop(&h, &p[i].alarm);
    last_due = 0;
    for (int64_t now = 0; now <= 1000; now += 50)
        alarms_run(&h, now);
    for (int i = 0; i < N; i++)
        assert_int_equal(p[i].fired, i % 7 ? 1 : 0);
    assert_int_equal(h.n, 0);
    alarms_finish(&h);
}

static void may_set_itself_anew(void **state)
{
    struct alarms h = {0};
    struct probe p = {.alarm = {.fn = fire, .ctx = &p}, .heap = &h, .again_ms = 5};
    (void)state;
    last_due = 0;
    alarm_set(&h, &p.alarm, 5);
    assert_int_equal(alarms_wait_ms(&h, 2, 100), 3);
    assert_int_equal(alarms_wait_ms(&h, 2, 1), 1);
    alarms_run(&h, 10);
    assert_int_equal(p.fired, 1); /* due again, but not in this call */
    assert_int_equal(alarms_wait_ms(&h, 10, 100), 0);
    p.again_ms = 0;
    alarms_run(&h, 10);
    assert_int_equal(p.fired, 2);
    assert_int_equal(alarms_wait_ms(&h, 10, 100), 100);
    alarms_finish(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_order),
        cmocka_unit_test(may_set_itself_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
