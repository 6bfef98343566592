/* tests/fuzz/pusher_origin.c - patterns decide as a matcher written from the table of
 * websocket-protocol.md §1.7 does; letters in another case change nothing. Input: pattern, line
 * feed, origin. */
#include "pusher/origin.h"

#include <ctype.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *copy(arena *a, str s, bool upper)
{
    char *out = arena_get(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        out[i] = (char)(upper ? toupper((unsigned char)s.p[i]) : tolower((unsigned char)s.p[i]));
    out[s.n] = 0;
    return out;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool text_is_like(const char *text, const char *pattern)
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return strcmp(pattern, text) == 0;
    size_t before = (size_t)(star - pattern);
    return strlen(text) >= strlen(pattern) - 1 && strncmp(pattern, text, before) == 0 &&
           ends_with(text, star + 1);
}

/* Of a pattern that is allowed; lower case, no NUL. */
static bool reference(const char *pattern, const char *origin)
{
    if (strcmp(pattern, "*") == 0 || strcmp(pattern, "any") == 0)
        return true;
    if (!*origin || strcmp(origin, "null") == 0)
        return false;
    if (strstr(pattern, "://"))
        return text_is_like(origin, pattern);
    const char *host = strstr(origin, "://");
    host = host ? host + 3 : origin;
    if (strncmp(pattern, "*.", 2) == 0)
        return strcmp(host, pattern + 2) == 0 || ends_with(host, pattern + 1);
    return text_is_like(host, pattern) || text_is_like(origin, pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a = {0};
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line || memchr(data, 0, size))
        return 0;
    str pattern = str_of(data, (size_t)(line - data));
    str origin = str_of(line + 1, size - pattern.n - 1);
    struct err e = {0};
    bool is_good = origin_pattern_check(pattern, &e), matches = origin_matches(pattern, origin);
    CHECK(is_good || (e.kind == ERR_CONFIG && e.text[0]));
    const char *p = copy(&a, pattern, false), *o = copy(&a, origin, false);
    CHECK(matches == (is_good && reference(p, o)));
    CHECK(origin_matches(str_z(copy(&a, pattern, true)), str_z(o)) == matches);
    CHECK(origin_matches(str_z(p), str_z(copy(&a, origin, true))) == matches);
    CHECK(origin_allowed(&pattern, 1, origin) == matches);
    arena_finish(&a);
    return 0;
}
