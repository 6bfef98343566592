/* tests/fuzz/wire_forwarded.c - the client's address is what a list read from the left gives, where
 * the fields are cut does not matter, and junk in front of the trusted entries changes nothing.
 * Input: number of hops, then fields between line feeds: 'x' X-Forwarded-For, 'r' X-Real-IP. */
#include "wire/forwarded.h"

#include "base/arena.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static str trim(str s)
{
    while (s.n && strchr(" \t", s.p[0]))
        s = str_from(s, 1);
    while (s.n && strchr(" \t", s.p[s.n - 1]))
        s.n--;
    return s;
}

static void add(struct http1_request *r, str name, str value)
{
    if (r->header_count < HTTP1_HEADERS_MAX)
        r->headers[r->header_count++] = (struct http1_header){name, value};
}

static void fields_of(str text, struct http1_request *r)
{
    for (bool more = true; more;) {
        const char *end = text.n ? memchr(text.p, '\n', text.n) : NULL;
        str line = end ? str_of(text.p, (size_t)(end - text.p)) : text;
        more = end != NULL;
        text = str_from(text, line.n + 1);
        str name = str_starts(line, S("x"))   ? S("X-Forwarded-For")
                   : str_starts(line, S("r")) ? S("X-Real-IP")
                                              : S("Host");
        add(r, name, trim(str_from(line, 1)));
    }
}

/* All X-Forwarded-For as one list. */
static void join(const struct http1_request *r, struct buf *b)
{
    bool is_first = true;
    for (unsigned i = 0; i < r->header_count; i++) {
        if (!str_eq(r->headers[i].name, S("X-Forwarded-For")))
            continue;
        if (!is_first)
            buf_char(b, ',');
        is_first = false;
        buf_add(b, r->headers[i].value);
    }
}

/* Entry number count - hops, from the left. */
static str entry(str list, uint32_t hops)
{
    size_t count = 1;
    for (size_t i = 0; i < list.n; i++)
        count += list.p[i] == ',';
    for (size_t at = count > hops ? count - hops : 0; at > 0; at--)
        list = str_from(list, (size_t)((const char *)memchr(list.p, ',', list.n) - list.p) + 1);
    const char *end = list.n ? memchr(list.p, ',', list.n) : NULL;
    return trim(end ? str_of(list.p, (size_t)(end - list.p)) : list);
}

static bool same(bool a_found, const struct client_address *a, bool b_found,
                 const struct client_address *b)
{
    return a_found == b_found && (!a_found || memcmp(a, b, sizeof *a) == 0);
}

static void check(const struct http1_request *r, uint32_t hops)
{
    static struct http1_request joined;
    struct client_address got, want, again;
    struct buf list;
    buf_init(&list, SIZE_MAX);
    join(r, &list);
    bool found = forwarded_client(r, hops, &got);
    bool expected = client_parse(entry(buf_str(&list), hops), &want) ||
                    (http1_header_count(r, S("x-real-ip")) == 1 &&
                     client_parse(http1_header_get(r, S("x-real-ip")), &want));
    CHECK(same(found, &got, expected, &want));

    memset(&joined, 0, sizeof joined);
    struct buf longer;
    buf_init(&longer, SIZE_MAX);
    buf_add(&longer, S("6.6.6.6,"));
    buf_add(&longer, buf_str(&list));
    add(&joined, S("x-forwarded-for"), buf_str(&longer));
    size_t count = 1;
    for (size_t i = 0; i < list.n; i++)
        count += list.p[i] == ',';
    if (found && hops <= count && http1_header_count(r, S("x-real-ip")) == 0)
        CHECK(forwarded_client(&joined, hops, &again) && memcmp(&got, &again, sizeof got) == 0);
    if (found) {
        client_mask(&got, 128);
        CHECK(memcmp(&got, &want, sizeof got) == 0);
        client_mask(&got, hops % 128 + 1);
        again = got;
        client_mask(&again, hops % 128 + 1);
        CHECK(memcmp(&got, &again, sizeof got) == 0);
    }
    buf_finish(&longer);
    buf_finish(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http1_request r;
    if (size == 0 || memchr(data, 0, size))
        return 0;
    memset(&r, 0, sizeof r);
    fields_of(str_of(data + 1, size - 1), &r);
    check(&r, data[0] < 128 ? data[0] : UINT32_MAX);
    return 0;
}
