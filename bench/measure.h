/* bench/measure.h - what a process has used: CPU, memory, and how late messages came.
 *
 * Nature   one thread; fail() ends the program: a benchmark that goes on after an error lies
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/base.h"

_Noreturn void fail(const char *what);
uint64_t now_ns(void);

/* A moment; two of them bound a measurement. */
struct usage {
    uint64_t wall_ns;
    uint64_t server_ns; /* run time of all threads of the server */
    uint64_t own_ns;    /* CPU time of this program */
    uint64_t busy_ns;   /* all CPUs of the machine */
    uint64_t steal_ns;  /* taken by the hypervisor */
};
struct usage usage_now(int server_pid);
double usage_seconds(const struct usage *from, const struct usage *to);
/* Microseconds of server CPU per piece of work. */
double usage_cpu_us(const struct usage *from, const struct usage *to, uint64_t pieces);
/* Prints the fields that say how far the figures can be trusted, and ends the JSON line. */
void usage_print_end(const struct usage *from, const struct usage *to);

/* Bytes of private pages that the process has written. */
uint64_t memory_of(int pid);

void latency_reset(void);
void latency_note(uint64_t ns);
/* Prints the fields "p50_us", "p99_us", "p999_us". */
void latency_print(void);
/* In microseconds, 0 < p < 1. */
uint32_t latency_at(double p);

#endif
