/* config/interpolate.c - ${NAME} in the text of a configuration file.
 *
 * Works on the raw text, once: what a variable brings in is not looked at again (CFG-20).
 * Source: spec/configuration.md §2.3
 */
#include "base/buf.h"
#include "config/tree.h"

#include <stdlib.h>

enum { EXPANDED_MAX = 64 << 20 };

struct expansion {
    struct buf out, missing;
    bool in_string;
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

static void put_escaped(struct buf *out, const char *value)
{
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_char(out, '\\');
        if ((unsigned char)*p < 0x20)
            buf_printf(out, "\\u%04x", *p);
        else
            buf_char(out, *p);
    }
}

static void put_missing(struct buf *missing, str name)
{
    if (missing->n > 0)
        buf_add(missing, S(", "));
    buf_add(missing, name);
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

static void put_value(struct expansion *x, char *const *environ_list, str name, str fallback,
                      bool has_fallback)
{
    const char *value = tree_env(environ_list, name.p, name.n);
    if (value != NULL && *value == '\0')
        value = NULL;
    if (value == NULL && !has_fallback)
        put_missing(&x->missing, name);
    else if (value == NULL)
        buf_add(&x->out, fallback);
    else if (x->in_string)
        put_escaped(&x->out, value);
    else
        buf_add(&x->out, str_z(value));
}

static void expand(struct expansion *x, str text, char *const *environ_list)
{
    for (size_t i = 0; i < text.n;) {
        str name, fallback;
        bool has_fallback;
        size_t n = placeholder(str_from(text, i), &name, &fallback, &has_fallback);
        if (n > 0) {
            put_value(x, environ_list, name, fallback, has_fallback);
            i += n;
            continue;
        }
        if (x->in_string && text.p[i] == '\\' && i + 1 < text.n)
            buf_char(&x->out, text.p[i++]);
        else if (text.p[i] == '"')
            x->in_string = !x->in_string;
        buf_char(&x->out, text.p[i++]);
    }
}

bool tree_interpolate(arena *a, str text, char *const *environ_list, str *out, struct err *e)
{
    struct expansion x = {.in_string = false};
    buf_init(&x.out, EXPANDED_MAX);
    buf_init(&x.missing, 200);
    expand(&x, text, environ_list);
    bool ok = true;
    if (x.missing.n > 0)
        ok = err_set(e, ERR_CONFIG, "variables without a value: %.*s", FMT(buf_str(&x.missing)));
    else if (x.out.full)
        ok = err_set(e, ERR_CONFIG, "text is over %d bytes with its variables", EXPANDED_MAX);
    else
        *out = arena_str(a, buf_str(&x.out));
    buf_finish(&x.out);
    buf_finish(&x.missing);
    return ok;
}
