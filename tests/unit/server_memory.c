/* unit/server_memory - how much memory there is, when it is short, when it is given back
 * (security.md R10, SEC-14; performance.md S6) */
#include "server/memory_limit.h"
#include "server/memory_watch.h"
#include "queue/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static void bodies_and_jobs_leave_room(void **state)
{
    (void)state;
    assert_true(memory_limit_find() > 0);
    assert_int_equal(memory_limit_of_bodies(0), HTTP_BODIES_MAX);
    assert_int_equal(memory_limit_of_bodies(UINT64_MAX), HTTP_BODIES_MAX);
    assert_int_equal(memory_limit_of_bodies(1024 * MIB), HTTP_BODIES_MAX);
    assert_int_equal(memory_limit_of_bodies(200 * MIB), 50 * MIB);
    assert_int_equal(memory_limit_of_queue(0), QUEUE_MEMORY_BYTES);
    assert_int_equal(memory_limit_of_queue(UINT64_MAX), QUEUE_MEMORY_BYTES);
    assert_int_equal(memory_limit_of_queue(200 * MIB), 25 * MIB);
}

static void short_and_enough(void **state)
{
    (void)state;
    struct memory_watch m;
    memory_watch_init(&m, 1000 * MIB);
    static const struct {
        uint64_t used;
        bool is_short;
        uint64_t want;
    } rows[] = {
        {799, false, 0}, {800, true, 0},  {899, true, 0},
        {900, true, 50}, {890, true, 80}, {860, true, 40}, /* asks for more each time */
        {849, true, 0},  {880, true, 0},                   /* not before 90 again */
        {910, true, 60}, {700, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t want = memory_watch_judge(&m, rows[i].used * MIB);
        assert_int_equal(m.is_short, rows[i].is_short);
        if ((want != 0) != (rows[i].want != 0) || want > rows[i].want * MIB + 8 * MIB ||
            want < rows[i].want * MIB)
            fail_msg("row %zu: %llu", i, (unsigned long long)want);
    }
    memory_watch_init(&m, 0);
    assert_int_equal(memory_watch_judge(&m, UINT64_MAX), 0);
    assert_false(m.is_short);
}

/* What a shortage has left behind in the heap does not keep it up for ever. */
static void reclaims_while_short(void **state)
{
    (void)state;
    struct memory_watch m;
    memory_watch_init(&m, 1000 * MIB);
    static const struct {
        uint64_t used;
        int64_t now_ms;
        bool reclaims;
    } rows[] = {
        {799, 0, false},     {850, 1000, true},   {850, 2000, false},  {850, 10999, false},
        {850, 11000, true},  {850, 12000, false}, {901, 13000, true},  {901, 14000, true},
        {860, 15000, true},  {840, 16000, true},  {840, 17000, false}, {840, 26000, true},
        {100, 27000, false}, {810, 28000, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (memory_watch_should_reclaim(&m, rows[i].used * MIB, rows[i].now_ms) != rows[i].reclaims)
            fail_msg("row %zu", i);
        (void)memory_watch_judge(&m, rows[i].used * MIB);
    }
    memory_watch_init(&m, 0);
    assert_false(memory_watch_should_reclaim(&m, UINT64_MAX, 0));
}

static void trims_after_many_left(void **state)
{
    (void)state;
    struct memory_watch m;
    memory_watch_init(&m, 0);
    static const struct {
        uint64_t connections, most;
        bool trims;
    } rows[] = {{10, 10, false},     {0, 10, false},      {0, 10, false},     {1000, 1000, false},
                {501, 1000, false},  {501, 1000, false},  {500, 1000, false}, /* still leaving */
                {500, 1000, true},   {500, 500, false},   {1900, 2000, false}, {0, 2000, false},
                {0, 2000, true},     {0, 0, false},
                {0, 3000, true} /* they came and left between two looks */};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (memory_watch_should_trim(&m, rows[i].connections, rows[i].most) != rows[i].trims)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_and_jobs_leave_room),
        cmocka_unit_test(short_and_enough),
        cmocka_unit_test(reclaims_while_short),
        cmocka_unit_test(trims_after_many_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
