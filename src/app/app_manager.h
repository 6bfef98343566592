/* app/app_manager.h - finds the record of an app by its key or its id.
 *
 * Nature   DONE: the answer is in *out and no callback comes; LATER: it comes exactly once, on
 *          the loop that asked; `asker` finds its connection or nobody. Any thread may ask
 * Limits   key and id 1..APP_NAME_MAX bytes; others are not found
 * Source   spec/drivers.md §4.1, §9.9; spec/configuration.md §5.1
 */
#ifndef APP_APP_MANAGER_H
#define APP_APP_MANAGER_H

#include "app/app.h"

enum { APP_NAME_MAX = 512 };

struct app_manager; /* opaque; owned by struct server */
struct app_driver;

struct app_manager_options {
    str driver;              /* as in the config file */
    struct app *const *apps; /* of the file; the manager takes references of its own */
    size_t app_count;
};

/* The reference in `app` belongs to who gets the answer (out, or the callback): app_unref. */
struct app_answer {
    bool found;
    struct app *app; /* NULL unless found; may be a disabled one */
    struct err err;  /* ERR_NONE: fine. ERR_UNAVAILABLE: the store is away, found tells nothing */
};
typedef void app_fn(struct handle asker, struct app_answer *a);
typedef void app_each_fn(void *ctx, struct app *app);

/* Opens the driver that opt->driver names.
 * Errors   ERR_CONFIG unknown or unbuilt driver, duplicate id or key. */
NODISCARD struct app_manager *app_manager_create(const struct app_manager_options *opt,
                                                 struct err *e);
/* The same with a driver that the table does not have (tests). */
NODISCARD struct app_manager *app_manager_create_with(const struct app_driver *driver,
                                                      const struct app_manager_options *opt,
                                                      struct err *e);
/* Takes *m and sets it NULL; NULL is fine. Waiting callbacks get ERR_UNAVAILABLE first. */
void app_manager_destroy(struct app_manager **m);

/* key and id are copied before the call returns if the answer comes LATER. */
enum when app_by_key(struct app_manager *m, struct handle asker, str key, struct app_answer *out,
                     app_fn *cb);
enum when app_by_id(struct app_manager *m, struct handle asker, str id, struct app_answer *out,
                    app_fn *cb);
/* Takes the apps of a newer file. Errors as for the create; then nothing has changed. */
NODISCARD bool app_manager_reload(struct app_manager *m, const struct app_manager_options *opt,
                                  struct err *e);
/* There is no app, and the driver would know. */
bool app_manager_is_empty(struct app_manager *m);
/* Calls fn for every app the driver knows without asking a backend; fn borrows the record. */
void app_manager_each(struct app_manager *m, app_each_fn *fn, void *ctx);

#endif
