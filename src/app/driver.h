/* app/driver.h - for those who implement an app store; private to this folder and to tests.
 *
 * Every slot is mandatory. app_manager.c has checked the length of the name; a driver only finds.
 * A driver that cannot answer at once copies the name, keeps the call with app_call_keep, returns
 * LATER and answers once, on the thread that asked, with app_call_answer.
 */
#ifndef APP_DRIVER_H
#define APP_DRIVER_H

#include "app/app_manager.h"
#include "base/waiting.h"

struct app_call { /* one question that waits */
    struct waiter wait;
    struct app_manager *manager;
    struct handle asker;
    app_fn *cb;
};

struct app_driver {
    const char *name; /* as in the config file */
    size_t size;      /* of the driver's own struct, cleared before open */
    bool (*open)(struct app_manager *m, const struct app_manager_options *opt, struct err *e);
    void (*close)(struct app_manager *m); /* also after a failed open */
    enum when (*by_key)(struct app_manager *m, str key, struct app_answer *out,
                        struct app_call *call);
    enum when (*by_id)(struct app_manager *m, str id, struct app_answer *out,
                       struct app_call *call);
    bool (*is_empty)(struct app_manager *m); /* false also if the driver cannot know */
    void (*each)(struct app_manager *m, app_each_fn *fn, void *ctx);
    /* The apps of the file have changed, or the driver's own copies are to be forgotten. On false
     * everything stays as it was. */
    bool (*reload)(struct app_manager *m, const struct app_manager_options *opt, struct err *e);
};

struct app_manager { /* first member of every driver's own struct */
    const struct app_driver *drv;
    struct waiting_list waiting;
};

/* The call a driver is given lies on the stack of the front; this one it may hold. */
struct app_call *app_call_keep(const struct app_call *call);
/* Ends a kept call; the reference in a->app goes to the asker. */
void app_call_answer(struct app_call *call, struct app_answer *a);

/* Adds the reference and fills *out; NULL means not found. */
enum when app_answer_with(struct app_answer *out, struct app *found);

#endif
