#include "server/memory_limit.h"

#include <sys/sysinfo.h>

#include "base/cgroup.h"
#include "base/limits.h"
#include "queue/queue.h"

enum { BODIES_SHARE = 4, QUEUE_SHARE = 8 };

uint64_t memory_limit_find(void)
{
    struct sysinfo machine;
    uint64_t limit = cgroup_memory().limit;
    if (sysinfo(&machine) != 0) /* /proc/meminfo may be hidden from a service */
        return limit;
    uint64_t all = (uint64_t)machine.totalram * machine.mem_unit;
    return limit == 0 || all < limit ? all : limit;
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
