/* config/interpolate.c - ${NAME} in the text of a configuration file.
 *
 * Works on the raw text, once: what a variable brings in is not looked at again (CFG-20).
 * Source: spec/configuration.md §2.3
 */
#include "base/buf.h"
#include "config/tree.h"

#include <stdlib.h>

enum { EXPANDED_MAX = 64 << 20 };

enum place { IN_TEXT, IN_COMMENT, IN_STRING, IN_LITERAL };

struct expansion {
    struct buf out, missing, unfit;
    enum tree_syntax syntax;
    enum place place;
    bool multi; /* a string of TOML between three quotes */
};

const char *tree_env(char *const *environ_list, const char *name, size_t name_n)
{
    for (; environ_list != NULL && *environ_list != NULL; environ_list++)
        if (strncmp(*environ_list, name, name_n) == 0 && (*environ_list)[name_n] == '=')
            return *environ_list + name_n + 1;
    return NULL;
}

static bool is_name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* A blank in front too: behind a backslash and a line end TOML would drop it. */
static void put_escaped(struct buf *out, str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '"' || c == '\\')
            buf_char(out, '\\');
        if (is_control(c) || (c == ' ' && i == 0))
            buf_printf(out, "\\u%04x", c);
        else
            buf_char(out, c);
    }
}

/* Nothing that a comment holds counts, as long as it does not end. */
static void put_blank(struct buf *out, str value)
{
    for (size_t i = 0; i < value.n; i++)
        buf_char(out, is_control(value.p[i]) ? ' ' : value.p[i]);
}

/* A literal string has no escapes. */
static bool fits_literal(str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\'' || (is_control(value.p[i]) && value.p[i] != '\t'))
            return false;
    return true;
}

static void put_name(struct buf *names, str name)
{
    if (names->n > 0)
        buf_add(names, S(", "));
    buf_add(names, name);
}

/* Length of the placeholder that starts `s`, 0 if it is none. */
static size_t placeholder(str s, str *name, str *fallback, bool *has_fallback)
{
    size_t i = 2;
    if (!str_starts(s, S("${")))
        return 0;
    while (i < s.n && is_name_char(s.p[i], i == 2))
        i++;
    *name = str_of(s.p + 2, i - 2);
    *has_fallback = str_starts(str_from(s, i), S(":-"));
    *fallback = (str){s.p + i, 0};
    if (*has_fallback) {
        size_t start = i += 2;
        while (i < s.n && s.p[i] != '}')
            i++;
        *fallback = str_of(s.p + start, i - start);
    }
    return name->n > 0 && i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

static void put_here(struct expansion *x, str name, str value)
{
    switch (x->place) {
    case IN_STRING:
        put_escaped(&x->out, value);
        return;
    case IN_COMMENT:
        put_blank(&x->out, value);
        return;
    case IN_LITERAL:
        if (!fits_literal(value))
            put_name(&x->unfit, name);
        break;
    case IN_TEXT:
        break;
    }
    buf_add(&x->out, value);
}

/* A default stands in the file and is taken as it stands there. */
static void put_value(struct expansion *x, char *const *environ_list, str name, str fallback,
                      bool has_fallback)
{
    const char *value = tree_env(environ_list, name.p, name.n);
    if (value != NULL && *value != '\0')
        put_here(x, name, str_z(value));
    else if (has_fallback)
        buf_add(&x->out, fallback);
    else
        put_name(&x->missing, name);
}

static void put_text(struct expansion *x, str s, size_t n)
{
    buf_add(&x->out, str_of(s.p, n < s.n ? n : s.n));
}

/* Between the values. Returns the bytes that were taken. */
static size_t step_outside(struct expansion *x, str s)
{
    bool toml = x->syntax == SYNTAX_TOML;
    size_t n = 1;
    if (s.p[0] == '"' || (toml && s.p[0] == '\'')) {
        x->place = s.p[0] == '"' ? IN_STRING : IN_LITERAL;
        x->multi = toml && (str_starts(s, S("\"\"\"")) || str_starts(s, S("'''")));
        n = x->multi ? 3 : 1;
    } else if (toml && s.p[0] == '#') {
        x->place = IN_COMMENT;
    }
    put_text(x, s, n);
    return n;
}

/* In a string or a comment; a line that ends there ends it, unless it has three quotes. */
static size_t step_inside(struct expansion *x, str s)
{
    char quote = x->place == IN_STRING ? '"' : '\'';
    size_t n = 1, run = 0;
    while (run < 5 && run < s.n && s.p[run] == quote)
        run++;
    bool ends_line = x->syntax == SYNTAX_TOML && s.p[0] == '\n' && !x->multi;
    if (x->place == IN_STRING && s.p[0] == '\\')
        n = 2;
    else if (x->place != IN_COMMENT && x->multi && run > 0)
        n = run;
    if (ends_line || (x->place != IN_COMMENT && (x->multi ? run >= 3 : run > 0)))
        x->place = IN_TEXT;
    if (x->place == IN_TEXT)
        x->multi = false;
    put_text(x, s, n);
    return n;
}

static void expand(struct expansion *x, str text, char *const *environ_list)
{
    for (size_t i = 0; i < text.n;) {
        str name, fallback, s = str_from(text, i);
        bool has_fallback;
        size_t n = placeholder(s, &name, &fallback, &has_fallback);
        if (n > 0)
            put_value(x, environ_list, name, fallback, has_fallback);
        else
            n = x->place == IN_TEXT ? step_outside(x, s) : step_inside(x, s);
        i += n;
    }
}

bool tree_interpolate(arena *a, str text, enum tree_syntax syntax, char *const *environ_list,
                      str *out, struct err *e)
{
    struct expansion x = {.syntax = syntax};
    buf_init(&x.out, EXPANDED_MAX);
    buf_init(&x.missing, 200);
    buf_init(&x.unfit, 200);
    expand(&x, text, environ_list);
    bool ok = true;
    if (x.missing.n > 0)
        ok = err_set(e, ERR_CONFIG, "variables without a value: %.*s", FMT(buf_str(&x.missing)));
    else if (x.unfit.n > 0)
        ok = err_set(e, ERR_CONFIG, "variables that cannot stand in a literal string: %.*s",
                     FMT(buf_str(&x.unfit)));
    else if (x.out.full)
        ok = err_set(e, ERR_CONFIG, "text is over %d bytes with its variables", EXPANDED_MAX);
    else
        *out = arena_str(a, buf_str(&x.out));
    if (x.out.n > 0)
        explicit_bzero(x.out.p, x.out.n);
    buf_finish(&x.out);
    buf_finish(&x.missing);
    buf_finish(&x.unfit);
    return ok;
}
