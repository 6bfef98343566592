/* unit/rate_limiter_rate_limiter.c - the sliding window, the memory driver, and a store that
 * answers late or not at all (http-api.md §12; drivers.md §9.12; HTTP-77, HTTP-80) */
#include "rate_limiter/rate_limiter.h"

#include "rate_limiter/driver.h"

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

static struct rate_limiter *memory(uint32_t max, int64_t window_ms, uint32_t entries)
{
    struct err e = {.kind = ERR_NONE};
    now = 5000;
    struct rate_limiter_options opt = {
        .driver = S("none"), .limit = {max, window_ms}, .now_ms = clock_of, .memory = {entries}};
    struct rate_limiter *r = rate_limiter_create(&opt, &e);
    assert_non_null(r);
    return r;
}

static struct rate_answer count(struct rate_limiter *r, const char *key)
{
    struct rate_answer a;
    assert_int_equal(rate_limiter_count(r, (struct handle){0}, str_z(key), &a, NULL), DONE);
    return a;
}

static void expect(struct rate_answer a, bool allowed, uint32_t remaining, uint32_t reset_s)
{
    assert_int_equal(a.is_allowed, allowed);
    assert_int_equal(a.remaining, remaining);
    assert_int_equal(a.reset_s, reset_s);
}

static void exactly_n_pass(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(3, 60000, 0);
    expect(count(r, "a"), true, 2, 60);
    now += 10000;
    expect(count(r, "a"), true, 1, 50);
    expect(count(r, "a"), true, 0, 50);
    struct rate_answer a = count(r, "a");
    expect(a, false, 0, 50);
    assert_int_equal(a.limit, 3);
    expect(count(r, "b"), true, 2, 60); /* his own count */
    now += 49999;
    expect(count(r, "a"), false, 0, 1);
    rate_limiter_destroy(&r);
    assert_null(r);
    rate_limiter_destroy(&r);
}

/* One after the other as the window before loses weight, not all at once. */
static void the_window_slides(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(3, 60000, 0);
    for (int i = 0; i < 3; i++)
        count(r, "a");
    now += 60000;
    expect(count(r, "a"), true, 0, 20); /* 3 before weigh 2: full with this one */
    now += 19999;
    expect(count(r, "a"), false, 0, 1);
    now += 1;
    expect(count(r, "a"), true, 0, 20);
    now += 20000;
    expect(count(r, "a"), true, 0, 20);
    now += 19999;
    expect(count(r, "a"), false, 0, 1);
    now += 120000;
    expect(count(r, "a"), true, 2, 60); /* all forgotten */
    rate_limiter_destroy(&r);
}

/* What the answer promises holds: refused one ms before, admitted then; and no stretch as long as
 * the window admits twice the limit. */
static void the_promise_holds(void **state)
{
    (void)state;
    static const struct rate_limit limits[] = {{1, 1000}, {2, 7}, {5, 1000}, {100, 60000}, {7, 1}};
    uint32_t random = 1;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct rate_window w = {0};
        struct rate_answer a;
        int64_t t = 1000;
        for (int step = 0; step < 3000; step++) {
            random = random * 1664525 + 1013904223;
            t += random >> 16 & 1 ? (int64_t)(random >> 17) % (limits[i].window_ms / 3 + 1) : 0;
            rate_window_count(&w, &limits[i], t, &a);
            if (a.is_allowed)
                continue;
            struct rate_window later = w, earlier = w;
            struct rate_answer b;
            rate_window_count(&later, &limits[i], t + (int64_t)a.reset_s * 1000, &b);
            assert_true(b.is_allowed);
            assert_true(a.reset_s >= 1 && a.reset_s * 1000 < limits[i].window_ms + 1000);
            if (a.reset_s > 1)
                rate_window_count(&earlier, &limits[i], t + (int64_t)(a.reset_s - 1) * 1000, &b);
            assert_true(a.reset_s == 1 || !b.is_allowed);
        }
    }
}

static void zero_admits_nobody(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(0, 60000, 0);
    expect(count(r, "a"), false, 0, 60);
    rate_limiter_destroy(&r);
}

static void limits_change_while_running(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(2, 60000, 0);
    count(r, "a");
    count(r, "a");
    assert_false(count(r, "a").is_allowed);
    rate_limiter_change(r, (struct rate_limit){4, 60000});
    expect(count(r, "a"), true, 1, 60);
    rate_limiter_change(r, (struct rate_limit){1, 10000});
    expect(count(r, "a"), false, 0, 17); /* 3 of the window before: 10 s, then 2/3 of 10 s */
    now += 17000;
    assert_true(count(r, "a").is_allowed);
    rate_limiter_change(r, (struct rate_limit){UINT32_MAX, INT64_MAX});
    struct rate_answer a = count(r, "b");
    expect(a, true, UINT32_MAX - 1, RATE_WINDOW_MAX_MS / 1000);
    rate_limiter_destroy(&r);
}

static void a_clock_that_goes_back_is_harmless(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(2, 1000, 0);
    count(r, "a");
    now -= 3000;
    expect(count(r, "a"), true, 0, 1);
    assert_false(count(r, "a").is_allowed);
    rate_limiter_destroy(&r);
}

static unsigned admitted(struct rate_limiter *r, const char *prefix, int from, int to)
{
    char key[32];
    unsigned n = 0;
    for (int i = from; i < to; i++) {
        snprintf(key, sizeof key, "%s%d", prefix, i);
        n += count(r, key).is_allowed;
    }
    return n;
}

