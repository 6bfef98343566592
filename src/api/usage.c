/* /usage and /accept-traffic: memory of the machine, or of the cgroup. Source: http-api.md §9 */
#include "api/usage.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "api/answer.h"
#include "api/route.h"
#include "base/cgroup.h"

struct memory {
    unsigned long long total, used;
};

static unsigned long long available(const struct sysinfo *s)
{
    unsigned long long kb;
    FILE *f = fopen("/proc/meminfo", "re"); /* hidden under ProcSubset=pid: then what is free */
    bool got = false;
    char line[128];
    while (f && !got && fgets(line, sizeof line, f))
        got = sscanf(line, "MemAvailable: %llu", &kb) == 1;
    if (f)
        fclose(f);
    return got ? kb * 1024 : (unsigned long long)(s->freeram + s->bufferram) * s->mem_unit;
}

static struct memory memory_now(void)
{
    struct sysinfo s;
    struct memory m = {0};
    if (sysinfo(&s) == 0) {
        m.total = (unsigned long long)s.totalram * s.mem_unit;
        unsigned long long free_bytes = available(&s);
        m.used = free_bytes < m.total ? m.total - free_bytes : 0;
    }
    struct cgroup_memory group = cgroup_memory();
    if (group.limit != 0 && group.used != 0 && (m.total == 0 || group.limit < m.total))
        m = (struct memory){group.limit, group.used < group.limit ? group.used : group.limit};
    return m;
}

static double percent(const struct memory *m)
{
    return m->total ? 100.0 * (double)m->used / (double)m->total : 0;
}

void memory_write(struct buf *b)
{
    struct memory m = memory_now();
    buf_printf(b, "{\"free\":%llu,\"used\":%llu,\"total\":%llu,\"percent\":%.2f}", m.total - m.used,
               m.used, m.total, percent(&m));
}

void endpoint_usage(struct request *q)
{
    struct buf b;
    if (!q->worker->settings->usage_enabled) {
        answer(q, 404, S("text/plain"), S("404 NOT FOUND"), S(""));
        return;
    }
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"memory\":"));
    memory_write(&b);
    buf_char(&b, '}');
    answer_json(q, buf_str(&b));
    buf_finish(&b);
}

void endpoint_accept_traffic(struct request *q)
{
    struct memory m = memory_now();
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "{\"memory\":{\"usedSize\":%llu,\"totalSize\":%llu,\"percentUsage\":%.2f}}",
               m.used, m.total, percent(&m));
    answer(q, atomic_load(&q->worker->node->draining) ? 503 : 200, S("application/json"),
           buf_str(&b), S(""));
    buf_finish(&b);
}
