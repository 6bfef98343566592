#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_finish(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max, .soft = b->soft};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->full = false;
}

char *buf_room(struct buf *b, size_t n)
{
    if (n > b->max - b->n) {
        b->full = true;
        return NULL;
    }
    if (b->n + n > b->cap || !b->p) {
        size_t cap = b->cap ? b->cap * 2 : 64;
        while (cap < b->n + n)
            cap *= 2;
        if (cap > b->max)
            cap = b->max;
        char *p = b->soft ? mem_try_resize(b->p, cap) : mem_resize(b->p, cap);
        if (!p) {
            b->full = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

bool buf_add(struct buf *b, str s)
{
    char *to = buf_room(b, s.n);
    if (!to)
        return false;
    if (s.n)
        memcpy(to, s.p, s.n);
    b->n += s.n;
    return true;
}

bool buf_char(struct buf *b, char c)
{
    return buf_add(b, (str){&c, 1});
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    char tmp[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(tmp, sizeof tmp, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    if ((size_t)n < sizeof tmp)
        return buf_add(b, (str){tmp, (size_t)n});
    char *to = buf_room(b, (size_t)n + 1);
    if (!to)
        return false;
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return true;
}

bool buf_u64(struct buf *b, uint64_t v)
{
    char tmp[20], *end = tmp + sizeof tmp, *at = end;
    do {
        *--at = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return buf_add(b, (str){at, (size_t)(end - at)});
}

void buf_drop(struct buf *b, size_t n)
{
    CHECK(n <= b->n);
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
