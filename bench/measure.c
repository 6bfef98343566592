#include "bench/measure.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

_Noreturn void fail(const char *what)
{
    fprintf(stderr, "loadgen: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- CPU ---- */

/* schedstat has nanoseconds, /proc/PID/stat only ticks. */
static uint64_t threads_ns(int pid)
{
    char path[600];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    if (!dir)
        fail(path);
    for (struct dirent *d; (d = readdir(dir));) {
        unsigned long long ns;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return sum;
}

static void machine_ns(struct usage *u)
{
    unsigned long long t[8]; /* user nice system idle iowait irq softirq steal */
    uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    FILE *f = fopen("/proc/stat", "r");
    if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
                     &t[4], &t[5], &t[6], &t[7]) != 8)
        fail("/proc/stat");
    fclose(f);
    u->busy_ns = (t[0] + t[1] + t[2] + t[5] + t[6]) * tick;
    u->steal_ns = t[7] * tick;
}

struct usage usage_now(int server_pid)
{
    struct usage u = {.server_ns = threads_ns(server_pid)};
    machine_ns(&u);
    u.own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    u.wall_ns = now_ns();
    return u;
}

double usage_seconds(const struct usage *from, const struct usage *to)
{
    return (double)(to->wall_ns - from->wall_ns) / 1e9;
}

double usage_cpu_us(const struct usage *from, const struct usage *to, uint64_t pieces)
{
    return (double)(to->server_ns - from->server_ns) / 1000 / (double)pieces;
}

void usage_print_end(const struct usage *from, const struct usage *to)
{
    double wall = (double)(to->wall_ns - from->wall_ns);
    double server = (double)(to->server_ns - from->server_ns);
    double own = (double)(to->own_ns - from->own_ns);
    double other = (double)(to->busy_ns - from->busy_ns) - server - own;
    printf(",\"server_cpu\":%.2f,\"gen_cpu\":%.2f,\"other_cpu\":%.2f,\"steal\":%.3f}\n",
           server / wall, own / wall, other > 0 ? other / wall : 0.0,
           (double)(to->steal_ns - from->steal_ns) / wall);
}

/* ---- memory ---- */

uint64_t memory_of(int pid)
{
    char path[64], line[256];
    unsigned long long kb = 0, v;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        fail(path);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %llu", &v) == 1)
            kb = v;
    fclose(f);
    return kb * 1024;
}

/* ---- latency ---- */

enum { LATENCIES = 1 << 20 };
static uint32_t latencies[LATENCIES]; /* microseconds */
static size_t latency_count;
static bool latency_sorted;

void latency_reset(void)
{
    latency_count = 0;
    latency_sorted = false;
}

void latency_note(uint64_t ns)
{
    if (latency_count < LATENCIES)
        latencies[latency_count++] = (uint32_t)(ns / 1000);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

uint32_t latency_at(double p)
{
    if (latency_count == 0)
        return 0;
    if (!latency_sorted)
        qsort(latencies, latency_count, sizeof *latencies, by_size);
    latency_sorted = true;
    size_t at = (size_t)((double)latency_count * p);
    return latencies[at < latency_count ? at : latency_count - 1];
}

void latency_print(void)
{
    printf(",\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u", latency_at(0.5), latency_at(0.99),
           latency_at(0.999));
}
