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

static void entry_set(struct app_entry *e, struct app **app)
{
    entry_clear(e);
    e->app = *app;
    *app = NULL;
    e->hmac = hmac_create(e->app->secret);
}

struct app_entry *app_table_take(struct app_table *t, struct app **app)
{
    struct app_entry **bucket = &t->buckets[hash_bytes((*app)->id) % COUNT_OF(t->buckets)];
    struct app_entry *e = *bucket;
    while (e && !str_eq(e->app->id, (*app)->id))
        e = e->next;
    if (e && e->app == *app) {
        app_unref(app);
        return e;
    }
    if (!e) {
        e = mem_zero(sizeof *e);
        e->live = app_live_get(t->lives, (*app)->id);
        e->next = *bucket;
        *bucket = e;
    }
    entry_set(e, app);
    return e;
}
