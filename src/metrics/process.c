#include "metrics/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t process_open_fds(void)
{
    uint64_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n ? n - 1 : 0; /* the folder's own */
}

/* Fields behind the command name, which may hold blanks and brackets. Source: proc(5), stat. */
static void read_stat(struct process_usage *u)
{
    char text[1024];
    unsigned long long started = 0, size = 0;
    long pages = 0;
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    const char *behind = strrchr(text, ')');
    if (!behind || sscanf(behind + 1,
                          " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                          "%*d %*d %llu %llu %ld",
                          &started, &size, &pages) != 3)
        return;
    struct timespec wall, up;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double boot = (double)(wall.tv_sec - up.tv_sec) + (double)(wall.tv_nsec - up.tv_nsec) / 1e9;
    u->start_time_s = boot + (double)started / (double)sysconf(_SC_CLK_TCK);
    u->virtual_bytes = size;
    u->resident_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void process_usage(struct process_usage *out)
{
    struct rusage r;
    struct rlimit fds;
    *out = (struct process_usage){0};
    read_stat(out);
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        out->max_fds = fds.rlim_cur;
    if (getrusage(RUSAGE_SELF, &r) == 0)
        out->cpu_s = (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                     (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
