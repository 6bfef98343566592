/* config/scope.c - keys the table of options does not have, and options without effect.
 *
 * Source: spec/configuration.md §2.1, §9, §10 (CFG-15, CFG-16, CFG-77, CFG-78, CFG-80)
 */
#include "config/load.h"

enum tell { TELL_NOBODY, TELL_INFO, TELL_WARN };
enum speaks { QUIET, ENABLED, ANY_ENABLED, PRESENT };

#define ALIAS(from, to, tell) {STR(from), STR(to), tell},
static const struct {
    str from, to;
    enum tell tell;
} aliases[] = {
#include "config/scope.def"
};
#undef ALIAS

#define SUBTREE(path, speaks, area) {STR(path), speaks, area},
static const struct subtree {
    str path;
    enum speaks speaks;
    const char *area;
} subtrees[] = {
#include "config/scope.def"
};
#undef SUBTREE

const struct value *config_alias_value(struct loading *l, str path)
{
    for (size_t i = 0; i < COUNT_OF(aliases); i++) {
        const struct value *v =
            str_eq(aliases[i].to, path) ? tree_at(l->root, aliases[i].from) : NULL;
        if (v == NULL)
            continue;
        if (aliases[i].tell != TELL_NOBODY)
            config_say(l, aliases[i].tell == TELL_WARN ? SAY_WARN : SAY_INFO,
                       "\"%.*s\" is read as \"%.*s\"", FMT(aliases[i].from), FMT(path));
        return v;
    }
    return NULL;
}

enum { NAME_MAX_COMPARED = 64 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t distance(str a, str b)
{
    size_t row[NAME_MAX_COMPARED + 1];
    if (a.n > NAME_MAX_COMPARED || b.n > NAME_MAX_COMPARED)
        return NAME_MAX_COMPARED;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, corner + (a.p[i - 1] != b.p[j - 1]));
            corner = above;
        }
    }
    return row[b.n];
}

const char *config_nearest(str name, const char *const *known)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (; *known != NULL; known++) {
        size_t d = distance(name, str_z(*known));
        if (d < best_distance && d < name.n) {
            best = *known;
            best_distance = d;
        }
    }
    return best;
}

static bool path_at(size_t i, str *out)
{
    if (i < OPTION_COUNT)
        *out = config_options[i].path;
    else if (i < OPTION_COUNT + COUNT_OF(subtrees))
        *out = subtrees[i - OPTION_COUNT].path;
    else if (i < OPTION_COUNT + COUNT_OF(subtrees) + COUNT_OF(aliases))
        *out = aliases[i - OPTION_COUNT - COUNT_OF(subtrees)].from;
    else
        return false;
    return true;
}

/* The name that `known` has directly below `parent` ("" or "a.b."), empty if none. */
static str child_name(str known, str parent)
{
    if (!str_starts(known, parent))
        return (str){known.p, 0};
    str rest = str_from(known, parent.n);
    const char *dot = memchr(rest.p, '.', rest.n);
    return dot ? str_of(rest.p, (size_t)(dot - rest.p)) : rest;
}

static void say_unknown(struct loading *l, str parent, const struct value *v)
{
    str known, best = {"", 0};
    size_t best_distance = 3;
    for (size_t i = 0; path_at(i, &known); i++) {
        str name = child_name(known, parent);
        size_t d = name.n > 0 ? distance(v->key, name) : best_distance;
        if (d < best_distance && d < v->key.n) {
            best = name;
            best_distance = d;
        }
    }
    if (best.n > 0)
        config_say_strict(l, "%.*s:%u: unknown key \"%.*s%.*s\", did you mean \"%.*s%.*s\"?",
                          FMT(l->c->file), v->line, FMT(parent), FMT(v->key), FMT(parent),
                          FMT(best));
    else
        config_say_strict(l, "%.*s:%u: unknown key \"%.*s%.*s\"", FMT(l->c->file), v->line,
                          FMT(parent), FMT(v->key));
}

/* Is it a row's own path, the start of one, or neither? */
static enum { IS_NOTHING, IS_BLOCK, IS_KEY } known_as(str path)
{
    str known;
    bool is_block = false;
    for (size_t i = 0; path_at(i, &known); i++) {
        if (str_eq(known, path))
            return IS_KEY;
        is_block |= str_starts(known, path) && known.n > path.n && known.p[path.n] == '.';
    }
    return is_block ? IS_BLOCK : IS_NOTHING;
}

static bool walk(struct loading *l, str parent, const struct value *map)
{
    for (const struct value *v = map->first; v != NULL; v = v->next) {
        str path = str_z(arena_printf(&l->c->memory, "%.*s%.*s", FMT(parent), FMT(v->key)));
        int known = known_as(path);
        if (known == IS_NOTHING)
            say_unknown(l, parent, v);
        if (known != IS_BLOCK || v->type == VALUE_NULL)
            continue;
        if (v->type != VALUE_MAP)
            return config_fail_at(l, v, "\"%.*s\": expected an object, found %s", FMT(path),
                                  tree_type_name(v));
        if (!walk(l, str_z(arena_printf(&l->c->memory, "%.*s.", FMT(path))), v))
            return false;
    }
    return true;
}

static void say_area(struct loading *l, str path, str member, const char *area)
{
    config_say_strict(l,
                      "\"%.*s.%.*s\" is set, but %s is not provided by this server; the key is "
                      "ignored",
                      FMT(path), FMT(member), area);
}

static bool is_true(const struct value *v)
{
    return v != NULL && v->type == VALUE_BOOL && v->b;
}

/* The first member of the tree, at any depth, that ends in "enabled" and is true. */
static const struct value *any_enabled(const struct value *v)
{
    const struct value *found = NULL;
    for (const struct value *m = v->first; m != NULL && found == NULL; m = m->next)
        found = is_true(m) && str_ends(m->key, S("enabled")) ? m : any_enabled(m);
    return found;
}

static void look_at_area(struct loading *l, const struct subtree *t)
{
    const struct value *v = tree_at(l->root, t->path), *found = NULL;
    if (v == NULL || t->speaks == QUIET)
        return;
    if (t->speaks == PRESENT)
        config_say_strict(l, "\"%.*s\" has no effect in this server; the block is ignored",
                          FMT(t->path));
    else if (t->speaks == ENABLED && is_true(tree_get(v, S("enabled"))))
        say_area(l, t->path, S("enabled"), t->area);
    else if (t->speaks == ANY_ENABLED && (found = any_enabled(v)) != NULL)
        say_area(l, t->path, found->key, t->area);
}

bool config_scope(struct loading *l)
{
    if (l->root == NULL)
        return true;
    for (size_t i = 0; i < COUNT_OF(subtrees); i++)
        look_at_area(l, &subtrees[i]);
    return walk(l, S(""), l->root);
}
