/* adapter/local.c - one node alone: whatever it wants to hear, it says itself. */
#include "adapter/driver.h"

static bool local_open(struct adapter *a, const struct adapter_options *opt, struct err *e)
{
    (void)a, (void)opt, (void)e;
    return true;
}

static void local_close(struct adapter *a)
{
    (void)a;
}

static enum when local_subscribe(struct adapter *a, str app, str channel, struct adapter_call *call)
{
    (void)a, (void)app, (void)channel, (void)call;
    return DONE;
}

static void local_unsubscribe(struct adapter *a, str app, str channel)
{
    (void)a, (void)app, (void)channel;
}

static uint32_t local_nodes(const struct adapter *a)
{
    (void)a;
    return 1;
}

extern const struct adapter_driver adapter_local;
const struct adapter_driver adapter_local = {
    .name = "local",
    .size = sizeof(struct adapter),
    .open = local_open,
    .close = local_close,
    .subscribe = local_subscribe,
    .unsubscribe = local_unsubscribe,
    .nodes = local_nodes,
};
