/* unit/io_timer - the coarse timer wheel */
#include "io/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int fired;
static struct timer *last;

static void fire(void *ctx, struct timer *t)
{
    (void)ctx;
    fired++;
    last = t;
}

/* Never early, at most two ticks late, also far beyond one round of the wheel. */
static void fires_in_time(void **state)
{
    static const int64_t due[] = {1, 49, 50, 51, 1000, 51199, 51200, 120000, 3600000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(due); i++) {
        struct timer_wheel w;
        struct timer t = {0};
        timer_wheel_init(&w, 7);
        timer_set(&w, &t, 7 + due[i]);
        fired = 0;
        int64_t now = 7;
        while (!fired) {
            now += 10;
            timer_run(&w, now, fire, NULL);
            assert_true(now < 7 + due[i] + 2 * TIMER_TICK_MS + 10);
        }
        assert_true(now >= 7 + due[i]);
        assert_true(!timer_is_set(&t) && w.count == 0);
    }
}

static void moves(void **state)
{
    struct timer_wheel w;
    struct timer t = {0};
    (void)state;
    timer_wheel_init(&w, 0);
    timer_set(&w, &t, 100);
    timer_set(&w, &t, 5000); /* later: only stored */
    fired = 0;
    for (int64_t now = 0; now < 4990; now += 10)
        timer_run(&w, now, fire, NULL);
    assert_int_equal(fired, 0);
    timer_set(&w, &t, 5010);
    timer_set(&w, &t, 4995); /* earlier: put on its place */
    for (int64_t now = 4990; now < 5100; now += 10)
        timer_run(&w, now, fire, NULL);
    assert_int_equal(fired, 1);
    timer_set(&w, &t, 6000);
    timer_stop(&w, &t);
    timer_run(&w, 10000, fire, NULL);
    assert_int_equal(fired, 1);
    assert_int_equal(timer_wait_ms(&w, 10000, 777), 777);
}

/* Two lie in one slot; the first that fires stops the other, which was moved since. */
static struct timer other;

static void fire_and_stop(void *wheel, struct timer *t)
{
    fired++;
    if (t != &other)
        timer_stop(wheel, &other);
}

static void stops_another_while_it_fires(void **state)
{
    struct timer_wheel w;
    struct timer t = {0};
    (void)state;
    timer_wheel_init(&w, 0);
    fired = 0;
    timer_set(&w, &t, 100);
    timer_set(&w, &other, 100); /* in front of it */
    timer_set(&w, &other, 1000);
    for (int64_t now = 0; now < 2000; now += 10)
        timer_run(&w, now, fire_and_stop, &w);
    assert_int_equal(fired, 1);
    assert_int_equal(w.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_time),
        cmocka_unit_test(moves),
        cmocka_unit_test(stops_another_while_it_fires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
