/* config/tree.c - the JSON reader.
 *
 * Our own, because messages about a value name its line long after the text was read, and a key
 * written twice is a warning with a place, not an error. tests/fuzz/config_tree.c compares what is
 * accepted with jansson.
 */
#include "config/tree.h"

#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct reader {
    arena *a;
    const char *at, *end, *line_start;
    uint32_t line;
    unsigned depth;
    tree_twice_fn *twice;
    void *ctx;
    struct err *e;
};

static bool read_value(struct reader *r, struct value *v);

static uint32_t column(const struct reader *r)
{
    return (uint32_t)(r->at - r->line_start) + 1;
}

static bool bad(struct reader *r, const char *what)
{
    return err_set(r->e, ERR_INVALID, "%u:%u: %s", r->line, column(r), what);
}

static void skip_blank(struct reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r') {
            return;
        }
    }
}

static bool next_is(struct reader *r, char c)
{
    skip_blank(r);
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_hex4(struct reader *r, uint32_t *out)
{
    if (r->end - r->at < 4)
        return bad(r, "unfinished \\u escape");
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = *r->at;
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + (uint32_t)((c | 32) - 'a') + 10;
        else
            return bad(r, "a \\u escape needs four hexadecimal digits");
    }
    *out = v;
    return true;
}

char *tree_put_utf8(char *o, uint32_t c)
{
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xC0 | c >> 6);
        *o++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *o++ = (char)(0xE0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    } else {
        *o++ = (char)(0xF0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 63));
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    }
    return o;
}

