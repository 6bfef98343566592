/* unit/channel_deadlines - when webhooks and counts are looked at again (webhooks.md §1.5). */
#include "channel/deadline.h"
#include "channel/hooks.h"

#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A far deadline, like that of a lease, holds back no nearer one that comes after it. */
static void a_far_one_comes_first(void **state)
{
    (void)state;
    struct deadlines d;
    int64_t begin = 1000000;
    deadlines_init(&d, begin);
    deadlines_add(&d, S("1"), S("far"), begin + 30000);
    deadlines_add(&d, S("1"), S("near"), begin + 3000);
    assert_null(deadlines_take(&d, begin + 2750));
    struct deadline *near = deadlines_take(&d, begin + 3250);
    assert_non_null(near);
    assert_true(str_eq(deadline_name(near), S("near")));
    assert_null(near->next);
    free(near);
    struct deadline *all = deadlines_take(&d, INT64_MAX);
    assert_non_null(all);
    assert_true(str_eq(deadline_name(all), S("far")));
    free(all);
    deadlines_finish(&d);
}

/* HOOK-18: the count falls to 100 while the deadline waits, is told at once, and rises again: the
 * end of that burst is told too. */
static void a_count_waits_again(void **state)
{
    (void)state;
    struct hooks *h = hooks_create();
    assert_int_equal(hooks_count(h, 101, 10000), 0);
    assert_int_equal(hooks_count(h, 102, 11000), 15000);
    assert_int_equal(hooks_count(h, 103, 11500), -1);
    assert_int_equal(hooks_count(h, 100, 12000), 0);
    assert_false(hooks_count_is_due(h, 14000));
    assert_true(hooks_count_is_due(h, 15000));
    assert_false(hooks_count_is_due(h, 15000));
    assert_int_equal(hooks_count(h, 104, 15000), 17000);
    assert_true(hooks_count_is_due(h, 17000));
    assert_int_equal(hooks_count(h, 104, 17000), 0);
    hooks_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_far_one_comes_first),
        cmocka_unit_test(a_count_waits_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
