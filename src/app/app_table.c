#include "app/app_table.h"

#include <stdlib.h>

#include "base/hash.h"

void app_table_init(struct app_table *t, struct app_lives *lives)
{
    memset(t, 0, sizeof *t);
    t->lives = lives;
}

static void entry_clear(struct app_entry *e)
{
    hmac_destroy(&e->hmac);
    app_unref(&e->app);
}

void app_table_finish(struct app_table *t)
{
    for (size_t i = 0; i < COUNT_OF(t->buckets); i++)
        for (struct app_entry *e = t->buckets[i], *next; e; e = next) {
            next = e->next;
            entry_clear(e);
            free(e);
        }
    memset(t, 0, sizeof *t);
}

static struct app_entry *entry_find(const struct app_table *t, str id)
{
    struct app_entry *e = t->buckets[hash_bytes(id) % COUNT_OF(t->buckets)];
    while (e && !str_eq(e->app->id, id))
        e = e->next;
    return e;
}

static void entry_set(struct app_entry *e, struct app **app)
{
    entry_clear(e);
    e->app = *app;
    *app = NULL;
    e->hmac = hmac_create(e->app->secret);
}

struct app_entry *app_table_take(struct app_table *t, struct app **app)
{
    struct app_entry *e = entry_find(t, (*app)->id);
    if (e && e->app == *app) {
        app_unref(app);
        return e;
    }
    if (!e) {
        struct app_entry **bucket = &t->buckets[hash_bytes((*app)->id) % COUNT_OF(t->buckets)];
        e = mem_zero(sizeof *e);
        e->metrics = metrics_app((*app)->id);
        e->live = app_live_get(t->lives, (*app)->id);
        e->next = *bucket;
        *bucket = e;
    }
    entry_set(e, app);
    return e;
}

/* ---- all records at once ---- */

struct app_list *app_list_create(struct app *const *apps, size_t count)
{
    struct app_list *l = mem_zero(sizeof *l + count * sizeof(struct app *));
    atomic_init(&l->refs, 1);
    l->count = count;
    for (size_t i = 0; i < count; i++)
        l->apps[i] = app_ref(apps[i]);
    return l;
}

struct app_list *app_list_ref(struct app_list *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void app_list_unref(struct app_list **pl)
{
    struct app_list *l = *pl;
    *pl = NULL;
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < l->count; i++)
        app_unref(&l->apps[i]);
    free(l);
}

static struct app *disabled_copy(const struct app *a)
{
    struct app *copy = app_create();
    copy->id = arena_str(&copy->memory, a->id);
    copy->key = arena_str(&copy->memory, a->key);
    copy->secret = arena_str(&copy->memory, a->secret);
    copy->enabled = false;
    return copy;
}

bool app_table_update(struct app_table *t, const struct app_list *l)
{
    bool lost = false;
    for (size_t i = 0; i < COUNT_OF(t->buckets); i++)
        for (struct app_entry *e = t->buckets[i]; e; e = e->next)
            e->is_listed = false;
    for (size_t i = 0; i < l->count; i++) {
        struct app_entry *e = entry_find(t, l->apps[i]->id);
        if (!e)
            continue;
        struct app *fresh = app_ref(l->apps[i]);
        e->is_listed = true;
        lost |= !fresh->enabled && e->connections > 0;
        entry_set(e, &fresh);
    }
    for (size_t i = 0; i < COUNT_OF(t->buckets); i++)
        for (struct app_entry *e = t->buckets[i]; e; e = e->next) {
            if (e->is_listed)
                continue;
            lost |= e->connections > 0;
            if (!e->app->enabled)
                continue;
            struct app *gone = disabled_copy(e->app);
            entry_set(e, &gone);
        }
    return lost;
}
