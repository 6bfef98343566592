/* support/adapter_scripted.c - see the header. */
#include "support/adapter_scripted.h"

#include <stdlib.h>

enum { WAITING_MAX = 4096 };
struct scripted {
    struct adapter base;
    struct adapter_call *calls[WAITING_MAX];
    size_t first, last, unsubscribed;
};

static bool scripted_open(struct adapter *a, const struct adapter_options *opt, struct err *e)
{
    (void)a, (void)opt, (void)e;
    return true;
}

static void scripted_close(struct adapter *a)
{
    (void)a;
}

static enum when scripted_subscribe(struct adapter *a, str app, str channel,
                                    struct adapter_call *call)
{
    struct scripted *s = (struct scripted *)a;
    (void)app, (void)channel;
    CHECK(s->last - s->first < WAITING_MAX);
    s->calls[s->last++ % WAITING_MAX] = adapter_call_keep(call);
    return LATER;
}

static void scripted_unsubscribe(struct adapter *a, str app, str channel)
{
    (void)app, (void)channel;
    ((struct scripted *)a)->unsubscribed++;
}

static uint32_t scripted_nodes(const struct adapter *a)
{
    (void)a;
    return 1;
}

bool adapter_scripted_release(struct adapter *a, bool is_confirmed)
{
    struct scripted *s = (struct scripted *)a;
    if (s->first == s->last)
        return false;
    adapter_call_answer(s->calls[s->first++ % WAITING_MAX], is_confirmed);
    return true;
}

size_t adapter_scripted_unsubscribed(const struct adapter *a)
{
    return ((const struct scripted *)a)->unsubscribed;
}

const struct adapter_driver adapter_scripted = {
    .name = "scripted",
    .size = sizeof(struct scripted),
    .open = scripted_open,
    .close = scripted_close,
    .subscribe = scripted_subscribe,
    .unsubscribe = scripted_unsubscribe,
    .nodes = scripted_nodes,
};
