/* unit/app_app_manager.c - the front of the app stores with its memory and scripted drivers. */
#include "app/app_manager.h"

#include "support/app_scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct app *make(str id, str key)
{
    struct app *a = app_create();
    a->id = arena_str(&a->memory, id);
    a->key = arena_str(&a->memory, key);
    a->secret = arena_str(&a->memory, S("secret"));
    return a;
}

static void finds_by_key_and_id(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct app *apps[] = {make(S("1"), S("k1")), make(S("2"), S("k2"))};
    struct app_manager *m =
        app_manager_create(&(struct app_manager_options){S("memory"), apps, 2}, &e);
    assert_non_null(m);
    app_unref(&apps[0]);
    app_unref(&apps[1]);
    struct app_answer a;
    assert_int_equal(app_by_key(m, (struct handle){0}, S("k2"), &a, NULL), DONE);
    assert_true(a.found && str_eq(a.app->id, S("2")));
    struct app *kept = a.app;
    assert_int_equal(app_by_id(m, (struct handle){0}, S("1"), &a, NULL), DONE);
    assert_true(a.found && str_eq(a.app->key, S("k1")));
    app_unref(&a.app);
    assert_null(a.app);
    app_by_key(m, (struct handle){0}, S("1"), &a, NULL);
    assert_false(a.found);
    app_by_key(m, (struct handle){0}, S(""), &a, NULL);
    assert_false(a.found);
    app_manager_destroy(&m);
    assert_true(str_eq(kept->key, S("k2"))); /* the reference outlives the manager */
    app_unref(&kept);
}

/* CFG-54 */
static void duplicates_refuse_the_start(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct app *same_id[] = {make(S("1"), S("k1")), make(S("1"), S("k2"))};
    struct app *same_key[] = {make(S("1"), S("k")), make(S("2"), S("k"))};
    assert_null(app_manager_create(&(struct app_manager_options){S("memory"), same_id, 2}, &e));
    assert_non_null(strstr(e.text, "id \"1\""));
    assert_null(app_manager_create(&(struct app_manager_options){S("memory"), same_key, 2}, &e));
    assert_non_null(strstr(e.text, "key \"k\""));
    for (int i = 0; i < 2; i++) {
        app_unref(&same_id[i]);
        app_unref(&same_key[i]);
    }
}

static void unknown_driver(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    assert_null(app_manager_create(&(struct app_manager_options){.driver = S("mysql")}, &e));
    assert_non_null(strstr(e.text, "not part of this build"));
    assert_null(app_manager_create(&(struct app_manager_options){.driver = S("x")}, &e));
    assert_non_null(strstr(e.text, "not supported"));
}

static int calls;
static struct app_answer last;
static void remember(struct handle asker, struct app_answer *a)
{
    assert_int_equal(asker.slot, 3);
    calls++;
    last = *a;
}

static void scripted_fails_and_answers_later(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct handle me = {.slot = 3};
    struct app_answer out;
    struct app *app = make(S("1"), S("k"));
    struct app_manager *m = app_manager_create_with(
        &app_scripted, &(struct app_manager_options){S("scripted"), &app, 1}, &e);
    app_scripted_mode(m, APP_ANSWER_FAIL);
    assert_int_equal(app_by_key(m, me, S("k"), &out, remember), DONE);
    assert_int_equal(out.err.kind, ERR_UNAVAILABLE);
    app_scripted_mode(m, APP_ANSWER_LATER);
    assert_int_equal(app_by_key(m, me, S("k"), &out, remember), LATER);
    assert_int_equal(app_by_id(m, me, S("none"), &out, remember), LATER);
    assert_int_equal(app_by_id(m, me, S("1"), &out, remember), LATER);
    assert_true(app_scripted_release(m, false));
    assert_true(calls == 1 && last.found && last.app == app);
    app_unref(&last.app);
    assert_true(app_scripted_release(m, false));
    assert_true(calls == 2 && !last.found && last.err.kind == ERR_NONE);
    app_manager_destroy(&m);
    assert_true(calls == 3 && last.err.kind == ERR_UNAVAILABLE);
    app_unref(&app);
}

static void count(void *ctx, struct app *a)
{
    assert_int_equal(a->id.n, 1);
    ++*(int *)ctx;
}

static void each_lists_all(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct app *apps[] = {make(S("1"), S("a")), make(S("2"), S("b")), make(S("3"), S("c"))};
    struct app_manager *m =
        app_manager_create(&(struct app_manager_options){S("memory"), apps, 3}, &e);
    int seen = 0;
    app_manager_each(m, count, &seen);
    assert_int_equal(seen, 3);
    assert_false(app_manager_is_empty(m));
    assert_true(app_manager_reload(m, &(struct app_manager_options){S("memory"), NULL, 0}, &e));
    assert_true(app_manager_is_empty(m));
    app_manager_destroy(&m);
    for (int i = 0; i < 3; i++)
        app_unref(&apps[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_key_and_id), cmocka_unit_test(duplicates_refuse_the_start),
        cmocka_unit_test(unknown_driver), cmocka_unit_test(scripted_fails_and_answers_later),
        cmocka_unit_test(each_lists_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
