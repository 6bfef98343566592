/* config/toml.c - the TOML reader: the same tree as from JSON.
 *
 * Our own, because toml++ cannot be bounded: a key of many dotted parts overflows its stack. Every
 * table remembers how it was made, for that decides who may add to it:
 *
 *     made by             [header] opens it   [header] passes   dotted key passes
 *     header.super.table  once                yes               yes
 *     [header]            no                  yes               no
 *     dotted.key = 1      no                  yes               in the same section
 *     {inline} or [list]  no                  no                no
 *     [[header]]          adds an item        to the last item  no
 *
 * Source: TOML 1.0.0; spec/configuration.md §2.2
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "config/tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum made { MADE_BY_PASSING, MADE_BY_HEADER, MADE_BY_DOTS, MADE_INLINE, MADE_BY_ITEMS };

struct node { /* every value of this reader's trees */
    struct value v;
    enum made made;
    unsigned section; /* of the dotted keys that made it */
    unsigned depth;
};

struct key {
    str text;
    uint32_t line, col;
};

struct toml {
    arena *a;
    const char *at, *end, *line_start;
    uint32_t line;
    unsigned section, sections; /* the one at work; how many there were */
    struct node *table;         /* the one whose keys are read */
    struct buf text;            /* of the string at work */
    struct err *e;
};

static bool read_value(struct toml *t, const struct node *parent, struct node *n);

static uint32_t column(const struct toml *t)
{
    return (uint32_t)(t->at - t->line_start) + 1;
}

static bool bad(struct toml *t, const char *what)
{
    return err_set(t->e, ERR_INVALID, "%u:%u: %s", t->line, column(t), what);
}

static bool bad_key(struct toml *t, const struct key *k, const char *what)
{
    return err_set(t->e, ERR_INVALID, "%u:%u: %s", k->line, k->col, what);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_hex_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'f';
}

static bool is_digit_of(char c, bool hex)
{
    return is_digit(c) || (hex && is_hex_letter(c));
}

static str rest(const struct toml *t)
{
    return str_of(t->at, (size_t)(t->end - t->at));
}

static bool next_is(struct toml *t, char c)
{
    if (t->at >= t->end || *t->at != c)
        return false;
    t->at++;
    return true;
}

static void skip_blank(struct toml *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
        t->at++;
}

/* LF or CRLF */
static bool skip_newline(struct toml *t)
{
    size_t n = str_starts(rest(t), S("\r\n")) ? 2 : str_starts(rest(t), S("\n"));
    t->at += n;
    if (n == 0)
        return false;
    t->line++;
    t->line_start = t->at;
    return true;
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F;
}

static bool skip_comment(struct toml *t)
{
    if (!next_is(t, '#'))
        return true;
    while (t->at < t->end && !is_control(*t->at))
        t->at++;
    bool ends = t->at == t->end || str_starts(rest(t), S("\n")) || str_starts(rest(t), S("\r\n"));
    return ends || bad(t, "control character in a comment");
}

/* Blanks, comments and line ends, as between the values of a list. */
static bool skip_space(struct toml *t)
{
    do {
        skip_blank(t);
        if (!skip_comment(t))
            return false;
    } while (skip_newline(t));
    return true;
}

/* ---- strings ---- */

static bool read_code_point(struct toml *t, size_t digits)
{
    uint32_t c = 0;
    char bytes[4];
    for (size_t i = 0; i < digits; i++, t->at++) {
        if (t->at < t->end && is_digit(*t->at))
            c = c << 4 | (uint32_t)(*t->at - '0');
        else if (t->at < t->end && is_hex_letter(*t->at))
            c = c << 4 | (uint32_t)((*t->at | 32) - 'a' + 10);
        else
            return bad(t, "an escape \\u needs 4 hexadecimal digits, \\U needs 8");
    }
    if (c == 0)
        return bad(t, "\\u0000 is not allowed");
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return bad(t, "this escape is no character");
    return buf_add(&t->text, str_of(bytes, (size_t)(tree_put_utf8(bytes, c) - bytes)));
}

