/* unit/base_cgroup - limits of memory in the groups of both versions (security.md R10). */
#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

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
    file_write("a/memory.current", "700\n");
    file_write("a/b/memory.max", "2000\n");
    file_write("a/b/memory.current", "600\n");
    file_write("c/memory.max", "junk\n");
    file_write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    file_write("memory/x/memory.limit_in_bytes", "500\n");
    file_write("memory/x/memory.usage_in_bytes", "44\n");
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
        uint64_t limit, used;
    } rows[] = {
        {"0::/\n", 0, 0},
        {"0::/a\n", 1000, 700},
        {"0::/a/b\n", 1000, 700}, /* a limit above counts too */
        {"0::/a/b/not/seen", 1000, 700},
        {"0::/c\n", 0, 0},
        {"", 0, 0},
        {"\n", 0, 0},
        {"nonsense", 0, 0},
        {"3:cpu,memory:/x\n2:cpuset:/a\n", 500, 44},
        {"3:memory:/x/y\n0::/a\n", 500, 44},
        {"3:memory:/not/seen\n", 0, 0},
        {"3:memoryless:/x\n", 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cgroup_memory m = cgroup_memory_of(root, str_z(rows[i].groups));
        if (m.limit != rows[i].limit || m.used != rows[i].used)
            fail_msg("%s: %llu of %llu", rows[i].groups, (unsigned long long)m.used,
                     (unsigned long long)m.limit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits_of_groups)};
    return cmocka_run_group_tests(tests, groups_make, groups_remove);
}
