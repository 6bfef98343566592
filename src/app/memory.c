/* app/memory.c - the apps of the configuration, hashed by key and by id.
 *
 * A reload builds new tables beside the old ones and swaps them under the lock.
 * Source: spec/drivers.md §4.1, §9.9 (duplicates refuse the start, CFG-54)
 */
#include "app/driver.h"

#include <stdlib.h>

#include "base/hash.h"

struct table {
    struct app **slots; /* open addressing, at most half full */
    size_t mask;
};
struct set {
    struct app **apps; /* in the order of the file; one reference each */
    size_t count;
    struct table by_key, by_id;
};
struct memory {
    struct app_manager base;
    pthread_rwlock_t lock;
    struct set set;
};

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
    size_t i = hash_bytes(name) & t->mask;
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

static void set_free(struct set *s)
{
    for (size_t i = 0; i < s->count; i++)
        app_unref(&s->apps[i]);
    free(s->apps);
    free(s->by_key.slots);
    free(s->by_id.slots);
    *s = (struct set){0};
}

static bool set_fill(struct set *s, const struct app_manager_options *opt, struct err *e)
{
    table_init(&s->by_key, opt->app_count);
    table_init(&s->by_id, opt->app_count);
    s->apps = mem_zero((opt->app_count + 1) * sizeof *s->apps);
    for (size_t i = 0; i < opt->app_count; i++) {
        struct app *a = s->apps[s->count++] = app_ref(opt->apps[i]);
        if (!table_add(&s->by_id, a, false, e) || !table_add(&s->by_key, a, true, e)) {
            set_free(s);
            return false;
        }
    }
    return true;
}

static bool memory_open(struct app_manager *manager, const struct app_manager_options *opt,
                        struct err *e)
{
    struct memory *m = (struct memory *)manager;
    pthread_rwlock_init(&m->lock, NULL);
    return set_fill(&m->set, opt, e);
}

static void memory_close(struct app_manager *manager)
{
    struct memory *m = (struct memory *)manager;
    set_free(&m->set);
    pthread_rwlock_destroy(&m->lock);
}

static bool memory_reload(struct app_manager *manager, const struct app_manager_options *opt,
                          struct err *e)
{
    struct memory *m = (struct memory *)manager;
    struct set fresh = {0};
    if (!set_fill(&fresh, opt, e))
        return false;
    pthread_rwlock_wrlock(&m->lock);
    struct set old = m->set;
    m->set = fresh;
    pthread_rwlock_unlock(&m->lock);
    set_free(&old);
    return true;
}

static enum when find(struct memory *m, str name, bool by_key, struct app_answer *out)
{
    pthread_rwlock_rdlock(&m->lock);
    const struct table *t = by_key ? &m->set.by_key : &m->set.by_id;
    enum when when = app_answer_with(out, *table_at(t, name, by_key));
    pthread_rwlock_unlock(&m->lock);
    return when;
}

static enum when memory_by_key(struct app_manager *manager, str key, struct app_answer *out,
                               struct app_call *call)
{
    (void)call;
    return find((struct memory *)manager, key, true, out);
}

static enum when memory_by_id(struct app_manager *manager, str id, struct app_answer *out,
                              struct app_call *call)
{
    (void)call;
    return find((struct memory *)manager, id, false, out);
}

static bool memory_is_empty(struct app_manager *manager)
{
    struct memory *m = (struct memory *)manager;
    pthread_rwlock_rdlock(&m->lock);
    bool is_empty = m->set.count == 0;
    pthread_rwlock_unlock(&m->lock);
    return is_empty;
}

static void memory_each(struct app_manager *manager, app_each_fn *fn, void *ctx)
{
    struct memory *m = (struct memory *)manager;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = 0; i < m->set.count; i++)
        fn(ctx, m->set.apps[i]);
    pthread_rwlock_unlock(&m->lock);
}

extern const struct app_driver app_memory;
const struct app_driver app_memory = {
    .name = "memory",
    .size = sizeof(struct memory),
    .open = memory_open,
    .close = memory_close,
    .by_key = memory_by_key,
    .by_id = memory_by_id,
    .is_empty = memory_is_empty,
    .each = memory_each,
    .reload = memory_reload,
};
