/* tests/fuzz/http1_chunks.c - a chunked body decodes to the same text and ends at the same byte
 * however it is cut; it never grows. */
#include "wire/http1.h"

#include "base/buf.h"

struct body {
    enum parse p;
    size_t used;
    struct buf text;
};

static void read_body(str in, size_t step, struct body *b)
{
    struct http1_chunks c = {0};
    *b = (struct body){.p = PARSE_MORE};
    buf_init(&b->text, in.n);
    while (b->used < in.n && b->p == PARSE_MORE) {
        str rest = str_from(in, b->used), data;
        size_t n;
        if (rest.n > step)
            rest.n = step;
        b->p = http1_chunks_read(&c, rest, &n, &data);
        CHECK(n > 0 && n <= rest.n && data.n <= n);
        CHECK(b->p == PARSE_MORE || data.n == 0);
        if (data.n)
            CHECK(buf_add(&b->text, data));
        b->used += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str in = str_of(data + 1, size - 1);
    struct body whole, cut;
    read_body(in, in.n, &whole);
    read_body(in, data[0] % 32 + 1, &cut);
    CHECK(whole.p == cut.p && whole.used == cut.used);
    CHECK(str_eq(buf_str(&whole.text), buf_str(&cut.text)));
    buf_finish(&whole.text);
    buf_finish(&cut.text);
    return 0;
}
