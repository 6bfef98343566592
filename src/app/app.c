/* app/app.c - making and counting app records. */
#include "app/app.h"

#include <stdatomic.h>
#include <stdlib.h>

struct app *app_create(void)
{
    struct app *a = mem_zero(sizeof *a);
    a->refs = 1;
    a->enabled = true;
    a->decay_seconds = 1;
    a->message_rate.max_attempts = 60;
    a->message_rate.decay_seconds = 60;
    a->max_channel_name = APP_NAME_LENGTH_DEFAULT;
    a->max_event_name = APP_NAME_LENGTH_DEFAULT;
    return a;
}

struct app *app_ref(struct app *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

bool app_webhook_is_usable(const struct app_webhook *h)
{
    return h->url.n > 0;
}

void app_count_webhook_events(struct app *a)
{
    a->webhook_events = 0;
    for (size_t i = 0; i < a->webhook_count; i++)
        if (app_webhook_is_usable(&a->webhooks[i]))
            a->webhook_events |= a->webhooks[i].events;
}

void app_unref(struct app **a)
{
    struct app *gone = *a;
    *a = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (gone->secret.n > 0)
        explicit_bzero((void *)(uintptr_t)gone->secret.p, gone->secret.n);
    for (size_t i = 0; i < gone->webhook_count; i++)
        pattern_destroy(&gone->webhooks[i].filter.channel_pattern);
    arena_finish(&gone->memory);
    free(gone);
}
