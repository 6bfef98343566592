/* unit/server_memory - how much memory there is, when it is short, when it is given back
 * (security.md R10, SEC-14; performance.md S6) */
#include "server/memory_limit.h"
#include "server/memory_watch.h"
#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

static char root[] = "/tmp/groups-XXXXXX";

static void file_write(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *p = full + sizeof root; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(full, 0700);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int groups_make(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    file_write("memory.max", "max\n");
    file_write("a/memory.max", "1000\n");
    file_write("a/b/memory.max", "2000\n");
    file_write("c/memory.max", "junk\n");
    file_write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    file_write("memory/x/memory.limit_in_bytes", "500\n");
    return 0;
}

static int groups_remove(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void limits_of_groups(void **state)
{
    (void)state;
    static const struct {
        const char *groups;
        uint64_t limit;
    } rows[] = {
        {"0::/\n", 0},
        {"0::/a\n", 1000},
        {"0::/a/b\n", 1000}, /* a limit above counts too */
        {"0::/a/b/not/seen", 1000},
        {"0::/c\n", 0},
        {"", 0},
        {"\n", 0},
        {"nonsense", 0},
        {"3:cpu,memory:/x\n2:cpuset:/a\n", 500},
        {"3:memory:/x/y\n0::/a\n", 500},
        {"3:memory:/not/seen\n", 0},
        {"3:memoryless:/x\n", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (memory_limit_of_groups(root, str_z(rows[i].groups)) != rows[i].limit)
            fail_msg("%s: %llu", rows[i].groups,
                     (unsigned long long)memory_limit_of_groups(root, str_z(rows[i].groups)));
    assert_true(memory_limit_find() > 0);
}

static void bodies_and_jobs_leave_room(void **state)
{
    (void)state;
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
        cmocka_unit_test_setup_teardown(limits_of_groups, groups_make, groups_remove),
        cmocka_unit_test(bodies_and_jobs_leave_room),
        cmocka_unit_test(short_and_enough),
        cmocka_unit_test(reclaims_while_short),
        cmocka_unit_test(trims_after_many_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
