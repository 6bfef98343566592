/* server/memory_limit.h - how much memory this process may use.
 *
 * Nature   reads files; main thread
 * Source   security.md R8, R10
 */
#ifndef SERVER_MEMORY_LIMIT_H
#define SERVER_MEMORY_LIMIT_H

#include "base/base.h"

/* The smallest limit of the process's groups (base/cgroup.h), at most what the machine has; 0: not
 * known. */
uint64_t memory_limit_find(void);
/* How much of it request bodies may take: HTTP_BODIES_MAX, or a quarter where that is less, so that
 * they alone never make memory short. 0: no limit of memory. */
int64_t memory_limit_of_bodies(uint64_t limit);
/* The same for jobs that wait in memory: QUEUE_MEMORY_BYTES or an eighth, so that an endpoint that
 * hangs costs webhooks and nothing else. */
uint64_t memory_limit_of_queue(uint64_t limit);

#endif