/* A flood of addresses costs neither memory nor the limit, and those who were there keep theirs. */
static void full_shards_share(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(2, 1000, 1600);
    count(r, "me");
    assert_int_equal(admitted(r, "flood", 0, 1600), 1600);
    unsigned late = admitted(r, "late", 0, 200000);
    assert_true(late > 0 && late <= 16 * 1024 * 2 + 1600);
    assert_true(count(r, "me").is_allowed);
    assert_false(count(r, "me").is_allowed);
    now += 2000; /* what was counted is over: entries of their own again */
    assert_int_equal(admitted(r, "next", 0, 400), 400);
    assert_int_equal(admitted(r, "next", 0, 400), 400);
    assert_int_equal(admitted(r, "next", 0, 400), 0);
    rate_limiter_destroy(&r);
}

static void names_unknown_drivers(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct rate_limiter_options opt = {.driver = S("abacus"), .limit = {1, 1000}};
    assert_null(rate_limiter_create(&opt, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "abacus"));
}

/* ---- a store that answers late ---- */

struct store {
    struct rate_limiter base;
    struct rate_call *call;
};
static bool is_away;

static bool store_open(struct rate_limiter *r, const struct rate_limiter_options *opt,
                       struct err *e)
{
    (void)r, (void)opt, (void)e;
    return true;
}

static void store_close(struct rate_limiter *r)
{
    (void)r;
}

static enum when store_count(struct rate_limiter *r, struct rate_answer *out,
                             const struct rate_call *call)
{
    if (is_away) {
        err_set(&out->err, ERR_UNAVAILABLE, "store is away");
        return DONE;
    }
    ((struct store *)r)->call = rate_call_keep(call);
    return LATER;
}

static const struct rate_limiter_driver store = {
    .name = "store",
    .size = sizeof(struct store),
    .open = store_open,
    .close = store_close,
    .count = store_count,
};

static struct rate_answer heard;
static unsigned heard_count;
static void hear(struct handle asker, const struct rate_answer *a)
{
    assert_int_equal(asker.slot, 7);
    heard = *a;
    heard_count++;
}

static struct rate_limiter *store_create(bool fail_closed)
{
    struct err e = {.kind = ERR_NONE};
    struct rate_limiter_options opt = {
        .limit = {2, 1000}, .fail_closed = fail_closed, .now_ms = clock_of};
    struct rate_limiter *r = rate_limiter_create_with(&store, &opt, &e);
    assert_non_null(r);
    is_away = false;
    heard_count = 0;
    return r;
}

static void ask(struct rate_limiter *r)
{
    struct rate_answer a;
    assert_int_equal(rate_limiter_count(r, (struct handle){.slot = 7}, S("k"), &a, hear), LATER);
}

static void late_answers_come_once(void **state)
{
    (void)state;
    struct rate_limiter *r = store_create(false);
    ask(r);
    assert_int_equal(heard_count, 0);
    struct rate_call *call = ((struct store *)r)->call;
    assert_true(str_eq(str_of(call->key, call->key_n), S("k")));
    assert_int_equal(call->limit.max_requests, 2);
    rate_call_answer(call, &(struct rate_answer){.is_allowed = true, .limit = 2, .remaining = 1});
    assert_int_equal(heard_count, 1);
    assert_true(heard.is_allowed && heard.remaining == 1);
    ask(r);
    rate_limiter_destroy(&r); /* who still waits hears something */
    assert_int_equal(heard_count, 2);
}

static void counts_here_while_the_store_is_away(void **state)
{
    (void)state;
    struct rate_answer lost = {0};
    struct rate_limiter *r = store_create(false);
    err_set(&lost.err, ERR_UNAVAILABLE, "store went away");
    ask(r);
    rate_call_answer(((struct store *)r)->call, &lost);
    assert_true(heard.is_allowed && !heard.is_unavailable);
    assert_int_equal(heard.remaining, 1);
    is_away = true;
    expect(count(r, "k"), true, 0, 1);
    assert_false(count(r, "k").is_allowed);
    rate_limiter_change(r, (struct rate_limit){3, 1000});
    assert_true(count(r, "k").is_allowed);
    rate_limiter_destroy(&r);
}

static void refuses_if_told_so(void **state)
{
    (void)state;
    struct rate_limiter *r = store_create(true);
    is_away = true;
    struct rate_answer a = count(r, "k");
    assert_true(!a.is_allowed && a.is_unavailable);
    rate_limiter_destroy(&r);
}

/* ---- threads ---- */

enum { THREADS = 4, REQUESTS = 2000 };
static void *hammer(void *ctx)
{
    uintptr_t passed = 0;
    for (int i = 0; i < REQUESTS; i++)
        passed += count(ctx, i % 2 ? "one" : "two").is_allowed;
    return (void *)passed;
}

static void threads_count_together(void **state)
{
    (void)state;
    struct rate_limiter *r = memory(1000, 60000, 0);
    pthread_t t[THREADS];
    uintptr_t sum = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hammer, r), 0);
    for (int i = 0; i < THREADS; i++) {
        void *passed;
        pthread_join(t[i], &passed);
        sum += (uintptr_t)passed;
    }
    assert_int_equal(sum, 2000); /* 1,000 of each key */
    rate_limiter_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_n_pass),
        cmocka_unit_test(the_window_slides),
        cmocka_unit_test(the_promise_holds),
        cmocka_unit_test(zero_admits_nobody),
        cmocka_unit_test(limits_change_while_running),
        cmocka_unit_test(a_clock_that_goes_back_is_harmless),
        cmocka_unit_test(full_shards_share),
        cmocka_unit_test(names_unknown_drivers),
        cmocka_unit_test(late_answers_come_once),
        cmocka_unit_test(counts_here_while_the_store_is_away),
        cmocka_unit_test(refuses_if_told_so),
        cmocka_unit_test(threads_count_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
