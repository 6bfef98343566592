/* unit/cache_cache.c - the front of the caches with its memory, none and scripted drivers. */
#include "cache/cache.h"

#include "support/cache_scripted.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static int64_t now;
static int64_t clock_of(void *ctx)
{
    (void)ctx;
    return now;
}

static struct cache *memory(uint64_t entries, uint64_t bytes, int64_t ttl_ms)
{
    struct err e = {.kind = ERR_NONE};
    now = 1000;
    struct cache_options opt = {
        .driver = S("memory"), .now_ms = clock_of, .memory = {ttl_ms, entries, bytes}};
    struct cache *c = cache_create(&opt, &e);
    assert_non_null(c);
    return c;
}

static bool set(struct cache *c, str key, str value, int64_t ttl_ms)
{
    struct cache_answer a;
    assert_int_equal(cache_set(c, (struct handle){0}, key, value, ttl_ms, &a, NULL), DONE);
    return a.err.kind == ERR_NONE;
}

static struct cache_answer get(arena *m, struct cache *c, str key)
{
    struct cache_answer a;
    assert_int_equal(cache_get(m, c, (struct handle){0}, key, &a, NULL), DONE);
    return a;
}

static void stores_replaces_removes(void **state)
{
    (void)state;
    arena m = {0};
    struct cache *c = memory(0, 0, 0);
    assert_true(cache_caps(c) & CACHE_AT_ONCE);
    assert_false(get(&m, c, S("a")).found);
    assert_true(set(c, S("a"), S("one"), 0));
    struct cache_answer first = get(&m, c, S("a"));
    assert_true(set(c, S("a"), S("two"), 0));
    assert_true(str_eq(first.value, S("one"))); /* a copy: replaced meanwhile */
    assert_true(str_eq(get(&m, c, S("a")).value, S("two")));
    assert_true(set(c, S("empty"), S(""), 0));
    assert_true(get(&m, c, S("empty")).found);
    struct cache_answer a;
    cache_remove(c, (struct handle){0}, S("a"), &a, NULL);
    assert_true(a.found);
    cache_remove(c, (struct handle){0}, S("a"), &a, NULL);
    assert_false(a.found);
    assert_int_equal(a.err.kind, ERR_NONE);
    assert_false(get(&m, c, S("a")).found);
    cache_destroy(&c);
    assert_null(c);
    cache_destroy(&c);
    arena_finish(&m);
}

/* The TTL of the write counts; the driver's own only without one (drivers.md §9.10). */
static void entries_expire(void **state)
{
    (void)state;
    arena m = {0};
    struct cache *c = memory(0, 0, 300000);
    set(c, S("channel"), S("x"), 3600000);
    set(c, S("other"), S("x"), 0);
    now += 299999;
    assert_int_equal(get(&m, c, S("channel")).ttl_ms, 3600000 - 299999);
    assert_int_equal(get(&m, c, S("other")).ttl_ms, 1);
    now += 1;
    assert_false(get(&m, c, S("other")).found);
    assert_true(get(&m, c, S("channel")).found);
    now = 1000 + 3600000;
    assert_false(get(&m, c, S("channel")).found);
    cache_destroy(&c);
    c = memory(0, 0, 0);
    set(c, S("for ever"), S("x"), 0);
    now += INT32_MAX;
    assert_true(get(&m, c, S("for ever")).found);
    assert_int_equal(get(&m, c, S("for ever")).ttl_ms, 0);
    cache_destroy(&c);
    arena_finish(&m);
}

static void least_recently_used_goes_first(void **state)
{
    (void)state;
    arena m = {0};
    struct cache *c = memory(3, 0, 0);
    set(c, S("a"), S("1"), 0);
    set(c, S("b"), S("2"), 0);
    set(c, S("c"), S("3"), 0);
    get(&m, c, S("a"));
    set(c, S("d"), S("4"), 0);
    assert_true(get(&m, c, S("a")).found);
    assert_false(get(&m, c, S("b")).found);
    assert_true(get(&m, c, S("c")).found);
    assert_true(get(&m, c, S("d")).found);
    cache_destroy(&c);
    c = memory(0, 10, 0);
    set(c, S("a"), S("1234"), 0);
    set(c, S("b"), S("1234"), 0);
    set(c, S("c"), S("1"), 0);
    assert_false(get(&m, c, S("a")).found);
    assert_true(get(&m, c, S("b")).found && get(&m, c, S("c")).found);
    set(c, S("d"), S("larger than the whole cache"), 0);
    assert_false(get(&m, c, S("d")).found);
    cache_destroy(&c);
    arena_finish(&m);
}

