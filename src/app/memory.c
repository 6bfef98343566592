/* app/memory.c - the apps of the configuration, hashed by key and by id.
 *
 * The tables are built in open and never change: look-ups take no lock.
 * Source: spec/drivers.md §4.1, §9.9 (duplicates refuse the start, CFG-54)
 */
#include "app/driver.h"

#include <stdlib.h>

struct table {
    struct app **slots; /* open addressing, at most half full */
    size_t mask;
};
struct memory {
    struct app_manager base;
    struct app **apps; /* in the order of the file; one reference each */
    size_t count;
    struct table by_key, by_id;
};

/* FNV-1a. The names are the operator's own; what clients ask for only walks the probes of a table
 * that is half empty. */
static size_t hash_of(str s)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static str name_of(const struct app *a, bool by_key)
{
    return by_key ? a->key : a->id;
}

static void table_init(struct table *t, size_t count)
{
    size_t size = 8;
    while (size < count * 2)
        size *= 2;
    t->slots = mem_zero(size * sizeof *t->slots);
    t->mask = size - 1;
}

/* The slot that holds the name, or the empty one where it would go. */
static struct app **table_at(const struct table *t, str name, bool by_key)
{
    size_t i = hash_of(name) & t->mask;
    while (t->slots[i] != NULL && !str_eq(name_of(t->slots[i], by_key), name))
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static bool table_add(struct table *t, struct app *a, bool by_key, struct err *e)
{
    str name = name_of(a, by_key);
    struct app **at = table_at(t, name, by_key);
    if (*at != NULL)
        return err_set(e, ERR_CONFIG, "app_manager.array.apps: two apps have the %s \"%.*s\"",
                       by_key ? "key" : "id", FMT(name));
    *at = a;
    return true;
}

static bool memory_open(struct app_manager *manager, const struct app_manager_options *opt,
                        struct err *e)
{
    struct memory *m = (struct memory *)manager;
    table_init(&m->by_key, opt->app_count);
    table_init(&m->by_id, opt->app_count);
    m->apps = mem_zero((opt->app_count + 1) * sizeof *m->apps);
    for (size_t i = 0; i < opt->app_count; i++) {
        struct app *a = m->apps[m->count++] = app_ref(opt->apps[i]);
        if (!table_add(&m->by_id, a, false, e) || !table_add(&m->by_key, a, true, e))
            return false;
    }
    return true;
}

static void memory_close(struct app_manager *manager)
{
    struct memory *m = (struct memory *)manager;
    for (size_t i = 0; i < m->count; i++)
        app_unref(&m->apps[i]);
    free(m->apps);
    free(m->by_key.slots);
    free(m->by_id.slots);
}

static enum when memory_by_key(struct app_manager *manager, str key, struct app_answer *out,
                               struct app_call *call)
{
    (void)call;
    return app_answer_with(out, *table_at(&((struct memory *)manager)->by_key, key, true));
}

static enum when memory_by_id(struct app_manager *manager, str id, struct app_answer *out,
                              struct app_call *call)
{
    (void)call;
    return app_answer_with(out, *table_at(&((struct memory *)manager)->by_id, id, false));
}

static void memory_each(struct app_manager *manager, app_each_fn *fn, void *ctx)
{
    struct memory *m = (struct memory *)manager;
    for (size_t i = 0; i < m->count; i++)
        fn(ctx, m->apps[i]);
}

extern const struct app_driver app_memory;
const struct app_driver app_memory = {
    .name = "memory",
    .size = sizeof(struct memory),
    .open = memory_open,
    .close = memory_close,
    .by_key = memory_by_key,
    .by_id = memory_by_id,
    .each = memory_each,
};
