/* adapter/adapter.c - front of the transports: picks the driver, ends waiting calls. */
#include "adapter/adapter.h"

#include <stdlib.h>

#include "adapter/driver.h"

#define ADAPTER_DRIVER(name, others, symbol, built, package) DRIVER_##built(symbol)
#define DRIVER_1(symbol) extern const struct adapter_driver symbol;
#define DRIVER_0(symbol)
#include "drivers.def"
#undef DRIVER_1
#undef DRIVER_0
#undef ADAPTER_DRIVER

#define DRIVER_1(symbol) &symbol
#define DRIVER_0(symbol) NULL
#define ADAPTER_DRIVER(name, others, symbol, built, package)                                       \
    {name, package, DRIVER_##built(symbol)},
static const struct {
    const char *name, *package;
    const struct adapter_driver *driver;
} drivers[] = {
#include "drivers.def"
};
#undef ADAPTER_DRIVER

static const struct adapter_driver *find_driver(str name, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (!str_eq(name, str_z(drivers[i].name)))
            continue;
        if (drivers[i].driver == NULL)
            err_set(e, ERR_CONFIG, "adapter.driver \"%s\" is not part of this build (needs %s)",
                    drivers[i].name, drivers[i].package);
        return drivers[i].driver;
    }
    err_set(e, ERR_CONFIG, "adapter.driver \"%.*s\" is not supported", FMT(name));
    return NULL;
}

struct adapter *adapter_create(const struct adapter_options *opt, struct err *e)
{
    const struct adapter_driver *driver = find_driver(opt->driver, e);
    return driver ? adapter_create_with(driver, opt, e) : NULL;
}

struct adapter *adapter_create_with(const struct adapter_driver *driver,
                                    const struct adapter_options *opt, struct err *e)
{
    CHECK(driver->size >= sizeof(struct adapter));
    struct adapter *a = mem_zero(driver->size);
    a->drv = driver;
    waiting_init(&a->waiting);
    if (!driver->open(a, opt, e))
        adapter_destroy(&a);
    return a;
}

void adapter_destroy(struct adapter **a)
{
    struct adapter *gone = *a;
    *a = NULL;
    if (gone == NULL)
        return;
    for (struct waiter *w; (w = waiting_any(&gone->waiting)) != NULL;)
        adapter_call_answer((struct adapter_call *)w, false);
    gone->drv->close(gone);
    waiting_finish(&gone->waiting);
    free(gone);
}

enum when adapter_subscribe(struct adapter *a, struct handle asker, str app, str channel,
                            adapter_fn *cb)
{
    struct adapter_call call = {.adapter = a, .asker = asker, .cb = cb};
    return a->drv->subscribe(a, app, channel, &call);
}

void adapter_unsubscribe(struct adapter *a, str app, str channel)
{
    a->drv->unsubscribe(a, app, channel);
}

uint32_t adapter_nodes(const struct adapter *a)
{
    return a->drv->nodes(a);
}

struct adapter_call *adapter_call_keep(const struct adapter_call *call)
{
    return waiting_keep(&call->adapter->waiting, call, sizeof *call);
}

void adapter_call_answer(struct adapter_call *call, bool is_confirmed)
{
    waiting_end(&call->wait);
    call->cb(call->asker, is_confirmed);
    free(call);
}
