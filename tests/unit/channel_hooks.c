/* unit/channel_hooks - what is kept of members who come and go (webhooks.md §1.2). */
#include "channel/hooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* A member who leaves and returns within his grace leaves nothing behind but one deadline. */
static void flapping_member_leaves_nothing(void **state)
{
    (void)state;
    struct hooks *h = hooks_create();
    int deadlines = 0;
    assert_true(hooks_user_came(h, S("ada")));
    for (int i = 0; i < 1000; i++) {
        deadlines += hooks_look(h, hooks_user_left(h, S("ada"), 1000 + i));
        assert_false(hooks_user_came(h, S("ada")));
        assert_null(h->first);
        assert_null(h->last);
    }
    assert_int_equal(deadlines, 1);
    assert_int_equal(hooks_looked(h, 1000 + HOOKS_GRACE_MS), 0);
    hooks_destroy(h);
}

/* Who returns leaves the line from its head, middle and end; the others are told in order, and the
 * next deadline is theirs. */
static void others_keep_their_turn(void **state)
{
    (void)state;
    struct hooks *h = hooks_create();
    const char *all[] = {"a", "b", "c", "d", "e"}, *back[] = {"a", "c", "e"}, *gone[] = {"b", "d"};
    for (size_t i = 0; i < 5; i++)
        hooks_look(h, hooks_user_left(h, str_z(all[i]), 1000 + 100 * (int64_t)i));
    for (size_t i = 0; i < 3; i++)
        assert_false(hooks_user_came(h, str_z(back[i])));
    assert_null(hooks_user_gone(h, 1000 + HOOKS_GRACE_MS));
    assert_int_equal(hooks_looked(h, 1000 + HOOKS_GRACE_MS), 1100 + HOOKS_GRACE_MS);
    for (size_t i = 0; i < 2; i++) {
        struct hooks_leaver *l = hooks_user_gone(h, 1300 + HOOKS_GRACE_MS);
        assert_non_null(l);
        assert_true(str_eq(str_of(l->id, l->n), str_z(gone[i])));
        free(l);
    }
    assert_null(hooks_user_gone(h, INT64_MAX));
    assert_int_equal(hooks_looked(h, 1300 + HOOKS_GRACE_MS), 0);
    assert_true(hooks_are_idle(h));
    hooks_destroy(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flapping_member_leaves_nothing),
        cmocka_unit_test(others_keep_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
