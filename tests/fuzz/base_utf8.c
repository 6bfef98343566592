/* tests/fuzz/base_utf8.c - the state machine agrees with a decoder written from RFC 3629, however
 * the text is cut. */
#include <stdlib.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Decodes one character; gives its length, 0 if it is not one. */
static size_t decode(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xc0 ? 0
                 : p[0] < 0xe0 ? 2
                 : p[0] < 0xf0 ? 3
                 : p[0] < 0xf8 ? 4
                               : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    bool is_character = c >= least[len] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
    return is_character ? len : 0;
}

static bool reference_ok(const uint8_t *p, size_t n)
{
    while (n) {
        size_t len = decode(p, n);
        if (len == 0)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    size_t cut = data[0] % n;
    str text = str_of(data + 1, n - 1);
    bool is_ok = utf8_ok(text);
    CHECK(is_ok == reference_ok(data + 1, n - 1));
    enum utf8 at = utf8_feed(UTF8_START, str_of(text.p, cut));
    CHECK(utf8_feed(at, str_from(text, cut)) == utf8_feed(UTF8_START, text));
    str kept = utf8_cut(text, cut);
    CHECK(kept.n <= cut && cut - kept.n <= 3);
    if (is_ok)
        CHECK(utf8_ok(kept));
    return 0;
}
