#include "base/json.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const uint8_t *at;

/* ---- bytes --------------------------------------------------------------------------------- */

enum {
    BLANK = 1,
    DIGIT = 2,
    CLOSES = 4, /* a number, true, false or null ends before it */
    QUOTE = 8,  /* the quote and the backslash */
    CONTROL = 16,
    HIGH = 32, /* not ASCII */
    BRACKET = 64,
    SIMPLE = 128 /* a backslash before it makes a whole escape */
};

static const uint8_t kind[256] = {
    [0x00 ... 0x08] = CONTROL,
    ['\t'] = CONTROL | BLANK | CLOSES,
    ['\n'] = CONTROL | BLANK | CLOSES,
    [0x0b ... 0x0c] = CONTROL,
    ['\r'] = CONTROL | BLANK | CLOSES,
    [0x0e ... 0x1f] = CONTROL,
    [' '] = BLANK | CLOSES,
    ['"'] = QUOTE | SIMPLE,
    ['\\'] = QUOTE | SIMPLE,
    ['/'] = SIMPLE,
    ['b'] = SIMPLE,
    ['f'] = SIMPLE,
    ['n'] = SIMPLE,
    ['r'] = SIMPLE,
    ['t'] = SIMPLE,
    [','] = CLOSES,
    ['['] = BRACKET,
    [']'] = BRACKET | CLOSES,
    ['{'] = BRACKET,
    ['}'] = BRACKET | CLOSES,
    ['0' ... '9'] = DIGIT,
    [0x80 ... 0xff] = HIGH,
};

static inline at skip_blanks(at p, at end)
{
    while (p < end && kind[*p] & BLANK)
        p++;
    return p;
}

static inline at skip_digits(at p, at end)
{
    while (p < end && kind[*p] & DIGIT)
        p++;
    return p;
}

/* The sets of bytes that are looked for, 16 at a time. */
enum {
    IN_WRITING = QUOTE | CONTROL,
    IN_CHECKING = QUOTE | CONTROL | HIGH,
    IN_NEST = QUOTE | BRACKET
};

/* A bit for each of the 16 bytes at p that belongs to `set`. */
#ifdef __SSE2__
static inline __m128i equal16(__m128i x, char c)
{
    return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

static inline unsigned mark16(at p, unsigned set)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i marks = _mm_or_si128(equal16(x, '"'), equal16(x, '\\'));
    if (set & HIGH) /* signed: below 0x20 or above 0x7f */
        marks = _mm_or_si128(marks, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
    else if (set & CONTROL)
        marks = _mm_or_si128(marks, _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x));
    if (set & BRACKET) { /* the bit 0x20 is all that tells [ from { and ] from } */
        __m128i folded = _mm_or_si128(x, _mm_set1_epi8(0x20));
        marks = _mm_or_si128(marks, _mm_or_si128(equal16(folded, '{'), equal16(folded, '}')));
    }
    return (unsigned)_mm_movemask_epi8(marks);
}
#else
static inline unsigned mark16(at p, unsigned set)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < 16; i++)
        bits |= (unsigned)((kind[p[i]] & set) != 0) << i;
    return bits;
}
#endif

/* The same for the up to 16 bytes before end. */
static inline unsigned mark_rest(at p, at end, unsigned set)
{
    uint8_t rest[16] = {0};
    if (end - p >= 16)
        return mark16(p, set);
    for (size_t i = 0; p + i < end; i++)
        rest[i] = p[i];
    return mark16(rest, set);
}

