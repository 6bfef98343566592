/* server/memory_limit.h - how much memory this process may use.
 *
 * Nature   reads files; main thread
 * Source   security.md R8, R10; cgroups(7); kernel documentation of cgroup v1 memory and v2
 */
#ifndef SERVER_MEMORY_LIMIT_H
#define SERVER_MEMORY_LIMIT_H

#include "base/base.h"

/* The smallest limit on the way from the process's groups to the root; 0: none. `groups` is the
 * text of /proc/self/cgroup, `mount` the folder that others mount as /sys/fs/cgroup. Without a
 * namespace of its own a container sees its limit only at the root, so the root counts as well. */
uint64_t memory_limit_of_groups(const char *mount, str groups);
/* The same for this process, at most what the machine has. */
uint64_t memory_limit_find(void);
/* How much of it request bodies may take: HTTP_BODIES_MAX, or a quarter where that is less, so that
 * they alone never make memory short. 0: no limit of memory. */
int64_t memory_limit_of_bodies(uint64_t limit);
/* The same for jobs that wait in memory: QUEUE_MEMORY_BYTES or an eighth, so that an endpoint that
 * hangs costs webhooks and nothing else. */
uint64_t memory_limit_of_queue(uint64_t limit);

#endif