/* A backslash at the end of a line: everything blank up to the next text does not count. */
static bool skip_folded(struct toml *t)
{
    const char *p = t->at;
    while (p < t->end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == t->end || (*p != '\n' && *p != '\r'))
        return false;
    t->at = p;
    bool folded = false;
    while (skip_newline(t)) {
        folded = true;
        skip_blank(t);
    }
    return folded;
}

static bool read_escape(struct toml *t, bool multi)
{
    static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
    t->at++;
    if (multi && skip_folded(t))
        return true;
    char c = t->at < t->end ? *t->at : '\0';
    const char *found = c ? strchr(letters, c) : NULL;
    if (c != 'u' && c != 'U' && found == NULL)
        return bad(t, "unknown escape in a string");
    t->at++;
    return found ? buf_char(&t->text, bytes[found - letters])
                 : read_code_point(t, c == 'u' ? 4 : 8);
}

static bool read_char(struct toml *t, char quote, bool multi)
{
    if (t->at >= t->end)
        return bad(t, "unfinished string");
    if (quote == '"' && *t->at == '\\')
        return read_escape(t, multi);
    if (multi && skip_newline(t))
        return buf_char(&t->text, '\n');
    if (is_control(*t->at))
        return bad(t, *t->at == '\n' ? "unfinished string" : "control character in a string");
    return buf_char(&t->text, *t->at++);
}

/* Three quotes end a text of many lines; up to two more in front of them belong to it. */
static bool string_ends(struct toml *t, char quote, bool multi)
{
    size_t run = 0;
    if (!multi)
        return next_is(t, quote);
    while (run < 5 && t->at + run < t->end && t->at[run] == quote)
        run++;
    if (run < 3)
        return false;
    buf_add(&t->text, str_of(t->at, run - 3));
    t->at += run;
    return true;
}

static bool read_string(struct toml *t, bool may_be_multi, str *out)
{
    char quote = *t->at;
    bool multi =
        may_be_multi && (str_starts(rest(t), S("\"\"\"")) || str_starts(rest(t), S("'''")));
    t->at += multi ? 3 : 1;
    buf_clear(&t->text);
    if (multi)
        skip_newline(t);
    while (!string_ends(t, quote, multi))
        if (!read_char(t, quote, multi))
            return false;
    *out = arena_str(t->a, buf_str(&t->text));
    return true;
}

/* ---- dates, only told from other values ---- */

static bool digits_at(str s, size_t at, size_t count, unsigned min, unsigned max, unsigned *out)
{
    *out = 0;
    for (size_t i = at; i < at + count; i++) {
        if (i >= s.n || !is_digit(s.p[i]))
            return false;
        *out = *out * 10 + (unsigned)(s.p[i] - '0');
    }
    return *out >= min && *out <= max;
}

static bool is_day(str s)
{
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y, m, d;
    if (s.n < 10 || s.p[4] != '-' || s.p[7] != '-' || !digits_at(s, 0, 4, 0, 9999, &y) ||
        !digits_at(s, 5, 2, 1, 12, &m) || !digits_at(s, 8, 2, 1, days[m - 1], &d))
        return false;
    return m != 2 || d < 29 || (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
}

/* Bytes of HH:MM:SS and a possible fraction, 0 if there are none. */
static size_t clock_length(str s)
{
    unsigned x;
    size_t n = 8;
    if (s.n < 8 || s.p[2] != ':' || s.p[5] != ':' || !digits_at(s, 0, 2, 0, 23, &x) ||
        !digits_at(s, 3, 2, 0, 59, &x) || !digits_at(s, 6, 2, 0, 59, &x))
        return 0;
    if (n == s.n || s.p[n] != '.')
        return n;
    while (++n < s.n && is_digit(s.p[n]))
        ;
    return n > 9 ? n : 0;
}

static bool is_zone(str s)
{
    unsigned x;
    if (s.n <= 1)
        return s.n == 0 || (s.p[0] | 32) == 'z';
    return s.n == 6 && (s.p[0] == '+' || s.p[0] == '-') && s.p[3] == ':' &&
           digits_at(s, 1, 2, 0, 23, &x) && digits_at(s, 4, 2, 0, 59, &x);
}

static bool is_date(str s)
{
    if (!is_day(s))
        return s.n > 0 && clock_length(s) == s.n;
    size_t n = clock_length(str_from(s, 11));
    return s.n == 10 ||
           (((s.p[10] | 32) == 't' || s.p[10] == ' ') && n > 0 && is_zone(str_from(s, 11 + n)));
}

/* ---- other scalars ---- */

/* Without its underscores; false if one does not stand between two digits. */
static bool without_underscores(struct toml *t, str s, bool hex, str *out)
{
    buf_clear(&t->text);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_')
            buf_char(&t->text, s.p[i]);
        else if (i == 0 || i + 1 == s.n || !is_digit_of(s.p[i - 1], hex) ||
                 !is_digit_of(s.p[i + 1], hex))
            return false;
    }
    *out = arena_str(t->a, buf_str(&t->text));
    return true;
}

