/* adapter/driver.h - for those who implement a transport; private to this folder and to tests.
 *
 * Every slot is mandatory. A driver that cannot answer at once keeps the call with
 * adapter_call_keep, returns LATER and answers once, on the thread that asked, with
 * adapter_call_answer.
 */
#ifndef ADAPTER_DRIVER_H
#define ADAPTER_DRIVER_H

#include "adapter/adapter.h"
#include "base/waiting.h"

struct adapter_call { /* one subscriber that waits */
    struct waiter wait;
    struct adapter *adapter;
    struct handle asker;
    adapter_fn *cb;
};

struct adapter_driver {
    const char *name; /* as in the config file */
    size_t size;      /* of the driver's own struct, cleared before open */
    bool (*open)(struct adapter *a, const struct adapter_options *opt, struct err *e);
    void (*close)(struct adapter *a); /* also after a failed open */
    enum when (*subscribe)(struct adapter *a, str app, str channel, struct adapter_call *call);
    void (*unsubscribe)(struct adapter *a, str app, str channel);
    uint32_t (*nodes)(const struct adapter *a);
};

struct adapter { /* first member of every driver's own struct */
    const struct adapter_driver *drv;
    struct waiting_list waiting;
};

/* The call a driver is given lies on the stack of the front; this one it may hold. */
struct adapter_call *adapter_call_keep(const struct adapter_call *call);
/* Ends a kept call. */
void adapter_call_answer(struct adapter_call *call, bool is_confirmed);

#endif
