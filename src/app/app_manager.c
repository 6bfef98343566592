/* app/app_manager.c - front of the app stores: picks the driver, checks names, ends waiting calls.
 */
#include "app/app_manager.h"

#include "app/driver.h"

#include <stdlib.h>

#define APP_DRIVER(name, others, symbol, built, package) DRIVER_##built(symbol)
#define DRIVER_1(symbol) extern const struct app_driver symbol;
#define DRIVER_0(symbol)
#include "drivers.def"
#undef DRIVER_1
#undef DRIVER_0
#undef APP_DRIVER

#define DRIVER_1(symbol) &symbol
#define DRIVER_0(symbol) NULL
#define APP_DRIVER(name, others, symbol, built, package) {name, package, DRIVER_##built(symbol)},
static const struct {
    const char *name, *package;
    const struct app_driver *driver;
} drivers[] = {
#include "drivers.def"
};
#undef APP_DRIVER

static const struct app_driver *find_driver(str name, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (!str_eq(name, str_z(drivers[i].name)))
            continue;
        if (drivers[i].driver == NULL)
            err_set(e, ERR_CONFIG, "app_manager.driver \"%s\" is not part of this build (needs %s)",
                    drivers[i].name, drivers[i].package);
        return drivers[i].driver;
    }
    err_set(e, ERR_CONFIG, "app_manager.driver \"%.*s\" is not supported", FMT(name));
    return NULL;
}

struct app_manager *app_manager_create(const struct app_manager_options *opt, struct err *e)
{
    const struct app_driver *driver = find_driver(opt->driver, e);
    return driver ? app_manager_create_with(driver, opt, e) : NULL;
}

struct app_manager *app_manager_create_with(const struct app_driver *driver,
                                            const struct app_manager_options *opt, struct err *e)
{
    CHECK(driver->size >= sizeof(struct app_manager));
    struct app_manager *m = mem_zero(driver->size);
    m->drv = driver;
    waiting_init(&m->waiting);
    if (!driver->open(m, opt, e))
        app_manager_destroy(&m);
    return m;
}

void app_manager_destroy(struct app_manager **m)
{
    struct app_manager *gone = *m;
    *m = NULL;
    if (gone == NULL)
        return;
    for (struct waiter *w; (w = waiting_any(&gone->waiting)) != NULL;) {
        struct app_answer a = {.found = false};
        err_set(&a.err, ERR_UNAVAILABLE, "app store is closing");
        app_call_answer((struct app_call *)w, &a);
    }
    gone->drv->close(gone);
    waiting_finish(&gone->waiting);
    free(gone);
}

static bool name_fits(str name)
{
    return name.n > 0 && name.n <= APP_NAME_MAX;
}

enum when app_by_key(struct app_manager *m, struct handle asker, str key, struct app_answer *out,
                     app_fn *cb)
{
    struct app_call call = {.manager = m, .asker = asker, .cb = cb};
    *out = (struct app_answer){.found = false};
    return name_fits(key) ? m->drv->by_key(m, key, out, &call) : DONE;
}

enum when app_by_id(struct app_manager *m, struct handle asker, str id, struct app_answer *out,
                    app_fn *cb)
{
    struct app_call call = {.manager = m, .asker = asker, .cb = cb};
    *out = (struct app_answer){.found = false};
    return name_fits(id) ? m->drv->by_id(m, id, out, &call) : DONE;
}

bool app_manager_is_empty(struct app_manager *m)
{
    return m->drv->is_empty(m);
}

void app_manager_each(struct app_manager *m, app_each_fn *fn, void *ctx)
{
    m->drv->each(m, fn, ctx);
}

struct app_call *app_call_keep(const struct app_call *call)
{
    return waiting_keep(&call->manager->waiting, call, sizeof *call);
}

void app_call_answer(struct app_call *call, struct app_answer *a)
{
    waiting_end(&call->wait);
    call->cb(call->asker, a);
    free(call);
}

enum when app_answer_with(struct app_answer *out, struct app *found)
{
    out->found = found != NULL;
    out->app = found ? app_ref(found) : NULL;
    return DONE;
}

bool app_manager_reload(struct app_manager *m, const struct app_manager_options *opt, struct err *e)
{
    return m->drv->reload(m, opt, e);
}