static int base_of(str s)
{
    static const str prefixes[] = {STR("0x"), STR("0o"), STR("0b")};
    static const int bases[] = {16, 8, 2};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts(s, prefixes[i]))
            return bases[i];
    return 10;
}

/* Behind 0x, 0o or 0b: digits alone. */
static bool based_number(str s, int base, int64_t *out)
{
    char *end;
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit_of(s.p[i], true))
            return false;
    errno = 0;
    *out = strtoll(s.p, &end, base);
    return s.n > 0 && errno == 0 && end == s.p + s.n;
}

static bool read_number(struct toml *t, str word, struct value *v)
{
    int base = base_of(word);
    str s;
    bool is_int = false;
    if (!without_underscores(t, word, base == 16, &s))
        return false;
    size_t sign = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-');
    str digits = str_from(s, sign);
    v->type = VALUE_INT;
    if (base != 10) {
        bool ok = based_number(str_from(s, 2), base, &v->i);
        v->f = (double)v->i;
        return ok;
    }
    if (digits.n == 0 || !is_digit(digits.p[0]) || tree_number(digits, &is_int) != digits.n)
        return false;
    errno = 0;
    v->type = is_int ? VALUE_INT : VALUE_FLOAT;
    v->i = is_int ? strtoll(s.p, NULL, 10) : 0;
    bool fits = errno == 0;
    v->f = strtod(s.p, NULL);
    return fits;
}

static bool read_special(str word, struct value *v)
{
    bool minus = str_starts(word, S("-"));
    str name = str_from(word, minus || str_starts(word, S("+")));
    if (str_eq(word, S("true")) || str_eq(word, S("false"))) {
        v->type = VALUE_BOOL;
        v->b = word.p[0] == 't';
        return true;
    }
    if (!str_eq(name, S("inf")) && !str_eq(name, S("nan")))
        return false;
    v->type = VALUE_FLOAT;
    v->f = name.p[0] == 'n' ? NAN : minus ? -INFINITY : INFINITY;
    return true;
}

/* The run of characters that a number, a date or a word may have. */
static str scan_word(const struct toml *t)
{
    str s = rest(t);
    size_t n = 0;
    while (n < s.n &&
           (is_digit(s.p[n]) || is_letter(s.p[n]) || (s.p[n] && strchr("+-._:", s.p[n]))))
        n++;
    bool has_clock = n == 10 && is_day(s) && s.n > 12 && s.p[10] == ' ' && is_digit(s.p[11]);
    for (n += has_clock;
         has_clock && n < s.n &&
         (is_digit(s.p[n]) || is_letter(s.p[n]) || (s.p[n] && strchr("+-.:", s.p[n])));)
        n++;
    return str_of(s.p, n);
}

static bool read_word(struct toml *t, struct value *v)
{
    str word = scan_word(t);
    if (word.n == 0)
        return bad(t, "expected a value");
    if (is_date(word)) {
        v->type = VALUE_DATE;
        v->s = arena_str(t->a, word);
    } else if (!read_special(word, v) && !read_number(t, word, v)) {
        return bad(t, "this is no value of TOML");
    }
    t->at += word.n;
    return true;
}

/* ---- tables ---- */

static struct node *member(const struct node *table, str key)
{
    return (struct node *)(void *)tree_get(&table->v, key);
}

