/* base/base.h - the few types that every file uses: text slices, errors, handles, checks.
 *
 * Nature   pure, any thread
 * Limits   struct err carries one sentence of up to 255 bytes
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* For our own bugs only, stays in release builds. What a peer can cause is an error, not a CHECK.
 */
#define CHECK(x) (LIKELY(x) ? (void)0 : check_failed(#x, __FILE__, __LINE__))
_Noreturn void check_failed(const char *what, const char *file, int line);

/* Text: borrowed, may contain NUL, passed by value. */
typedef struct str {
    const char *p;
    size_t n;
} str;

#define S(lit) ((str){"" lit, sizeof(lit) - 1})
#define STR(lit)                                                                                   \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }
/* For printf("%.*s", FMT(s)). */
#define FMT(s) (int)(s).n, (s).p

static inline str str_of(const void *p, size_t n)
{
    return (str){(const char *)p, n};
}
static inline str str_z(const char *z)
{
    return (str){z, strlen(z)};
}
static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
static inline str str_from(str s, size_t at)
{
    return at >= s.n ? (str){s.p + s.n, 0} : (str){s.p + at, s.n - at};
}
/* ASCII letters are folded, other bytes compared as they are. */
bool str_eq_nocase(str a, str b);
/* Without the blanks and tabs around it. */
str str_trim(str s);
/* -1, 0, 1; bytewise. */
int str_cmp(str a, str b);
/* Decimal digits only, no sign, no blank; false if empty, not digits or above `max`. */
NODISCARD bool str_u64(str s, uint64_t max, uint64_t *out);

/* What went wrong: the kind drives behaviour, the sentence names the value that was wrong. */
enum err_kind {
#define ERR(name, sentence) ERR_##name,
#include "base/err.def"
#undef ERR
};
struct err {
    enum err_kind kind;
    char text[256];
};
/* Always returns false, so that `return err_set(…)` reads well. `e` may be NULL. */
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);

/* Answer of a call into a driver family (design §2): DONE = result in place, no callback comes;
 * LATER = the callback comes exactly once, on the loop that asked. */
enum when { DONE, LATER };

/* Answer of an incremental parser. */
enum parse { PARSE_OK, PARSE_MORE, PARSE_BAD };

/* Names a connection across turns and threads: {worker, slot, generation}. A handle that is late
 * finds its own connection or nobody. generation 0 is never used: {0} names nobody. */
struct handle {
    uint32_t slot;
    uint16_t worker;
    uint16_t tag; /* what the asker wants to hear again, e.g. which of its steps */
    uint32_t generation;
};

/* These do not fail: what malloc refuses is taken from the reserve, and when that is used up, out
 * of memory ends the process with a message. */
void *mem_alloc(size_t n);
void *mem_zero(size_t n);
void *mem_resize(void *p, size_t n);
char *mem_dup(str s); /* NUL-terminated copy, caller frees with free() */
/* For what a peer made big, MEM_PEER_SIZED and more: NULL if there is no memory, p stays. Smaller
 * ones do not fail. */
void *mem_try_resize(void *p, size_t n);

/* Address space of MEM_RESERVE_BYTES that is given up when an allocation fails, so that what has
 * been admitted is carried to its end. Makes it if it is not there: at first, and after its use.
 * NONE: there is no room for it, the process should take on nothing. */
enum mem_reserve { MEM_RESERVE_KEPT, MEM_RESERVE_MADE, MEM_RESERVE_NONE };
enum mem_reserve mem_reserve(void);

#endif
