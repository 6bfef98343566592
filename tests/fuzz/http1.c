/* tests/fuzz/http1.c - a request head gives the same verdict and the same request however it is
 * cut; every slice lies inside the head; each byte is scanned once, a CR at a cut twice.
 * scripts/parsers.py knows which parser has which target (SEC-34). */
#include "wire/http1.h"

#include <stdlib.h>

struct verdict {
    enum parse p;
    int status;
    size_t used;
    struct http1_request r;
};

static struct verdict read_head(str in, size_t step)
{
    struct verdict v = {0};
    size_t scanned = 0, n = 0;
    do {
        n = in.n - n > step ? n + step : in.n;
        size_t before = scanned;
        v.p = http1_head(str_of(in.p, n), &scanned, &v.r, &v.used, &v.status);
        CHECK(scanned >= before && scanned <= n);
        CHECK(v.p != PARSE_MORE || n - scanned <= 1);
    } while (v.p == PARSE_MORE && n < in.n);
    return v;
}

static void check_inside(str s, str head)
{
    CHECK(s.n == 0 || str_eq(s, S("/")) || (s.p >= head.p && s.p + s.n <= head.p + head.n));
}

static void check_request(const struct http1_request *r, str head)
{
    CHECK(r->header_count <= HTTP1_HEADERS_MAX && head.n <= HTTP1_HEAD_MAX);
    check_inside(r->method, head);
    check_inside(r->target, head);
    check_inside(r->path, head);
    check_inside(r->query, head);
    check_inside(r->host, head);
    for (unsigned i = 0; i < r->header_count; i++) {
        check_inside(r->headers[i].value, head);
        CHECK(http1_is_token(r->headers[i].name));
        CHECK(!memchr(r->headers[i].value.p, '\n', r->headers[i].value.n));
    }
    CHECK(!(r->has_length && r->chunked) && r->length <= INT64_MAX);
    CHECK(r->minor == 1 || !r->chunked);
    CHECK(!r->upgrade_websocket || (!r->length && !r->chunked));
    CHECK(str_ends(head, S("\r\n\r\n")));
}

static void check_same(const struct verdict *a, const struct verdict *b)
{
    CHECK(a->p == b->p && a->used == b->used);
    CHECK(a->p != PARSE_BAD || a->status == b->status);
    if (a->p != PARSE_OK)
        return;
    CHECK(str_eq(a->r.method, b->r.method) && str_eq(a->r.path, b->r.path));
    CHECK(str_eq(a->r.query, b->r.query) && str_eq(a->r.host, b->r.host));
    CHECK(a->r.header_count == b->r.header_count && a->r.length == b->r.length);
    CHECK(a->r.chunked == b->r.chunked && a->r.keep_alive == b->r.keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t step = data[0] % 64 + 1;
    str in = str_of(data + 1, size - 1);
    struct verdict whole = read_head(in, in.n + 1), cut = read_head(in, step);
    check_same(&whole, &cut);
    if (whole.p == PARSE_OK)
        check_request(&whole.r, str_of(in.p, whole.used));

    char *text = malloc(in.n + 1);
    CHECK(http1_percent_decode(in, data[0] & 1, text) <= in.n);
    free(text);
    return 0;
}