static struct node *new_node(struct toml *t, enum value_type type, enum made made,
                             const struct node *parent)
{
    struct node *n = arena_zero(t->a, sizeof *n);
    n->v.type = type;
    n->v.line = t->line;
    n->v.col = column(t);
    n->made = made;
    n->section = t->section;
    n->depth = parent->depth + 1;
    return n;
}

/* NULL with *e: nested too deeply, or too many. */
static struct node *add_container(struct toml *t, struct node *parent, const struct key *k,
                                  enum value_type type, enum made made)
{
    struct node *n = new_node(t, type, made, parent);
    n->v.key = k->text;
    n->v.line = k->line;
    n->v.col = k->col;
    if (n->depth > TREE_DEPTH_MAX)
        return bad_key(t, k, "nested too deeply"), NULL;
    if (parent->v.type == VALUE_MAP && parent->v.count >= TREE_KEYS_MAX)
        return bad_key(t, k, "too many keys"), NULL;
    tree_append(&parent->v, &n->v);
    return n;
}

static bool read_key(struct toml *t, struct key *k)
{
    *k = (struct key){.line = t->line, .col = column(t)};
    if (t->at < t->end && (*t->at == '"' || *t->at == '\''))
        return read_string(t, false, &k->text);
    const char *p = t->at;
    while (p < t->end && (is_digit(*p) || is_letter(*p) || *p == '_' || *p == '-'))
        p++;
    if (p == t->at)
        return bad(t, "expected a key");
    k->text = arena_str(t->a, str_of(t->at, (size_t)(p - t->at)));
    t->at = p;
    return true;
}

/* A dot and the next part of the key, with blanks around the dot; *more: there was one. */
static bool next_part(struct toml *t, struct key *k, bool *more)
{
    skip_blank(t);
    *more = next_is(t, '.');
    if (!*more)
        return true;
    skip_blank(t);
    return read_key(t, k);
}

/* The table behind one more part of a dotted key. */
static struct node *pass_dot(struct toml *t, struct node *table, const struct key *k)
{
    struct node *n = member(table, k->text);
    if (n == NULL)
        return add_container(t, table, k, VALUE_MAP, MADE_BY_DOTS);
    bool may = n->v.type == VALUE_MAP && (n->made == MADE_BY_PASSING ||
                                          (n->made == MADE_BY_DOTS && n->section == t->section));
    if (!may)
        return bad_key(t, k, "this key was given elsewhere already"), NULL;
    n->made = MADE_BY_DOTS;
    n->section = t->section;
    return n;
}

/* key = value, into the table */
static bool read_pair(struct toml *t, struct node *table)
{
    struct key k;
    bool more = true;
    if (!read_key(t, &k))
        return false;
    for (;;) {
        struct key before = k;
        if (!next_part(t, &k, &more))
            return false;
        if (!more)
            break;
        if ((table = pass_dot(t, table, &before)) == NULL)
            return false;
    }
    if (!next_is(t, '='))
        return bad(t, "expected '='");
    if (member(table, k.text) != NULL)
        return bad_key(t, &k, "this key was given already");
    if (table->v.count >= TREE_KEYS_MAX)
        return bad_key(t, &k, "too many keys");
    skip_blank(t);
    struct node *n = new_node(t, VALUE_NULL, MADE_INLINE, table);
    if (!read_value(t, table, n))
        return false;
    n->v.key = k.text;
    tree_append(&table->v, &n->v);
    return true;
}

static bool read_inline_table(struct toml *t, struct node *n)
{
    unsigned outer = t->section;
    n->v.type = VALUE_MAP;
    t->section = ++t->sections;
    skip_blank(t);
    bool more = !next_is(t, '}');
    while (more) {
        skip_blank(t);
        if (!read_pair(t, n))
            return false;
        skip_blank(t);
        more = next_is(t, ',');
        if (!more && !next_is(t, '}'))
            return bad(t, "expected ',' or '}'");
    }
    t->section = outer;
    return true;
}

static bool read_list(struct toml *t, struct node *n)
{
    n->v.type = VALUE_LIST;
    while (true) {
        if (!skip_space(t))
            return false;
        if (next_is(t, ']'))
            return true;
        struct node *item = new_node(t, VALUE_NULL, MADE_INLINE, n);
        if (!read_value(t, n, item))
            return false;
        tree_append(&n->v, &item->v);
        if (!skip_space(t))
            return false;
        if (!next_is(t, ',') && (t->at >= t->end || *t->at != ']'))
            return bad(t, "expected ',' or ']'");
    }
}

