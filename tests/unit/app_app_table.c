/* unit/app_app_table - a reload's list against records that a look-up brought before. */
#include "app/app_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct app *make(bool enabled)
{
    struct app *a = app_create();
    a->id = arena_str(&a->memory, S("1"));
    a->key = arena_str(&a->memory, S("k"));
    a->secret = arena_str(&a->memory, S("s"));
    a->enabled = enabled;
    return a;
}

static bool update(struct app_table *t, struct app *const *apps, size_t n)
{
    struct app_list *l = app_list_create(apps, n);
    bool lost = app_table_update(t, l);
    app_list_unref(&l);
    return lost;
}

/* The look-up of a new socket swaps in the disabled record; the old sockets must still hear. */
static void the_record_came_before_the_list(void **state)
{
    (void)state;
    struct app_lives lives;
    struct app_table t;
    struct app *first = make(true), *off = make(false), *look_up = app_ref(off);
    app_lives_init(&lives);
    app_table_init(&t, &lives);
    struct app_entry *e = app_table_take(&t, &first);
    e->connections = 2;
    assert_ptr_equal(app_table_take(&t, &look_up), e);
    assert_true(update(&t, &off, 1));
    e->connections = 0;
    assert_false(update(&t, &off, 1));
    app_unref(&off);
    app_table_finish(&t);
    app_lives_finish(&lives);
}

static void an_app_is_gone(void **state)
{
    (void)state;
    struct app_lives lives;
    struct app_table t;
    struct app *first = make(true), *again = make(true);
    app_lives_init(&lives);
    app_table_init(&t, &lives);
    struct app_entry *e = app_table_take(&t, &first);
    e->connections = 1;
    assert_false(update(&t, &again, 1));
    assert_ptr_equal(e->app, again);
    assert_true(update(&t, NULL, 0));
    assert_false(e->app->enabled);
    assert_false(e->app == again);
    e->connections = 0;
    assert_false(update(&t, &again, 1));
    assert_true(e->app->enabled);
    app_unref(&again);
    app_table_finish(&t);
    app_lives_finish(&lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_record_came_before_the_list),
        cmocka_unit_test(an_app_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