static inline int hex_digit(uint8_t c)
{
    if (kind[c] & DIGIT)
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of \uXXXX at p, or -1. */
static int unicode_escape(at p, at end)
{
    int v = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* ---- checking ------------------------------------------------------------------------------ */

struct check {
    at p, end; /* after a failure p is where */
    unsigned depth;
    bool complete; /* p stands behind a value, not before one */
    bool is_object[JSON_DEPTH_MAX];
};

/* \uXXXX, the two halves of a pair together. */
static bool check_unicode(struct check *c)
{
    int high = unicode_escape(c->p, c->end);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return false;
    if (high >= 0xd800 && high <= 0xdbff) {
        int low = unicode_escape(c->p + 6, c->end);
        if (low < 0xdc00 || low > 0xdfff)
            return false;
        c->p += 6;
    }
    c->p += 6;
    return true;
}

static bool check_escape(struct check *c)
{
    if (c->end - c->p < 2)
        return false;
    if (!(kind[c->p[1]] & SIMPLE))
        return check_unicode(c);
    c->p += 2;
    return true;
}

static inline bool is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* One character above 0x7f. RFC 3629: the second byte's range depends on the first. */
static inline bool check_character(struct check *c)
{
    at p = c->p;
    size_t left = (size_t)(c->end - p);
    if (p[0] >= 0xc2 && p[0] <= 0xdf && left >= 2 && is_tail(p[1])) {
        c->p += 2;
        return true;
    }
    if ((p[0] & 0xf0) == 0xe0 && left >= 3 && is_tail(p[1]) && is_tail(p[2])) {
        c->p += 3;
        return (p[0] != 0xe0 || p[1] >= 0xa0) && (p[0] != 0xed || p[1] < 0xa0);
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4 && left >= 4 && is_tail(p[1]) && is_tail(p[2]) &&
        is_tail(p[3])) {
        c->p += 4;
        return (p[0] != 0xf0 || p[1] >= 0x90) && (p[0] != 0xf4 || p[1] < 0x90);
    }
    return false;
}

/* Passes plain ASCII and, cheaply, most of the simple escapes: JSON within JSON is full of them. */
static inline at pass_simple(at p, at end)
{
    while (end - p > 16) { /* one more than a block: an escape may reach out of it */
        unsigned bits = mark16(p, IN_CHECKING), n = 16;
        while (bits) {
            unsigned i = (unsigned)__builtin_ctz(bits);
            if (p[i] != '\\' || !(kind[p[i + 1]] & SIMPLE))
                return p + i;
            bits &= ~(3u << i);
            n = i == 15 ? 17 : 16;
        }
        p += n;
    }
    while (p < end && !(kind[*p] & IN_CHECKING))
        p++;
    return p;
}

static inline bool check_string(struct check *c)
{
    for (c->p++;;) {
        c->p = pass_simple(c->p, c->end);
        if (c->p == c->end)
            return false;
        if (*c->p == '"') {
            c->p++;
            return true;
        }
        if (*c->p == '\\') {
            if (!check_escape(c))
                return false;
            continue;
        }
        while (c->p < c->end && *c->p >= 0x80)
            if (!check_character(c))
                return false;
        if (c->p < c->end && *c->p < 0x20)
            return false;
    }
}

static bool check_some_digits(struct check *c)
{
    at from = c->p;
    c->p = skip_digits(c->p, c->end);
    return c->p > from;
}

static bool check_number(struct check *c)
{
    if (*c->p == '-')
        c->p++;
    if (c->p < c->end && *c->p == '0')
        c->p++;
    else if (!check_some_digits(c))
        return false;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        if (!check_some_digits(c))
            return false;
    }
    if (c->p < c->end && (*c->p | 0x20) == 'e') {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
            c->p++;
        return check_some_digits(c);
    }
    return true;
}

static bool check_word(struct check *c, str word)
{
    if ((size_t)(c->end - c->p) < word.n || memcmp(c->p, word.p, word.n) != 0)
        return false;
    c->p += word.n;
    return true;
}

/* The name of a member and its colon. */
static inline bool check_name(struct check *c)
{
    c->p = skip_blanks(c->p, c->end);
    if (c->p == c->end || *c->p != '"' || !check_string(c))
        return false;
    c->p = skip_blanks(c->p, c->end);
    if (c->p == c->end || *c->p != ':')
        return false;
    c->p++;
    return true;
}

/* An opening bracket and what must follow it: the end, a name, or (array) any value. */
static inline bool check_open(struct check *c)
{
    bool is_object = *c->p == '{';
    if (c->depth == JSON_DEPTH_MAX)
        return false;
    c->p = skip_blanks(c->p + 1, c->end);
    if (c->p < c->end && *c->p == (is_object ? '}' : ']')) {
        c->p++;
        return true;
    }
    c->is_object[c->depth++] = is_object;
    c->complete = false;
    return !is_object || check_name(c);
}

/* A whole scalar or empty container, or the beginning of a container. */
static inline bool check_begin(struct check *c)
{
    c->p = skip_blanks(c->p, c->end);
    if (c->p == c->end)
        return false;
    c->complete = true;
    switch (*c->p) {
    case '"':
        return check_string(c);
    case '{':
    case '[':
        return check_open(c);
    case 't':
        return check_word(c, S("true"));
    case 'f':
        return check_word(c, S("false"));
    case 'n':
        return check_word(c, S("null"));
    default:
        return (*c->p == '-' || kind[*c->p] & DIGIT) && check_number(c);
    }
}

/* Behind an element: a comma (and a name), or the end of the container. */
static inline bool check_next(struct check *c)
{
    bool is_object = c->is_object[c->depth - 1];
    c->p = skip_blanks(c->p, c->end);
    if (c->p == c->end)
        return false;
    if (*c->p == (is_object ? '}' : ']')) {
        c->p++;
        c->depth--;
        return true;
    }
    if (*c->p != ',')
        return false;
    c->p++;
    c->complete = false;
    return !is_object || check_name(c);
}

static bool check_value(struct check *c)
{
    for (;;) {
        if (!check_begin(c))
            return false;
        while (c->complete) {
            if (c->depth == 0)
                return true;
            if (!check_next(c))
                return false;
        }
    }
}

/* ---- slices of checked text ---------------------------------------------------------------- */

/* From here on a text that was not checked is our own bug; end is respected all the same. */

static enum json_type type_of(uint8_t first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* Behind the string that begins at p. */
static inline at skip_string(at p, at end, bool *escaped)
{
    for (p++; p < end;) {
        unsigned bits = mark_rest(p, end, QUOTE), n = 16;
        while (bits) {
            unsigned i = (unsigned)__builtin_ctz(bits);
            if (p[i] == '"')
                return p + i + 1;
            *escaped = true;
            bits &= ~(3u << i);
            n = i == 15 ? 17 : 16;
        }
        p = end - p > n ? p + n : end;
    }
    return end;
}

/* Behind the container that begins at p. */
static at skip_container(at p, at end)
{
    bool in_string = false;
    unsigned depth = 0;
    while (p < end) {
        unsigned bits = mark_rest(p, end, IN_NEST), n = 16;
        while (bits) {
            unsigned i = (unsigned)__builtin_ctz(bits);
            bits &= bits - 1;
            if (p[i] == '"') {
                in_string = !in_string;
            } else if (p[i] == '\\') {
                bits &= ~(2u << i);
                n = i == 15 ? 17 : 16;
            } else if (!in_string) {
                depth += (p[i] | 0x20) == '{' ? 1 : -1u;
                if (depth == 0)
                    return p + i + 1;
            }
        }
        p = end - p > n ? p + n : end;
    }
    return end;
}

/* The value that begins at p. */
static inline struct json slice(at p, at end)
{
    struct json v = {.type = type_of(*p)};
    at q = p;
    if (v.type == JSON_STRING)
        q = skip_string(p, end, &v.escaped);
    else if (v.type == JSON_OBJECT || v.type == JSON_ARRAY)
        q = skip_container(p, end);
    else
        while (q < end && !(kind[*q] & CLOSES))
            q++;
    v.raw = str_of(p, (size_t)(q - p));
    return v;
}

bool json_parse(str text, struct json *out, size_t *bad_at)
{
    struct check c;
    at begin = (at)text.p, first;
    *out = (struct json){0};
    if (bad_at)
        *bad_at = 0;
    if (text.n == 0)
        return false;
    c.p = first = skip_blanks(begin, begin + text.n);
    c.end = begin + text.n;
    c.depth = 0;
    bool is_value = check_value(&c);
    at after = is_value ? skip_blanks(c.p, c.end) : c.p;
    if (!is_value || after != c.end) {
        if (bad_at)
            *bad_at = (size_t)(after - begin);
        return false;
    }
    out->type = type_of(*first);
    out->raw = str_of(first, (size_t)(c.p - first));
    out->escaped = out->type == JSON_STRING && memchr(out->raw.p, '\\', out->raw.n);
    return true;
}

/* ---- iterating ----------------------------------------------------------------------------- */

struct json_iter json_iter(struct json container)
{
    struct json_iter it = {.object = container.type == JSON_OBJECT};
    if (container.type == JSON_OBJECT || container.type == JSON_ARRAY) {
        CHECK(container.raw.n >= 2);
        it.rest = str_of(container.raw.p + 1, container.raw.n - 2);
    }
    return it;
}

/* Blanks and the one comma or colon among them. */
static inline at skip_between(at p, at end)
{
    while (p < end && (kind[*p] & BLANK || *p == ',' || *p == ':'))
        p++;
    return p;
}

bool json_next(struct json_iter *it, struct json *key_out, struct json *value_out)
{
    if (it->rest.n == 0)
        return false;
    at p = (at)it->rest.p, end = p + it->rest.n;
    struct json key = {0};
    p = skip_between(p, end);
    if (p == end) {
        it->rest.n = 0;
        return false;
    }
    if (it->object) {
        key = slice(p, end);
        p = skip_between((at)key.raw.p + key.raw.n, end);
        CHECK(p < end);
    }
    *value_out = slice(p, end);
    CHECK(value_out->raw.n > 0);
    if (key_out)
        *key_out = key;
    p += value_out->raw.n;
    it->rest = str_of(p, (size_t)(end - p));
    return true;
}

/* ---- decoding ------------------------------------------------------------------------------ */

static size_t put_character(int c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | c);
    return n;
}

/* The escape at *p as UTF-8; *p moves behind it. */
static size_t decode_escape(at *p, at end, char out[4])
{
    static const char simple[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                     ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    CHECK(end - *p >= 2);
    if ((*p)[1] != 'u') {
        out[0] = simple[(*p)[1]];
        *p += 2;
        return 1;
    }
    int c = unicode_escape(*p, end);
    CHECK(c >= 0);
    *p += 6;
    if (c >= 0xd800 && c <= 0xdbff) {
        int low = unicode_escape(*p, end);
        CHECK(low >= 0xdc00 && low <= 0xdfff);
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        *p += 6;
    }
    return put_character(c, out);
}

static str between_quotes(struct json v)
{
    CHECK(v.raw.n >= 2);
    return str_of(v.raw.p + 1, v.raw.n - 2);
}

str json_string(struct json v, arena *a)
{
    if (v.type != JSON_STRING)
        return S("");
    str in = between_quotes(v);
    if (!v.escaped)
        return in;
    char *out = arena_get(a, in.n), *to = out; /* no escape is shorter than its character */
    at p = (at)in.p, end = p + in.n;
    while (p < end) {
        at stop = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((stop ? stop : end) - p);
        memcpy(to, p, run);
        to += run;
        p += run;
        if (stop)
            to += decode_escape(&p, end, to);
    }
    return str_of(out, (size_t)(to - out));
}

/* Whether the name of a member, which contains an escape, means `name`. */
static bool escaped_name_is(struct json key, str name)
{
    str in = between_quotes(key);
    at p = (at)in.p, end = p + in.n;
    while (p < end) {
        char c[4] = {(char)*p};
        size_t n = 1;
        if (*p == '\\')
            n = decode_escape(&p, end, c);
        else
            p++;
        if (!str_starts(name, str_of(c, n)))
            return false;
        name = str_from(name, n);
    }
    return name.n == 0;
}

static inline bool name_is(struct json key, str name)
{
    if (UNLIKELY(key.escaped))
        return escaped_name_is(key, name);
    return key.raw.n == name.n + 2 && memcmp(key.raw.p + 1, name.p, name.n) == 0;
}

void json_fields(struct json object, struct json_field *fields, size_t n)
{
    struct json key, value;
    for (size_t i = 0; i < n; i++)
        fields[i].value = (struct json){0};
    if (object.type != JSON_OBJECT)
        return;
    struct json_iter it = json_iter(object);
    while (json_next(&it, &key, &value))
        for (size_t i = 0; i < n; i++)
            if (name_is(key, fields[i].name))
                fields[i].value = value;
}

bool json_is_integer(struct json v)
{
    if (v.type != JSON_NUMBER)
        return false;
    at p = (at)v.raw.p, end = p + v.raw.n;
    if (p < end && *p == '-')
        p++;
    return p < end && skip_digits(p, end) == end;
}

/* ---- writing ------------------------------------------------------------------------------- */

static const char short_escape[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\t'] = 't',
                                       ['\n'] = 'n', ['\f'] = 'f',  ['\r'] = 'r'};

static size_t escaped_size(str s)
{
    size_t n = s.n;
    if (s.n == 0)
        return 0;
    at p = (at)s.p, end = p + s.n;
    for (; end - p >= 16; p += 16)
        for (unsigned bits = mark16(p, IN_WRITING); bits; bits &= bits - 1)
            n += short_escape[p[__builtin_ctz(bits)]] ? 1 : 5;
    for (; p < end; p++)
        if (kind[*p] & IN_WRITING)
            n += short_escape[*p] ? 1 : 5;
    return n;
}

static inline char *put_escape(char *to, uint8_t c)
{
    *to++ = '\\';
    if (short_escape[c]) {
        *to++ = short_escape[c];
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = "0123456789abcdef"[c >> 4];
    to[4] = "0123456789abcdef"[c & 15];
    return to + 5;
}

/* Writes exactly escaped_size(s) bytes. Copying 16 at a time stays inside them: what is left to
 * write is never shorter than what is left to read. */
static char *put_escaped(char *to, str s)
{
    if (s.n == 0)
        return to;
    at p = (at)s.p, end = p + s.n;
    while (end - p >= 16) {
        unsigned bits = mark16(p, IN_WRITING), run = bits ? (unsigned)__builtin_ctz(bits) : 16;
        memcpy(to, p, 16);
        to += run;
        p += run;
        if (bits)
            to = put_escape(to, *p++);
    }
    for (; p < end; p++) {
        if (kind[*p] & IN_WRITING)
            to = put_escape(to, *p);
        else
            *to++ = (char)*p;
    }
    return to;
}

bool json_add_escaped(struct buf *b, str s)
{
    size_t n = escaped_size(s);
    char *to = buf_room(b, n);
    if (!to)
        return false;
    put_escaped(to, s);
    b->n += n;
    return true;
}

bool json_add_string(struct buf *b, str s)
{
    size_t n = escaped_size(s) + 2;
    char *to = buf_room(b, n);
    if (!to)
        return false;
    *to = '"';
    *put_escaped(to + 1, s) = '"';
    b->n += n;
    return true;
}

bool json_add_compact(struct buf *b, str raw)
{
    bool escaped;
    if (raw.n == 0)
        return true;
    at p = (at)raw.p, end = p + raw.n, from = p;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end, &escaped);
        } else if (!(kind[*p] & BLANK)) {
            p++;
        } else {
            if (!buf_add(b, str_of(from, (size_t)(p - from))))
                return false;
            from = p = skip_blanks(p, end);
        }
    }
    return buf_add(b, str_of(from, (size_t)(p - from)));
}
