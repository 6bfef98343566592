/* tests/support/http1_read.c - tells how our parser reads what comes on a connection.
 *
 *     http1_read < inputs > readings
 *
 * An input is its length in four bytes, big endian, and its bytes. A reading is a line of JSON:
 * {"requests":[{"method":…,"target":…,"body":…},…],"end":"done"|"more"|STATUS}, with the texts in
 * hex; a request counts when its body is complete. As in api/http.c nothing is read behind a
 * request that asks for an upgrade. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "wire/http1.h"

enum { INPUT_MAX = 1 << 20 };

static void put_hex(struct buf *b, str s)
{
    char *to = buf_room(b, 2 * s.n);
    CHECK(to);
    crypto_hex((const uint8_t *)s.p, s.n, to);
    b->n += 2 * s.n;
}

static void put_request(struct buf *b, const struct http1_request *r, str body)
{
    buf_add(b, b->p[b->n - 1] == '[' ? S("{\"method\":\"") : S(",{\"method\":\""));
    put_hex(b, r->method);
    buf_add(b, S("\",\"target\":\""));
    put_hex(b, r->target);
    buf_add(b, S("\",\"body\":\""));
    put_hex(b, body);
    buf_add(b, S("\"}"));
}

/* The body behind a head; *used is how long it is in `in`. */
static enum parse read_body(const struct http1_request *r, str in, struct buf *body, size_t *used)
{
    struct http1_chunks chunks = {0};
    enum parse result = PARSE_MORE;
    *used = 0;
    if (!r->chunked) {
        if (in.n < r->length)
            return PARSE_MORE;
        *used = r->length;
        CHECK(buf_add(body, str_of(in.p, *used)));
        return PARSE_OK;
    }
    while (result == PARSE_MORE && *used < in.n) {
        size_t n;
        str data;
        result = http1_chunks_read(&chunks, str_from(in, *used), &n, &data);
        *used += n;
        CHECK(buf_add(body, data));
    }
    return result;
}

/* Gives the end: 0 done, 1 more, else the status. */
static int read_connection(struct buf *out, str in)
{
    while (in.n) {
        struct http1_request r;
        struct buf body;
        size_t scanned = 0, used;
        int status;
        enum parse head = http1_head(in, &scanned, &r, &used, &status);
        if (head != PARSE_OK)
            return head == PARSE_BAD ? status : 1;
        in = str_from(in, used);
        buf_init(&body, INPUT_MAX);
        enum parse rest = read_body(&r, in, &body, &used);
        if (rest == PARSE_OK)
            put_request(out, &r, buf_str(&body));
        buf_finish(&body);
        if (rest != PARSE_OK)
            return rest == PARSE_BAD ? 400 : 1;
        in = str_from(in, used);
        if (r.has_upgrade || !r.keep_alive)
            return 0;
    }
    return 0;
}

int main(void)
{
    static char input[INPUT_MAX];
    uint8_t size[4];
    while (fread(size, 1, sizeof size, stdin) == sizeof size) {
        size_t n = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
        struct buf out;
        if (n > sizeof input || fread(input, 1, n, stdin) != n)
            return 1;
        char *exact = mem_alloc(n); /* so that a sanitizer sees a read behind the end */
        memcpy(exact, input, n);
        buf_init(&out, SIZE_MAX);
        buf_add(&out, S("{\"requests\":["));
        int end = read_connection(&out, str_of(exact, n));
        if (end > 1)
            buf_printf(&out, "],\"end\":%d}", end);
        else
            buf_printf(&out, "],\"end\":\"%s\"}", end ? "more" : "done");
        printf("%.*s\n", FMT(buf_str(&out)));
        buf_finish(&out);
        free(exact);
    }
    return 0;
}
