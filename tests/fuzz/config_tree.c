/* fuzz/config_tree.c - the JSON reader accepts exactly what jansson accepts, and interpolation
 * without placeholders changes nothing.
 *
 * Differences that are meant: a byte order mark, the depth we allow (jansson: 2048), and a NUL
 * behind the value, which jansson takes for the end.
 */
#include "config/tree.h"

#include <jansson.h>
#include <stdlib.h>

static size_t deepest(const uint8_t *p, size_t n)
{
    size_t depth = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        depth += p[i] == '[' || p[i] == '{';
        most = depth > most ? depth : most;
    }
    return most;
}

static size_t count_values(const struct value *v)
{
    size_t n = 1;
    for (const struct value *m = v->first; m != NULL; m = m->next)
        n += count_values(m);
    return n;
}

static size_t count_theirs(json_t *j)
{
    size_t n = 1, i;
    const char *key;
    json_t *m;
    if (json_is_object(j))
        json_object_foreach(j, key, m) n += count_theirs(m);
    else if (json_is_array(j))
        json_array_foreach(j, i, m) n += count_theirs(m);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a = {0};
    struct value *v;
    struct err e;
    str text = str_of(p, n), expanded;
    char *none[] = {NULL};
    bool ours = tree_parse_json(&a, text, NULL, NULL, &v, &e);
    if (n > 0 && p[0] != 0xEF && memchr(p, 0, n) == NULL && deepest(p, n) <= TREE_DEPTH_MAX) {
        json_t *theirs = json_loadb((const char *)p, n, JSON_DECODE_ANY, NULL);
        if (ours != (theirs != NULL) || (ours && count_values(v) != count_theirs(theirs)))
            abort();
        json_decref(theirs);
    }
    if (tree_interpolate(&a, text, SYNTAX_JSON, none, &expanded, &e) &&
        memmem(p, n, "${", 2) == NULL && !str_eq(text, expanded))
        abort();
    arena_finish(&a);
    return 0;
}