static bool read_value(struct toml *t, const struct node *parent, struct node *n)
{
    char c = t->at < t->end ? *t->at : '\0';
    if (c == '"' || c == '\'') {
        n->v.type = VALUE_STR;
        return read_string(t, true, &n->v.s);
    }
    if (c != '[' && c != '{')
        return read_word(t, &n->v);
    if (parent->depth >= TREE_DEPTH_MAX)
        return bad(t, "nested too deeply");
    t->at++;
    return c == '[' ? read_list(t, n) : read_inline_table(t, n);
}

/* ---- headers ---- */

/* The table behind a part of a header that is not the last one. */
static struct node *pass_header(struct toml *t, struct node *table, const struct key *k)
{
    struct node *n = member(table, k->text);
    if (n == NULL)
        return add_container(t, table, k, VALUE_MAP, MADE_BY_PASSING);
    if (n->made == MADE_BY_ITEMS)
        return (struct node *)(void *)n->v.last;
    if (n->v.type != VALUE_MAP || n->made == MADE_INLINE)
        return bad_key(t, k, "this key has a value already"), NULL;
    return n;
}

static struct node *open_table(struct toml *t, struct node *table, const struct key *k)
{
    struct node *n = member(table, k->text);
    if (n == NULL)
        return add_container(t, table, k, VALUE_MAP, MADE_BY_HEADER);
    if (n->v.type != VALUE_MAP || n->made != MADE_BY_PASSING)
        return bad_key(t, k, "this table was given already"), NULL;
    n->made = MADE_BY_HEADER;
    return n;
}

static struct node *open_item(struct toml *t, struct node *table, const struct key *k)
{
    struct node *list = member(table, k->text);
    if (list == NULL)
        list = add_container(t, table, k, VALUE_LIST, MADE_BY_ITEMS);
    else if (list->made != MADE_BY_ITEMS)
        return bad_key(t, k, "this key was given elsewhere already"), NULL;
    return list ? add_container(t, list, &(struct key){{"", 0}, k->line, k->col}, VALUE_MAP,
                                MADE_BY_HEADER)
                : NULL;
}

static bool read_header(struct toml *t, struct node *root)
{
    bool is_item = str_starts(rest(t), S("[[")), more = true;
    struct node *table = root;
    struct key k;
    t->at += is_item ? 2 : 1;
    t->section = ++t->sections;
    skip_blank(t);
    if (!read_key(t, &k))
        return false;
    while (more) {
        struct key before = k;
        if (!next_part(t, &k, &more))
            return false;
        table = more      ? pass_header(t, table, &before)
                : is_item ? open_item(t, table, &before)
                          : open_table(t, table, &before);
        if (table == NULL)
            return false;
    }
    t->table = table;
    return next_is(t, ']') && (!is_item || next_is(t, ']')) ? true : bad(t, "expected ']'");
}

static bool read_lines(struct toml *t, struct node *root)
{
    while (true) {
        if (!skip_space(t))
            return false;
        if (t->at == t->end)
            return true;
        if (!(*t->at == '[' ? read_header(t, root) : read_pair(t, t->table)))
            return false;
        skip_blank(t);
        if (!skip_comment(t))
            return false;
        if (t->at < t->end && !skip_newline(t))
            return bad(t, "expected the end of the line");
    }
}

bool tree_parse_toml(arena *a, str text, struct value **out, struct err *e)
{
    if (str_starts(text, S("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    struct toml t = {
        .a = a, .at = text.p, .end = text.p + text.n, .line_start = text.p, .line = 1, .e = e};
    if (!utf8_ok(text))
        return bad(&t, "the text is not UTF-8");
    buf_init(&t.text, text.n + 4);
    struct node nobody = {.depth = 0};
    struct node *root = new_node(&t, VALUE_MAP, MADE_BY_HEADER, &nobody);
    t.table = root;
    bool ok = read_lines(&t, root);
    buf_finish(&t.text);
    *out = &root->v;
    return ok;
}
