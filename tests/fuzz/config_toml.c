/* fuzz/config_toml.c - the TOML reader keeps its limits, and a variable changes nothing but the
 * strings it stands in.
 *
 * The input is the value of ${V}, a NUL, the text. The text is read once with a word that can stand
 * only in strings, comments and keys, once with the value; if the word is in no key, both trees
 * must be equal, but for the value instead of the word.
 */
#include "base/buf.h"
#include "base/utf8.h"
#include "config/tree.h"

#include <stdlib.h>

#define WORD "Zq7"

static bool has_word(const struct value *v)
{
    for (const struct value *m = v->first; m != NULL; m = m->next)
        if ((m->key.n > 0 && memmem(m->key.p, m->key.n, WORD, strlen(WORD)) != NULL) || has_word(m))
            return true;
    return false;
}

static bool equal_texts(str with_word, str value, str s)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    while (with_word.n > 0) {
        bool here = str_starts(with_word, S(WORD));
        buf_add(&b, here ? value : str_of(with_word.p, 1));
        with_word = str_from(with_word, here ? strlen(WORD) : 1);
    }
    bool equal = str_eq(buf_str(&b), s);
    buf_finish(&b);
    return equal;
}

static void compare(const struct value *a, const struct value *b, str value)
{
    if (a->type != b->type || a->count != b->count || !str_eq(a->key, b->key) || a->i != b->i ||
        a->b != b->b || !equal_texts(a->s, value, b->s))
        abort();
    const struct value *y = b->first;
    for (const struct value *x = a->first; x != NULL; x = x->next, y = y->next)
        compare(x, y, value);
}

static unsigned depth_of(const struct value *v)
{
    unsigned most = 0;
    for (const struct value *m = v->first; m != NULL; m = m->next) {
        unsigned d = depth_of(m);
        most = d > most ? d : most;
    }
    return most + (v->type == VALUE_MAP || v->type == VALUE_LIST);
}

static struct value *read_with(arena *a, str text, char *variable)
{
    struct value *v;
    struct err e;
    str expanded;
    char *env[] = {variable, NULL};
    if (!tree_interpolate(a, text, SYNTAX_TOML, env, &expanded, &e) ||
        !tree_parse_toml(a, expanded, &v, &e))
        return NULL;
    if (depth_of(v) > TREE_DEPTH_MAX)
        abort();
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a = {0};
    const uint8_t *nul = memchr(p, 0, n);
    str value = str_of(p, nul ? (size_t)(nul - p) : 0);
    str text = nul ? str_of(nul + 1, n - value.n - 1) : str_of(p, n);
    if (value.n == 0 || !utf8_ok(value))
        value = S("v");
    char *variable = arena_printf(&a, "V=%.*s", FMT(value));
    struct value *plain = read_with(&a, text, "V=" WORD), *real = read_with(&a, text, variable);
    struct err e;
    str expanded;
    char *env[] = {variable, NULL};
    bool fits = tree_interpolate(&a, text, SYNTAX_TOML, env, &expanded, &e);
    bool is_fair = memmem(p, n, WORD, strlen(WORD)) == NULL;
    if (is_fair && plain != NULL && !has_word(plain) && fits) {
        if (real == NULL)
            abort();
        compare(plain, real, value);
    }
    arena_finish(&a);
    return 0;
}
