#include "base/utf8.h"

/* Bytes that behave alike in every state. */
enum byte_class {
    ASCII,
    LOW,
    MID,
    HIGH,
    LEAD2,
    LEAD_E0,
    LEAD3,
    LEAD_ED,
    LEAD_F0,
    LEAD4,
    LEAD_F4,
    NEVER
};

static const uint8_t class_of[256] = {
    [0x00 ... 0x7f] = ASCII, [0x80 ... 0x8f] = LOW,   [0x90 ... 0x9f] = MID,
    [0xa0 ... 0xbf] = HIGH,  [0xc0 ... 0xc1] = NEVER, [0xc2 ... 0xdf] = LEAD2,
    [0xe0] = LEAD_E0,        [0xe1 ... 0xec] = LEAD3, [0xed] = LEAD_ED,
    [0xee ... 0xef] = LEAD3, [0xf0] = LEAD_F0,        [0xf1 ... 0xf3] = LEAD4,
    [0xf4] = LEAD_F4,        [0xf5 ... 0xff] = NEVER,
};

#define ANY_CONTINUATION(to) [LOW] = 1 + (to), [MID] = 1 + (to), [HIGH] = 1 + (to)

/* Entries are 1 + the next state, so that what is not named (0) is bad. */
static const uint8_t next_of[UTF8_BAD][NEVER + 1] = {
    [UTF8_START] = {[ASCII] = 1 + UTF8_START,
                    [LEAD2] = 1 + UTF8_LEFT1,
                    [LEAD_E0] = 1 + UTF8_AFTER_E0,
                    [LEAD3] = 1 + UTF8_LEFT2,
                    [LEAD_ED] = 1 + UTF8_AFTER_ED,
                    [LEAD_F0] = 1 + UTF8_AFTER_F0,
                    [LEAD4] = 1 + UTF8_LEFT3,
                    [LEAD_F4] = 1 + UTF8_AFTER_F4},
    [UTF8_LEFT1] = {ANY_CONTINUATION(UTF8_START)},
    [UTF8_LEFT2] = {ANY_CONTINUATION(UTF8_LEFT1)},
    [UTF8_LEFT3] = {ANY_CONTINUATION(UTF8_LEFT2)},
    [UTF8_AFTER_E0] = {[HIGH] = 1 + UTF8_LEFT1},
    [UTF8_AFTER_ED] = {[LOW] = 1 + UTF8_LEFT1, [MID] = 1 + UTF8_LEFT1},
    [UTF8_AFTER_F0] = {[MID] = 1 + UTF8_LEFT2, [HIGH] = 1 + UTF8_LEFT2},
    [UTF8_AFTER_F4] = {[LOW] = 1 + UTF8_LEFT2},
};

static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        if (word & 0x8080808080808080u)
            break;
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

enum utf8 utf8_feed(enum utf8 state, str s)
{
    if (s.n == 0 || state == UTF8_BAD)
        return state;
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    for (;;) {
        if (state == UTF8_START)
            p = skip_ascii(p, end);
        if (p == end)
            return state;
        unsigned next = next_of[state][class_of[*p++]];
        if (next == 0)
            return UTF8_BAD;
        state = (enum utf8)(next - 1);
    }
}

bool utf8_ok(str s)
{
    return utf8_feed(UTF8_START, s) == UTF8_START;
}

str utf8_cut(str s, size_t max)
{
    if (s.n <= max)
        return s;
    size_t n = max;
    /* s.p[n] is the first byte left out: a continuation byte there means a character was split. */
    while (n > 0 && max - n < 3 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return str_of(s.p, n);
}

size_t utf8_length(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}
