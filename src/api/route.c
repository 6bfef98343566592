#include "api/route.h"

#include "base/utf8.h"

static const struct route routes[] = {
#define ROUTE(method, path, endpoint, auth, listeners, label)                                      \
    {STR(method), STR(path), endpoint, auth, listeners, label},
#include "api/routes.def"
#undef ROUTE
};

/* Takes the next segment off a path. */
static str segment_next(str *rest)
{
    const char *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
    str s = slash ? str_of(rest->p, (size_t)(slash - rest->p)) : *rest;
    *rest = slash ? str_from(*rest, s.n + 1) : str_from(*rest, rest->n);
    return s;
}

static bool split(struct request *q, bool *bad)
{
    str rest = str_from(q->head.path, 1);
    bool is_app = str_starts(rest, S("app/"));
    if (rest.n > 1 && str_ends(rest, S("/")) && !is_app)
        rest.n--; /* one trailing slash is ignored, but not behind an app key */
    q->segment_count = 0;
    while (rest.n) {
        bool is_last = !memchr(rest.p, '/', rest.n);
        str raw = segment_next(&rest);
        if (q->segment_count == REQUEST_SEGMENTS || raw.n == 0 || (!is_last && rest.n == 0))
            return false;
        char *out = arena_get(&q->memory, raw.n);
        str s = str_of(out, http1_percent_decode(raw, false, out));
        *bad |= memchr(s.p, 0, s.n) || !utf8_ok(s);
        q->segments[q->segment_count++] = s;
    }
    return true;
}

static bool path_is(const struct request *q, str pattern)
{
    size_t i = 0;
    while (pattern.n) {
        str want = segment_next(&pattern);
        if (i == q->segment_count || !(str_eq(want, S("*")) || str_eq(want, q->segments[i])))
            return false;
        i++;
    }
    return i == q->segment_count;
}

static bool method_is(const struct request *q, const struct route *r)
{
    bool head = str_eq(q->head.method, S("HEAD")) && r->endpoint != endpoint_upgrade;
    return str_eq(q->head.method, r->method) || (head && str_eq(r->method, S("GET")));
}

enum route_result route_find(struct request *q)
{
    bool bad = false;
    q->route = NULL;
    if (!str_starts(q->head.path, S("/")) || !split(q, &bad))
        return ROUTE_NOT_FOUND;
    for (size_t i = 0; i < COUNT_OF(routes) && !q->route; i++)
        if ((routes[i].listeners & q->kind) && path_is(q, routes[i].path))
            q->route = &routes[i];
    if (!q->route)
        return ROUTE_NOT_FOUND;
    if (bad)
        return ROUTE_BAD_PATH;
    return method_is(q, q->route) ? ROUTE_FOUND : ROUTE_WRONG_METHOD;
}
