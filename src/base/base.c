#include "base/base.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/limits.h"

void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "sockudo: internal error: CHECK(%s) at %s:%d\n", what, file, line);
    abort();
}

static unsigned char fold(unsigned char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool str_eq_nocase(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (fold((unsigned char)a.p[i]) != fold((unsigned char)b.p[i]))
            return false;
    return true;
}

str str_trim(str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c < 0 ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool str_u64(str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) || v > max)
            return false;
    }
    *out = v;
    return true;
}

bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    if (!e)
        return false;
    va_list ap;
    va_start(ap, fmt);
    e->kind = kind;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return false;
}

static _Noreturn void no_memory(size_t n)
{
    fprintf(stderr, "sockudo: out of memory (%zu bytes)\n", n);
    abort();
}

/* ---- the reserve ---- */

static pthread_mutex_t reserve_lock = PTHREAD_MUTEX_INITIALIZER;
static void *reserve;

enum mem_reserve mem_reserve(void)
{
    enum mem_reserve state = MEM_RESERVE_KEPT;
    pthread_mutex_lock(&reserve_lock);
    if (!reserve) {
        void *p = mmap(NULL, MEM_RESERVE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        reserve = p == MAP_FAILED ? NULL : p;
        state = reserve ? MEM_RESERVE_MADE : MEM_RESERVE_NONE;
    }
    pthread_mutex_unlock(&reserve_lock);
    return state;
}

/* Who comes second finds the memory that the first has given up. */
static void reserve_use(void)
{
    pthread_mutex_lock(&reserve_lock);
    if (reserve)
        munmap(reserve, MEM_RESERVE_BYTES);
    reserve = NULL;
    pthread_mutex_unlock(&reserve_lock);
}

/* ---- allocations ---- */

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (LIKELY(p))
        return p;
    reserve_use();
    p = malloc(n ? n : 1);
    if (!p)
        no_memory(n);
    return p;
}

void *mem_zero(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (LIKELY(p))
        return p;
    reserve_use();
    p = calloc(1, n ? n : 1);
    if (!p)
        no_memory(n);
    return p;
}

void *mem_resize(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (LIKELY(q))
        return q;
    reserve_use();
    q = realloc(p, n ? n : 1);
    if (!q)
        no_memory(n);
    return q;
}

void *mem_try_resize(void *p, size_t n)
{
    return n < MEM_PEER_SIZED ? mem_resize(p, n) : realloc(p, n);
}

char *mem_dup(str s)
{
    char *p = mem_alloc(s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}
