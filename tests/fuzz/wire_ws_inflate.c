/* tests/fuzz/wire_ws_inflate.c - what inflates deflates and inflates to the same; limits are exact.
 */
#include <stdlib.h>

#include "wire/ws_inflate.h"

#define MOST 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(str text, int window_bits)
{
    struct buf packed, back;
    buf_init(&packed, 2 * MOST);
    buf_init(&back, text.n);
    CHECK(deflate_message(&packed, text, window_bits));
    CHECK(inflate_message(&back, buf_str(&packed)) == INFLATE_OK);
    CHECK(str_eq(buf_str(&back), text));
    buf_finish(&packed);
    buf_finish(&back);
}

static void one_byte_less(str in, size_t size)
{
    struct buf out;
    buf_init(&out, size - 1);
    CHECK(inflate_message(&out, in) == INFLATE_TOO_BIG);
    CHECK(out.cap <= size - 1);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    int window_bits = 9 + data[0] % 7;
    str in = str_of(data + 1, n - 1);
    struct buf out;
    buf_init(&out, MOST);
    if (in.n <= MOST)
        round_trip(in, window_bits);
    if (inflate_message(&out, in) == INFLATE_OK) {
        round_trip(buf_str(&out), window_bits);
        if (out.n)
            one_byte_less(in, out.n);
    }
    buf_finish(&out);
    return 0;
}
