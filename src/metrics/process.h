/* metrics/process.h - what the system says of this process.
 *
 * Nature   reads /proc/self; any thread
 * Source   metrics.md §3 "Process metrics", MET-27
 */
#ifndef METRICS_PROCESS_H
#define METRICS_PROCESS_H

#include "base/base.h"

struct process_usage {
    uint64_t resident_bytes, virtual_bytes, max_fds;
    double start_time_s; /* Unix time */
    double cpu_s;
};
void process_usage(struct process_usage *out);
/* Walks through all of them: not for what looks each second. */
uint64_t process_open_fds(void);

#endif
