/* config/restart.c - what a reload cannot put into use. */
#include "base/buf.h"
#include "base/hash.h"
#include "config/load.h"

#include <stdio.h>

static void add_text(struct buf *b, str s)
{
    buf_add(b, str_of(&s.n, sizeof s.n)); /* "ab", "c" is not "a", "bc" */
    buf_add(b, s);
}

static void add_tree(struct buf *b, const struct value *v)
{
    buf_printf(b, "%d %zu %d %lld %a ", (int)v->type, v->count, v->b, (long long)v->i, v->f);
    add_text(b, v->key);
    add_text(b, v->s);
    for (const struct value *m = v->first; m != NULL; m = m->next)
        add_tree(b, m);
}

static void add_value(struct buf *b, const struct option_value *v)
{
    buf_printf(b, "%d %d %lld %a %zu ", v->is_null, v->b, (long long)v->i, v->f, v->list_count);
    add_text(b, v->s);
    for (size_t i = 0; i < v->list_count; i++)
        add_text(b, v->list[i]);
    if (v->tree != NULL)
        add_tree(b, v->tree);
}

/* What a file does not write may be chosen: it differs when the choice does. */
static uint64_t fingerprint(const struct config *c, enum option id)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    if (id == OPT_queue_driver)
        add_text(&b, c->queue_driver);
    else
        add_value(&b, &c->values[id]);
    uint64_t print = hash_bytes(buf_str(&b));
    buf_finish(&b);
    return print;
}

static bool may_change(enum option id)
{
    const struct option_row *row = &config_options[id];
    return row->reload == RELOAD_LIVE || row->class == CLASS_ACCEPT || row->class == CLASS_NOTE;
}

void config_remember(const struct config *c, struct config_start *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        out->prints[i] = may_change((enum option)i) ? 0 : fingerprint(c, (enum option)i);
}

bool config_needs_restart(const struct config_start *start, const struct config *fresh,
                          struct config_report *r)
{
    bool needed = false;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (may_change((enum option)i) || start->prints[i] == fingerprint(fresh, (enum option)i))
            continue;
        char text[160];
        snprintf(text, sizeof text, "\"%.*s\" changed, but needs a restart",
                 FMT(config_options[i].path));
        config_report_add(r, SAY_WARN, text);
        needed = true;
    }
    return needed;
}