/* Behind the letter u; two halves make one character. */
static bool read_code_point(struct reader *r, char **o)
{
    uint32_t c = 0, low = 0;
    if (!read_hex4(r, &c))
        return false;
    if (c == 0)
        return bad(r, "\\u0000 is not allowed");
    if (c >= 0xD800 && c < 0xDC00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return bad(r, "half of a surrogate pair");
        r->at += 2;
        if (!read_hex4(r, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return bad(r, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c >= 0xDC00 && c <= 0xDFFF) {
        return bad(r, "half of a surrogate pair");
    }
    *o = tree_put_utf8(*o, c);
    return true;
}

static bool read_escape(struct reader *r, char **o)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (r->at >= r->end)
        return bad(r, "unfinished string");
    char c = *r->at++;
    if (c == 'u')
        return read_code_point(r, o);
    const char *found = c ? strchr(letters, c) : NULL;
    if (found == NULL)
        return bad(r, "unknown escape in a string");
    *(*o)++ = bytes[found - letters];
    return true;
}

/* Behind the opening quote. Escapes are never shorter than what they stand for. */
static bool read_string(struct reader *r, str *out)
{
    const char *p = r->at;
    while (p < r->end && *p != '"')
        p += *p == '\\' && p + 1 < r->end ? 2 : 1;
    char *start = arena_get(r->a, (size_t)(p - r->at) + 1), *o = start;
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at;
        if ((unsigned char)c < 0x20)
            return bad(r, c == '\n' ? "unfinished string" : "control character in a string");
        r->at++;
        if (c != '\\')
            *o++ = c;
        else if (!read_escape(r, &o))
            return false;
    }
    if (r->at >= r->end)
        return bad(r, "unfinished string");
    r->at++;
    *o = '\0';
    *out = str_of(start, (size_t)(o - start));
    return true;
}

static size_t count_digits(str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

size_t tree_number(str s, bool *is_int)
{
    size_t at = str_starts(s, S("-")), n = count_digits(s, at);
    *is_int = true;
    if (n == 0 || (s.p[at] == '0' && n > 1))
        return 0;
    at += n;
    if (at < s.n && s.p[at] == '.') {
        *is_int = false;
        if ((n = count_digits(s, ++at)) == 0)
            return 0;
        at += n;
    }
    if (at < s.n && (s.p[at] | 32) == 'e') {
        *is_int = false;
        at++;
        at += at < s.n && (s.p[at] == '+' || s.p[at] == '-');
        if ((n = count_digits(s, at)) == 0)
            return 0;
        at += n;
    }
    return at;
}

static bool read_number(struct reader *r, struct value *v)
{
    bool is_int;
    str text = str_of(r->at, (size_t)(r->end - r->at));
    text.n = tree_number(text, &is_int);
    if (text.n == 0)
        return bad(r, "expected a value");
    str z = arena_str(r->a, text);
    v->f = strtod(z.p, NULL);
    if (!isfinite(v->f))
        return bad(r, "number out of range");
    errno = 0;
    v->i = is_int ? strtoll(z.p, NULL, 10) : 0;
    if (is_int && errno == ERANGE)
        return bad(r, "number out of range");
    v->type = is_int ? VALUE_INT : VALUE_FLOAT;
    r->at += text.n;
    return true;
}

static bool read_word(struct reader *r, struct value *v)
{
    static const struct {
        str word;
        enum value_type type;
        bool b;
    } words[] = {{STR("null"), VALUE_NULL, false},
                 {STR("true"), VALUE_BOOL, true},
                 {STR("false"), VALUE_BOOL, false}};
    str rest = str_of(r->at, (size_t)(r->end - r->at));
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_starts(rest, words[i].word)) {
            v->type = words[i].type;
            v->b = words[i].b;
            r->at += words[i].word.n;
            return true;
        }
    return bad(r, "expected a value");
}

void tree_append(struct value *parent, struct value *child)
{
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

static void remove_key(struct reader *r, struct value *map, const struct value *fresh)
{
    struct value *before = NULL;
    for (struct value *m = map->first; m != NULL; before = m, m = m->next) {
        if (!str_eq(m->key, fresh->key))
            continue;
        *(before ? &before->next : &map->first) = m->next;
        if (map->last == m)
            map->last = before;
        map->count--;
        r->twice(r->ctx, fresh);
        return;
    }
}

static bool read_list(struct reader *r, struct value *v)
{
    v->type = VALUE_LIST;
    if (next_is(r, ']'))
        return true;
    do {
        struct value *item = arena_zero(r->a, sizeof *item);
        if (!read_value(r, item))
            return false;
        tree_append(v, item);
    } while (next_is(r, ','));
    return next_is(r, ']') || bad(r, "expected ',' or ']'");
}

static bool read_member(struct reader *r, struct value *map)
{
    struct value *m = arena_zero(r->a, sizeof *m);
    str key;
    if (!next_is(r, '"'))
        return bad(r, "expected a key in quotes");
    if (!read_string(r, &key))
        return false;
    if (!next_is(r, ':'))
        return bad(r, "expected ':'");
    if (!read_value(r, m))
        return false;
    m->key = key;
    remove_key(r, map, m);
    if (map->count >= TREE_KEYS_MAX)
        return bad(r, "too many keys");
    tree_append(map, m);
    return true;
}

static bool read_map(struct reader *r, struct value *v)
{
    v->type = VALUE_MAP;
    if (next_is(r, '}'))
        return true;
    do {
        if (!read_member(r, v))
            return false;
    } while (next_is(r, ','));
    return next_is(r, '}') || bad(r, "expected ',' or '}'");
}

static bool read_nested(struct reader *r, struct value *v)
{
    if (++r->depth > TREE_DEPTH_MAX)
        return bad(r, "nested too deeply");
    bool ok = *r->at++ == '[' ? read_list(r, v) : read_map(r, v);
    r->depth--;
    return ok;
}

static bool read_value(struct reader *r, struct value *v)
{
    skip_blank(r);
    v->line = r->line;
    v->col = column(r);
    if (r->at >= r->end)
        return bad(r, "the text ends here, a value is missing");
    char c = *r->at;
    if (c == '{' || c == '[')
        return read_nested(r, v);
    if (c == '"') {
        r->at++;
        v->type = VALUE_STR;
        return read_string(r, &v->s);
    }
    return c == '-' || (c >= '0' && c <= '9') ? read_number(r, v) : read_word(r, v);
}

static void ignore_twice(void *ctx, const struct value *v)
{
    (void)ctx, (void)v;
}

bool tree_parse_json(arena *a, str text, tree_twice_fn *twice, void *ctx, struct value **out,
                     struct err *e)
{
    if (str_starts(text, S("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    struct reader r = {.a = a,
                       .at = text.p,
                       .end = text.p + text.n,
                       .line_start = text.p,
                       .line = 1,
                       .twice = twice ? twice : ignore_twice,
                       .ctx = ctx,
                       .e = e};
    if (!utf8_ok(text))
        return bad(&r, "the text is not UTF-8");
    *out = arena_zero(a, sizeof **out);
    if (!read_value(&r, *out))
        return false;
    skip_blank(&r);
    return r.at == r.end || bad(&r, "something follows the end of the value");
}

struct value *tree_get(const struct value *v, str key)
{
    if (v == NULL || v->type != VALUE_MAP)
        return NULL;
    for (struct value *m = v->first; m != NULL; m = m->next)
        if (str_eq(m->key, key))
            return m->type == VALUE_NULL ? NULL : m;
    return NULL;
}

struct value *tree_at(const struct value *v, str path)
{
    const char *dot = memchr(path.p, '.', path.n);
    if (dot == NULL)
        return tree_get(v, path);
    size_t n = (size_t)(dot - path.p);
    return tree_at(tree_get(v, str_of(path.p, n)), str_from(path, n + 1));
}

const char *tree_type_name(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_NULL] = "null",        [VALUE_BOOL] = "a boolean", [VALUE_INT] = "an integer",
        [VALUE_FLOAT] = "a fraction", [VALUE_STR] = "a string",   [VALUE_LIST] = "a list",
        [VALUE_MAP] = "an object",    [VALUE_DATE] = "a date"};
    return names[v->type];
}
