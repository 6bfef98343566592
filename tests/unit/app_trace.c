/* tests/unit/app_trace.c - a trace is on for its time, bounded, and whole under many threads. */
#include "app/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "app/app_live.h"
#include "base/utf8.h"

static struct trace_line lines[TRACE_EVENTS];

static size_t read_all(struct app_live *a, uint64_t after, uint64_t *missed)
{
    return trace_read(&a->trace, after, lines, missed);
}

static void tell(struct app_live *a, int64_t now_ms, int code)
{
    if (trace_on(&a->trace, now_ms))
        trace_tell(a, now_ms, &(struct traced){.what = TRACE_CLOSED, .code = code});
}

static void test_on_for_its_time(void **state)
{
    (void)state;
    struct app_lives all;
    uint64_t missed;
    app_lives_init(&all);
    struct app_live *a = app_live_get(&all, S("a"));
    tell(a, 1000, 1);
    assert_int_equal(read_all(a, 0, &missed), 0);
    assert_true(trace_watch(&all, a, 1000));
    tell(a, 1000, 2);
    tell(a, 1000 + TRACE_WATCH_MS - 1, 3);
    tell(a, 1000 + TRACE_WATCH_MS, 4);
    assert_int_equal(read_all(a, 0, &missed), 2);
    assert_int_equal(lines[0].code, 2);
    assert_int_equal(lines[1].code, 3);
    assert_int_equal(lines[1].seq, 2);
    assert_int_equal(missed, 0);
    app_lives_finish(&all);
}

/* The log's time ends without the page's, and the other way round. */
static void test_two_ends(void **state)
{
    (void)state;
    struct app_lives all;
    app_lives_init(&all);
    struct app_live *a = app_live_get(&all, S("a"));
    trace_log(&all, a, 0, 60000);
    assert_true(trace_on(&a->trace, 59999));
    assert_true(trace_watch(&all, a, 0));
    assert_true(trace_on(&a->trace, 59999));
    trace_log(&all, a, 0, 0);
    assert_true(trace_on(&a->trace, TRACE_WATCH_MS - 1));
    assert_false(trace_on(&a->trace, TRACE_WATCH_MS));
    app_lives_finish(&all);
}

static void test_ring(void **state)
{
    (void)state;
    static const struct {
        uint64_t after;
        size_t n, missed;
        int first;
    } rows[] = {
        {0, TRACE_EVENTS, 0, 201},
        {200, TRACE_EVENTS, 0, 201},
        {199, TRACE_EVENTS, 1, 201},
        {1, TRACE_EVENTS, 199, 201},
        {700, 12, 0, 701},
        {711, 1, 0, 712},
        {712, 0, 0, 0},
        {713, TRACE_EVENTS, 0, 201},
        {UINT64_MAX, TRACE_EVENTS, 0, 201},
    };
    struct app_lives all;
    uint64_t missed;
    app_lives_init(&all);
    struct app_live *a = app_live_get(&all, S("a"));
    assert_true(trace_watch(&all, a, 0));
    for (int i = 1; i <= TRACE_EVENTS + 200; i++)
        tell(a, 1, i);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_all(a, rows[i].after, &missed), rows[i].n);
        assert_int_equal(missed, rows[i].missed);
        if (rows[i].n)
            assert_int_equal(lines[0].code, rows[i].first);
    }
    app_lives_finish(&all);
}

/* A place is given to another app once nobody looks; what was told before is forgotten. */
static void test_places(void **state)
{
    (void)state;
    struct app_lives all;
    struct app_live *apps[TRACE_APPS + 1];
    uint64_t missed;
    app_lives_init(&all);
    for (int i = 0; i <= TRACE_APPS; i++) {
        char id = (char)('a' + i);
        apps[i] = app_live_get(&all, str_of(&id, 1));
        assert_int_equal(trace_watch(&all, apps[i], i), i < TRACE_APPS);
    }
    tell(apps[0], 1, 7);
    assert_true(trace_watch(&all, apps[TRACE_APPS], TRACE_WATCH_MS)); /* the first one's is over */
    assert_int_equal(read_all(apps[0], 0, &missed), 0);
    assert_false(trace_watch(&all, apps[0], TRACE_WATCH_MS));
    assert_true(trace_watch(&all, apps[0], TRACE_WATCH_MS + 1));
    tell(apps[0], TRACE_WATCH_MS + 1, 8);
    assert_int_equal(read_all(apps[0], 0, &missed), 1);
    assert_int_equal(lines[0].seq, 2);
    app_lives_finish(&all);
}

static void test_texts_are_cut(void **state)
{
    (void)state;
    struct app_lives all;
    uint64_t missed;
    char text[3 * TRACE_TEXT_MAX];
    for (size_t i = 0; i < sizeof text; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    str long_text = str_of(text, sizeof text);
    app_lives_init(&all);
    struct app_live *a = app_live_get(&all, S("a"));
    assert_true(trace_watch(&all, a, 0));
    trace_tell(a, 1, &(struct traced){TRACE_PUBLISHED, long_text, long_text, long_text, 0, 1, 1});
    assert_int_equal(read_all(a, 0, &missed), 1);
    assert_int_equal(lines[0].socket_id_n, 24);
    assert_int_equal(lines[0].channel_n, 198);
    assert_true(utf8_ok(str_of(lines[0].name, lines[0].name_n)));
    app_lives_finish(&all);
}

/* ---- threads ---- */

enum { TELLERS = 3, ROUNDS = 20000 };
static struct app_lives shared;

static void *tell_much(void *ctx)
{
    struct app_live *a = app_live_get(&shared, S("a"));
    for (int i = 1; i <= ROUNDS; i++)
        tell(a, 1, (int)(intptr_t)ctx * ROUNDS + i);
    return NULL;
}

static void *take_places(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 2000; i++) {
        char id = (char)('b' + i % 10);
        if (trace_watch(&shared, app_live_get(&shared, str_of(&id, 1)), 2 * TRACE_WATCH_MS * i))
            trace_log(&shared, app_live_get(&shared, str_of(&id, 1)), 0, 0);
    }
    return NULL;
}

/* Each teller's lines come in its order, no number twice. */
static void test_threads(void **state)
{
    (void)state;
    pthread_t tellers[TELLERS], taker;
    uint64_t missed, last = 0;
    int newest[TELLERS] = {0};
    app_lives_init(&shared);
    struct app_live *a = app_live_get(&shared, S("a"));
    assert_true(trace_watch(&shared, a, INT64_MAX / 2));
    for (intptr_t i = 0; i < TELLERS; i++)
        assert_int_equal(pthread_create(&tellers[i], NULL, tell_much, (void *)i), 0);
    assert_int_equal(pthread_create(&taker, NULL, take_places, NULL), 0);
    while (last < TELLERS * ROUNDS) {
        size_t n = read_all(a, last, &missed);
        for (size_t i = 0; i < n; i++) {
            int who = (lines[i].code - 1) / ROUNDS, nth = (lines[i].code - 1) % ROUNDS + 1;
            assert_true(lines[i].seq > last && nth > newest[who]);
            last = lines[i].seq;
            newest[who] = nth;
        }
    }
    for (int i = 0; i < TELLERS; i++)
        pthread_join(tellers[i], NULL);
    pthread_join(taker, NULL);
    assert_int_equal(a->trace.seq, TELLERS * ROUNDS);
    app_lives_finish(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_for_its_time),
        cmocka_unit_test(test_two_ends),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_texts_are_cut),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