static void grows_beyond_first_buckets(void **state)
{
    (void)state;
    arena m = {0};
    struct cache *c = memory(1000, 0, 0);
    char key[16];
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "k%d", i);
        set(c, str_z(key), str_z(key), 0);
    }
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "k%d", i);
        struct cache_answer a = get(&m, c, str_z(key));
        assert_int_equal(a.found, i >= 500);
        assert_true(i < 500 || str_eq(a.value, str_z(key)));
    }
    cache_destroy(&c);
    arena_finish(&m);
}

static void limits_are_errors(void **state)
{
    (void)state;
    arena m = {0};
    struct err e = {.kind = ERR_NONE};
    struct cache_options opt = {.driver = S("memory"), .max_value_bytes = 4};
    struct cache *c = cache_create(&opt, &e);
    static const char long_key[CACHE_KEY_MAX + 1];
    assert_true(set(c, S("a"), S("1234"), 0));
    assert_false(set(c, S("a"), S("12345"), 0));
    assert_true(str_eq(get(&m, c, S("a")).value, S("1234")));
    assert_false(set(c, S(""), S("1"), 0));
    assert_int_equal(get(&m, c, str_of(long_key, sizeof long_key)).err.kind, ERR_LIMIT);
    cache_destroy(&c);
    arena_finish(&m);
}

static void none_remembers_nothing(void **state)
{
    (void)state;
    arena m = {0};
    struct err e = {.kind = ERR_NONE};
    struct cache_options opt = {.driver = S("none")};
    struct cache *c = cache_create(&opt, &e);
    assert_true(set(c, S("a"), S("1"), 0));
    assert_false(get(&m, c, S("a")).found);
    cache_destroy(&c);
}

static void unknown_and_unbuilt_drivers(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    assert_null(cache_create(&(struct cache_options){.driver = S("redis")}, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "libhiredis-dev"));
    assert_null(cache_create(&(struct cache_options){.driver = S("rediss")}, &e));
    assert_non_null(strstr(e.text, "not supported"));
}

static struct cache_answer last;
static char last_value[64];
static int calls;
static void remember(struct handle asker, const struct cache_answer *a)
{
    assert_int_equal(asker.slot, 7);
    last = *a;
    snprintf(last_value, sizeof last_value, "%.*s", FMT(a->value));
    calls++;
}

static void scripted_answers_later(void **state)
{
    (void)state;
    arena m = {0};
    struct err e = {.kind = ERR_NONE};
    struct handle me = {.slot = 7};
    struct cache_answer out;
    struct cache *c = cache_create_with(&cache_scripted, &(struct cache_options){0}, &e);
    calls = 0;
    assert_int_equal(cache_set(c, me, S("a"), S("1"), 50, &out, remember), LATER);
    assert_int_equal(cache_get(&m, c, me, S("a"), &out, remember), LATER);
    assert_int_equal(cache_scripted_waiting(c), 2);
    assert_int_equal(calls, 0);
    assert_true(cache_scripted_release(c, false));
    assert_true(cache_scripted_release(c, false));
    assert_false(cache_scripted_release(c, false));
    assert_true(last.found && calls == 2);
    assert_string_equal(last_value, "1");
    cache_get(&m, c, me, S("a"), &out, remember);
    cache_scripted_release(c, true);
    assert_int_equal(last.err.kind, ERR_UNAVAILABLE);
    cache_get(&m, c, me, S("a"), &out, remember);
    cache_set(c, me, S("a"), S("2"), 0, &out, remember);
    cache_destroy(&c); /* who waits hears of it */
    assert_int_equal(calls, 5);
    assert_int_equal(last.err.kind, ERR_UNAVAILABLE);
}

static void *hammer(void *shared)
{
    arena m = {0};
    char key[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i % 100);
        set(shared, str_z(key), str_z(key), 0);
        struct cache_answer a = get(&m, shared, str_z(key));
        assert_true(!a.found || str_eq(a.value, str_z(key)));
        arena_clear(&m);
    }
    arena_finish(&m);
    return NULL;
}

static void two_workers_at_once(void **state)
{
    (void)state;
    struct cache *c = memory(50, 0, 0);
    pthread_t other;
    pthread_create(&other, NULL, hammer, c);
    hammer(c);
    pthread_join(other, NULL);
    cache_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stores_replaces_removes),
                                       cmocka_unit_test(entries_expire),
                                       cmocka_unit_test(least_recently_used_goes_first),
                                       cmocka_unit_test(grows_beyond_first_buckets),
                                       cmocka_unit_test(limits_are_errors),
                                       cmocka_unit_test(none_remembers_nothing),
                                       cmocka_unit_test(unknown_and_unbuilt_drivers),
                                       cmocka_unit_test(scripted_answers_later),
                                       cmocka_unit_test(two_workers_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
