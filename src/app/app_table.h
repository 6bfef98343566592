/* app/app_table.h - a worker's apps: the record in use and the signing context of its secret.
 *
 * Nature   one worker's thread. Connections hold entries; a newer record of the app is swapped in
 *          between turns or when a look-up brings it
 */
#ifndef APP_APP_TABLE_H
#define APP_APP_TABLE_H

#include "app/app.h"
#include "app/app_live.h"
#include "base/crypto.h"
#include "metrics/metrics.h"

struct app_entry {
    struct app_entry *next;
    struct app *app;
    struct hmac *hmac; /* of app->secret */
    struct app_live *live;
    struct metrics_app *metrics; /* of this thread */
    uint32_t connections;        /* of this worker */
    bool is_listed;              /* app_table_update's own mark */
};
struct app_table {
    struct app_lives *lives;
    struct app_entry *buckets[APP_LIVE_BUCKETS];
};

/* All records of a store at one time, counted. */
struct app_list {
    _Atomic uint32_t refs;
    size_t count;
    struct app *apps[]; /* a reference each */
};
struct app_list *app_list_create(struct app *const *apps, size_t count);
struct app_list *app_list_ref(struct app_list *l);
void app_list_unref(struct app_list **l);

void app_table_init(struct app_table *t, struct app_lives *lives);
void app_table_finish(struct app_table *t);
/* The entry of a record that a look-up gave; takes the reference. A record that differs from the
 * one in use replaces it. The entry lives until app_table_finish. */
struct app_entry *app_table_take(struct app_table *t, struct app **app);
/* Takes the records of the list for the entries in use; an app that is not in it any more becomes
 * a disabled one. True if an entry that has connections is disabled: a look-up may have brought its
 * record before the list came. */
bool app_table_update(struct app_table *t, const struct app_list *l);

#endif
