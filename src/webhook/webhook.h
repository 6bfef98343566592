/* webhook/webhook.h - tells applications' back ends what happens in their channels.
 *
 * Events are posted to the service loop, collected per app, put into the queue as jobs, and
 * delivered from there to the targets of the app's record (webhooks.md §3-§5).
 *
 * Nature   webhook_tell on any thread; everything else on the service loop's
 * Limits   WEBHOOK_WAITING events wait to be collected or queued, then the oldest are dropped and
 *          counted
 * Source   webhooks.md; security.md I8
 */
#ifndef WEBHOOK_WEBHOOK_H
#define WEBHOOK_WEBHOOK_H

#include "app/app_manager.h"
#include "channel/channel_event.h"
#include "queue/queue.h"

enum { WEBHOOK_WAITING = 10000 };

struct webhooks;
struct webhook_options {
    bool batching;
    int64_t batch_ms;
    uint32_t batch_size;
    bool ordered;
    bool deny_private;
    bool include_secret; /* queue.include_secret */
    uint64_t request_timeout_ms;
    struct {
        bool enabled;
        uint32_t max_attempts; /* 0: no limit */
        uint64_t max_elapsed_ms, initial_backoff_ms, max_backoff_ms;
    } retry;
    int64_t (*wall_ms)(void *ctx); /* of events and budgets, any thread; NULL: the system's */
    void *wall_ctx;
};

/* loop: the service's; queue and apps are borrowed until the destroy. One per process. */
NODISCARD struct webhooks *webhooks_create(struct loop *loop, struct queue *queue,
                                           struct app_manager *apps,
                                           const struct webhook_options *opt, struct err *e);
/* A reload: from now on, also for queued jobs. */
void webhooks_configure(struct webhooks *w, const struct webhook_options *opt);
/* NULL is fine. Before the loop and the queue go; what nobody delivered is counted as lost. */
void webhooks_destroy(struct webhooks **w);

/* A channel_tell_fn; ctx is the struct webhooks. Copies and posts; refuses while the
 * loop's mailbox is full. */
bool webhook_tell(void *ctx, struct loop *from, const struct channel_event *e);

/* The end: what is collected goes into the queue at once, what is queued in memory is delivered.
 * True when nothing is left; asked again by the service until the grace period is over. */
bool webhooks_flushed(struct webhooks *w);

#endif
