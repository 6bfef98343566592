#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
};

enum { BLOCK = 4096, HEAD = 16 };

static void block_add(arena *a, size_t n)
{
    size_t size = n + HEAD > BLOCK ? n + HEAD : BLOCK;
    struct arena_block *b = mem_alloc(size);
    b->next = a->head;
    b->size = size;
    a->head = b;
    a->at = (char *)b + HEAD;
    a->end = (char *)b + size;
}

void *arena_get(arena *a, size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (n > (size_t)(a->end - a->at))
        block_add(a, n);
    void *p = a->at;
    a->at += n;
    return p;
}

void *arena_zero(arena *a, size_t n)
{
    void *p = arena_get(a, n);
    memset(p, 0, n);
    return p;
}

str arena_str(arena *a, str s)
{
    char *p = arena_get(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (str){p, s.n};
}

char *arena_printf(arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    char *p = arena_get(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void arena_clear(arena *a)
{
    struct arena_block *keep = a->head;
    if (!keep)
        return;
    while (keep->next) {
        struct arena_block *next = keep->next;
        free(keep);
        keep = next;
    }
    a->head = keep;
    a->at = (char *)keep + HEAD;
    a->end = (char *)keep + keep->size;
}

void arena_finish(arena *a)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (arena){0};
}
