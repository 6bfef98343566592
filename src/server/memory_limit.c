#include "server/memory_limit.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "base/limits.h"
#include "queue/queue.h"

enum { PATH_BYTES = 1024, BODIES_SHARE = 4, QUEUE_SHARE = 8 };

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* A number, or "max". v1 has no word for none: it says the largest number of whole pages. */
static uint64_t limit_read(const char *path)
{
    unsigned long long n = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &n) != 1 || n > INT64_MAX / 2)
        n = 0;
    fclose(f);
    return n;
}

/* group: "/a/b", cut by one name after the other. */
static uint64_t limit_upwards(const char *folder, str group, const char *file)
{
    uint64_t limit = 0;
    char path[PATH_BYTES];
    for (;;) {
        while (group.n > 0 && group.p[group.n - 1] == '/')
            group.n--;
        int n = snprintf(path, sizeof path, "%s%.*s/%s", folder, FMT(group), file);
        if (n > 0 && (size_t)n < sizeof path)
            limit = smaller(limit, limit_read(path));
        if (group.n == 0)
            return limit;
        while (group.n > 0 && group.p[group.n - 1] != '/')
            group.n--;
    }
}

static str cut_at(str *rest, char c)
{
    const char *end = memchr(rest->p, c, rest->n);
    str part = str_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    *rest = str_from(*rest, part.n + (end ? 1 : 0));
    return part;
}

static bool names_memory(str controllers)
{
    while (controllers.n > 0)
        if (str_eq(cut_at(&controllers, ','), S("memory")))
            return true;
    return false;
}

uint64_t memory_limit_of_groups(const char *mount, str groups)
{
    uint64_t limit = 0;
    char v1[PATH_BYTES];
    snprintf(v1, sizeof v1, "%s/memory", mount);
    while (groups.n > 0) {
        str group = cut_at(&groups, '\n'); /* "4:cpu,memory:/a/b"; v2 is "0::/a/b" */
        cut_at(&group, ':');
        str controllers = cut_at(&group, ':');
        if (controllers.n == 0)
            limit = smaller(limit, limit_upwards(mount, group, "memory.max"));
        else if (names_memory(controllers))
            limit = smaller(limit, limit_upwards(v1, group, "memory.limit_in_bytes"));
    }
    return limit;
}

uint64_t memory_limit_find(void)
{
    char text[4096];
    struct sysinfo machine;
    FILE *f = fopen("/proc/self/cgroup", "re");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    uint64_t limit = memory_limit_of_groups("/sys/fs/cgroup", str_of(text, n));
    if (sysinfo(&machine) == 0) /* /proc/meminfo may be hidden from a service */
        limit = smaller(limit, (uint64_t)machine.totalram * machine.mem_unit);
    return limit;
}

int64_t memory_limit_of_bodies(uint64_t limit)
{
    uint64_t share = limit / BODIES_SHARE;
    return limit > 0 && share < HTTP_BODIES_MAX ? (int64_t)share : HTTP_BODIES_MAX;
}

uint64_t memory_limit_of_queue(uint64_t limit)
{
    uint64_t share = limit / QUEUE_SHARE;
    return limit > 0 && share < QUEUE_MEMORY_BYTES ? share : QUEUE_MEMORY_BYTES;
}
