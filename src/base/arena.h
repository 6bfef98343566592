/* base/arena.h - memory that is given back in one call.
 *
 * Nature   pure; one owner. Four lifetimes exist: process, request, one loop turn, counted
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena_block;
typedef struct arena {
    struct arena_block *head;
    char *at, *end;
} arena; /* all zero is an empty arena */

void *arena_get(arena *a, size_t n); /* 16-byte aligned, not cleared */
void *arena_zero(arena *a, size_t n);
str arena_str(arena *a, str s); /* copy, NUL-terminated behind its end */
char *arena_printf(arena *a, const char *fmt, ...) PRINTF(2, 3);
void arena_clear(arena *a);  /* keeps one block for the next round */
void arena_finish(arena *a); /* gives everything back */

#endif
