/* base/cgroup.h - how much memory the groups of this process allow, and use.
 *
 * Nature   reads files of the kernel; any thread
 * Source   cgroups(7); kernel documentation of cgroup v1 memory and v2
 */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include "base/base.h"

struct cgroup_memory {
    uint64_t limit; /* bytes; the smallest on the way to the root, 0: none */
    uint64_t used;  /* bytes, of the group that has this limit; 0: not known */
};

/* groups: the text of /proc/self/cgroup; mount: the folder that others mount as /sys/fs/cgroup.
 * Without a namespace of its own a container sees its limit only at the root, so the root counts
 * as well. */
struct cgroup_memory cgroup_memory_of(const char *mount, str groups);
/* The same for this process. */
struct cgroup_memory cgroup_memory(void);

#endif
