/* config/restart.c - what a reload cannot put into use. */
#include "config/load.h"

#include <stdio.h>

static bool equal_lists(const struct option_value *a, const struct option_value *b)
{
    if (a->list_count != b->list_count)
        return false;
    for (size_t i = 0; i < a->list_count; i++)
        if (!str_eq(a->list[i], b->list[i]))
            return false;
    return true;
}

static bool equal_trees(const struct value *a, const struct value *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->type != b->type || a->count != b->count || !str_eq(a->key, b->key) || a->b != b->b ||
        a->i != b->i || a->f != b->f || !str_eq(a->s, b->s))
        return false;
    const struct value *y = b->first;
    for (const struct value *x = a->first; x != NULL; x = x->next, y = y->next)
        if (!equal_trees(x, y))
            return false;
    return true;
}

static bool equal(const struct option_value *a, const struct option_value *b)
{
    return a->is_null == b->is_null && a->b == b->b && a->i == b->i && a->f == b->f &&
           str_eq(a->s, b->s) && equal_lists(a, b) && equal_trees(a->tree, b->tree);
}

/* What a file does not write may be chosen: it differs when the choice does. */
static bool same(const struct config *a, const struct config *b, enum option id)
{
    if (id == OPT_queue_driver)
        return str_eq(a->queue_driver, b->queue_driver);
    return equal(&a->values[id], &b->values[id]);
}

bool config_needs_restart(const struct config *old, const struct config *fresh,
                          struct config_report *r)
{
    bool needed = false;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &config_options[i];
        if (row->reload == RELOAD_LIVE || row->class == CLASS_ACCEPT || row->class == CLASS_NOTE ||
            same(old, fresh, (enum option)i))
            continue;
        char text[160];
        snprintf(text, sizeof text, "\"%.*s\" changed, but needs a restart", FMT(row->path));
        config_report_add(r, SAY_WARN, text);
        needed = true;
    }
    return needed;
}
