/* tests/fuzz/base_json.c - a parser written from the grammar of RFC 8259 gives the same verdict;
 * what is accepted can be walked, decoded, written and compacted without changing its meaning. */
#include "base/json.h"

#include <stdlib.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* ---- the grammar ---------------------------------------------------------------------------- */

/* Each rule takes what it matches from the front of *s. */

static bool eat(str *s, char c)
{
    if (s->n == 0 || *s->p != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool eat_any(str *s, const char *set)
{
    for (; *set; set++)
        if (eat(s, *set))
            return true;
    return false;
}

static void ws(str *s)
{
    while (eat_any(s, " \t\r\n"))
        ;
}

static bool digits(str *s)
{
    bool some = false;
    while (eat_any(s, "0123456789"))
        some = true;
    return some;
}

static bool number(str *s)
{
    eat(s, '-');
    if (!eat(s, '0') && !digits(s))
        return false;
    if (eat(s, '.') && !digits(s))
        return false;
    if (eat_any(s, "eE")) {
        eat_any(s, "+-");
        return digits(s);
    }
    return true;
}

static bool hex4(str *s, unsigned *out)
{
    char text[5] = {0};
    for (int i = 0; i < 4; i++) {
        char c = s->n ? *s->p : 0;
        if (!eat_any(s, "0123456789abcdefABCDEF"))
            return false;
        text[i] = c;
    }
    *out = (unsigned)strtoul(text, NULL, 16);
    return true;
}

static bool unicode(str *s)
{
    unsigned v;
    if (!hex4(s, &v) || (v >= 0xdc00 && v < 0xe000))
        return false;
    if (v < 0xd800 || v >= 0xdc00)
        return true;
    return eat(s, '\\') && eat(s, 'u') && hex4(s, &v) && v >= 0xdc00 && v < 0xe000;
}

static bool string(str *s)
{
    const char *begin = s->p;
    if (!eat(s, '"'))
        return false;
    while (!eat(s, '"')) {
        if (s->n == 0 || (uint8_t)*s->p < 0x20)
            return false;
        if (!eat(s, '\\'))
            *s = str_from(*s, 1);
        else if (!eat_any(s, "\"\\/bfnrt") && !(eat(s, 'u') && unicode(s)))
            return false;
    }
    return utf8_ok(str_of(begin, (size_t)(s->p - begin)));
}

static bool word(str *s, str w)
{
    bool is_there = str_starts(*s, w);
    *s = str_from(*s, is_there ? w.n : 0);
    return is_there;
}

static bool value(str *s, int depth);

static bool member(str *s, int depth)
{
    ws(s);
    if (!string(s))
        return false;
    ws(s);
    return eat(s, ':') && value(s, depth);
}

static bool container(str *s, int depth, bool is_object)
{
    if (depth > 128)
        return false;
    ws(s);
    if (eat(s, is_object ? '}' : ']'))
        return true;
    do {
        if (!(is_object ? member(s, depth) : value(s, depth)))
            return false;
    } while (eat(s, ','));
    return eat(s, is_object ? '}' : ']');
}

static bool value(str *s, int depth)
{
    bool ok;
    ws(s);
    if (eat(s, '{'))
        ok = container(s, depth + 1, true);
    else if (eat(s, '['))
        ok = container(s, depth + 1, false);
    else if (s->n && *s->p == '"')
        ok = string(s);
    else
        ok = word(s, S("true")) || word(s, S("false")) || word(s, S("null")) || number(s);
    ws(s);
    return ok;
}

/* ---- properties ----------------------------------------------------------------------------- */

static void check_string(struct json v, arena *a)
{
    struct buf b;
    struct json again;
    str s = json_string(v, a);
    CHECK(utf8_ok(s) && s.n + 2 <= v.raw.n);
    CHECK(v.escaped == (memchr(v.raw.p, '\\', v.raw.n) != NULL));
    buf_init(&b, 6 * s.n + 2);
    CHECK(json_add_string(&b, s));
    CHECK(json_parse(buf_str(&b), &again, NULL) && again.type == JSON_STRING);
    CHECK(str_eq(json_string(again, a), s));
    buf_finish(&b);
}

/* Every slice is a value by itself, of the same type; the last of a name is found by name. */
static void walk(struct json v, arena *a)
{
    struct json key, element, alone;
    CHECK(json_parse(v.raw, &alone, NULL));
    CHECK(alone.type == v.type && str_eq(alone.raw, v.raw) && alone.escaped == v.escaped);
    if (v.type == JSON_STRING)
        check_string(v, a);
    struct json_iter it = json_iter(v);
    while (json_next(&it, &key, &element)) {
        CHECK(element.raw.p > v.raw.p && element.raw.p + element.raw.n < v.raw.p + v.raw.n);
        CHECK((key.type == JSON_STRING) == (v.type == JSON_OBJECT));
        if (key.type == JSON_STRING) {
            struct json_field f = {json_string(key, a), {0}};
            json_fields(v, &f, 1);
            CHECK(f.value.type != JSON_NONE && f.value.raw.p >= element.raw.p);
            check_string(key, a);
        }
        walk(element, a);
    }
}

static void check_compact(str text)
{
    struct buf once, twice;
    struct json v;
    buf_init(&once, text.n);
    buf_init(&twice, text.n);
    CHECK(json_add_compact(&once, text));
    CHECK(json_parse(buf_str(&once), &v, NULL) && str_eq(v.raw, buf_str(&once)));
    CHECK(json_add_compact(&twice, buf_str(&once)));
    CHECK(str_eq(buf_str(&once), buf_str(&twice)));
    buf_finish(&once);
    buf_finish(&twice);
}

/* Any bytes can be written; valid text comes back. */
static void check_writer(str s)
{
    struct buf b;
    struct json v;
    arena a = {0};
    buf_init(&b, 6 * s.n + 2);
    CHECK(json_add_string(&b, s));
    CHECK(json_parse(buf_str(&b), &v, NULL) == utf8_ok(s));
    if (v.type == JSON_STRING)
        CHECK(str_eq(json_string(v, &a), s));
    arena_finish(&a);
    buf_finish(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 4096) /* walk() is quadratic in the depth */
        return 0;
    str text = str_of(data, n), rest = text;
    struct json v;
    size_t bad_at = 0;
    bool expected = value(&rest, 0) && rest.n == 0;
    CHECK(json_parse(text, &v, &bad_at) == expected);
    CHECK(bad_at <= n && (v.type != JSON_NONE) == expected);
    if (expected) {
        arena a = {0};
        walk(v, &a);
        arena_finish(&a);
        check_compact(text);
    }
    check_writer(text);
    return 0;
}
