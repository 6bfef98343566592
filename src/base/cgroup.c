#include "base/cgroup.h"

#include <stdio.h>

enum { PATH_BYTES = 1024 };

static const struct files {
    const char *folder, *limit, *used; /* below the mount; in a group */
} v1 = {"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
  v2 = {"", "memory.max", "memory.current"};

/* A number, or "max". v1 has no word for none: it says the largest number of whole pages. */
static uint64_t number_read(const char *mount, const struct files *f, str group, const char *name)
{
    char path[PATH_BYTES];
    unsigned long long number = 0;
    int n = snprintf(path, sizeof path, "%s%s%.*s/%s", mount, f->folder, FMT(group), name);
    FILE *file = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &number) != 1 || number > INT64_MAX / 2)
        number = 0;
    fclose(file);
    return number;
}

/* group: "/a/b", cut by one name after the other. */
static void look_upwards(const char *mount, const struct files *f, str group,
                         struct cgroup_memory *m)
{
    for (;;) {
        while (group.n > 0 && group.p[group.n - 1] == '/')
            group.n--;
        uint64_t limit = number_read(mount, f, group, f->limit);
        if (limit != 0 && (m->limit == 0 || limit < m->limit))
            *m = (struct cgroup_memory){limit, number_read(mount, f, group, f->used)};
        if (group.n == 0)
            return;
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

struct cgroup_memory cgroup_memory_of(const char *mount, str groups)
{
    struct cgroup_memory m = {0};
    while (groups.n > 0) {
        str group = cut_at(&groups, '\n'); /* "4:cpu,memory:/a/b"; v2 is "0::/a/b" */
        cut_at(&group, ':');
        str controllers = cut_at(&group, ':');
        if (controllers.n == 0)
            look_upwards(mount, &v2, group, &m);
        else if (names_memory(controllers))
            look_upwards(mount, &v1, group, &m);
    }
    return m;
}

struct cgroup_memory cgroup_memory(void)
{
    char text[4096];
    FILE *f = fopen("/proc/self/cgroup", "re");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    return cgroup_memory_of("/sys/fs/cgroup", str_of(text, n));
}
