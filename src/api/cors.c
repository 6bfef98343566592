#include "api/cors.h"

#include "pusher/origin.h"
#include "wire/http1.h"

struct cors {
    bool any_origin, credentials;
    str *origins;
    size_t origin_count;
    str options, others; /* fields that do not depend on the origin */
};

static void add_list(struct buf *out, str name, const str *list, size_t n, bool lower)
{
    buf_add(out, name);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        for (size_t k = 0; k < list[i].n; k++) {
            char c = list[i].p[k];
            buf_char(out, lower && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
        }
    }
    buf_add(out, S("\r\n"));
}

static str origin_free_fields(arena *a, const struct cors_options *opt, bool is_options)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    if (opt->any_origin)
        buf_add(&b, S("Access-Control-Allow-Origin: *\r\n"));
    buf_add(&b, S("Vary: origin, access-control-request-method, "
                  "access-control-request-headers\r\n"));
    if (is_options) {
        add_list(&b, S("Access-Control-Allow-Methods: "), opt->methods, opt->method_count, false);
        add_list(&b, S("Access-Control-Allow-Headers: "), opt->headers, opt->header_count, true);
    } else {
        buf_add(&b, S("Access-Control-Expose-Headers: x-ratelimit-limit,x-ratelimit-remaining,"
                      "x-ratelimit-reset,retry-after,x-health-check\r\n"));
    }
    str text = arena_str(a, buf_str(&b));
    buf_finish(&b);
    return text;
}

const struct cors *cors_make(arena *a, const struct cors_options *opt)
{
    struct cors *c = arena_zero(a, sizeof *c);
    c->any_origin = opt->any_origin;
    c->credentials = opt->credentials;
    c->origins = arena_get(a, (opt->origin_count + 1) * sizeof *c->origins);
    c->origin_count = opt->origin_count;
    for (size_t i = 0; i < opt->origin_count; i++)
        c->origins[i] = arena_str(a, opt->origins[i]);
    c->options = origin_free_fields(a, opt, true);
    c->others = origin_free_fields(a, opt, false);
    return c;
}

void cors_fields(const struct cors *c, str origin, bool is_options, struct buf *out)
{
    buf_add(out, is_options ? c->options : c->others);
    if (c->any_origin || origin.n == 0 || !origin_allowed(c->origins, c->origin_count, origin))
        return;
    if (http1_field(out, S("Access-Control-Allow-Origin"), origin) && c->credentials)
        buf_add(out, S("Access-Control-Allow-Credentials: true\r\n"));
}
