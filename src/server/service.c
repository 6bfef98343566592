#include "server/service.h"

#include <stdlib.h>

#include "server/memory_limit.h"

enum { TICK_MS = DEADLINE_SLOT_MS, LEAVING_TICK_MS = 10 };

static struct service *service_of(void *owner)
{
    return CONTAINER_OF((struct worker_thread *)owner, struct service, thread);
}

static void queue_measure(struct service *s)
{
    struct queue_counts n = queue_count(s->queue);
    const uint64_t jobs[] = {n.waiting, n.delayed, n.active, n.dead};
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        atomic_store_explicit(&s->jobs[i], jobs[i], memory_order_relaxed);
}

/* Behind what the tick has told, which lies in our own mailbox. */
static void look_flushed(void *owner, struct mail *m)
{
    struct service *s = service_of(owner);
    free(m);
    if (s->webhooks)
        atomic_store(&s->is_flushed, webhooks_flushed(s->webhooks));
}

static void tick(void *ctx)
{
    struct service *s = ctx;
    struct loop *l = service_loop(s);
    registry_tick(s->thread.worker.node->registry, s->is_leaving ? INT64_MAX : l->now_ms);
    if (s->is_leaving) {
        struct mail *m = mem_zero(sizeof *m);
        m->run = look_flushed;
        loop_post(l, l, m);
    }
    queue_measure(s);
    memory_watch_tick(&s->memory, s->thread.worker.node, l->now_ms);
    loop_alarm(l, &s->tick, l->now_ms + (s->is_leaving ? LEAVING_TICK_MS : TICK_MS));
}

bool service_open(struct service *s, struct node *n, struct err *e)
{
    if (!worker_init(&s->thread, n, n->worker_count, NULL, NULL, e))
        return false;
    s->tick = (struct alarm){.fn = tick, .ctx = s};
    return true;
}

/* ---- webhooks ---- */

static struct webhook_options options_of(const struct config *c)
{
    return (struct webhook_options){
        .batching = c->webhooks.batching,
        .batch_ms = (int64_t)c->webhooks.batch_ms,
        .batch_size =
            (uint32_t)(c->webhooks.batch_size < 1000000 ? c->webhooks.batch_size : 1000000),
        .ordered = c->webhooks.ordered,
        .deny_private = c->webhooks.deny_private,
        .include_secret = c->queue.include_secret,
        .request_timeout_ms = c->webhooks.request_timeout_ms,
        .retry = {.enabled = c->webhooks.retry.enabled,
                  .max_attempts = c->webhooks.retry.max_attempts,
                  .max_elapsed_ms = c->webhooks.retry.max_elapsed_ms,
                  .initial_backoff_ms = c->webhooks.retry.initial_backoff_ms,
                  .max_backoff_ms = c->webhooks.retry.max_backoff_ms},
    };
}

bool service_open_webhooks(struct service *s, const struct config *c, struct err *e)
{
    struct node *n = s->thread.worker.node;
    struct queue_options queue = {
        .driver = c->queue_driver,
        .loop = service_loop(s),
        .capacity = c->queue.memory_capacity,
        .capacity_bytes = memory_limit_of_queue(s->memory.limit),
        .failed_retention = c->queue.failed_retention,
        .max_attempts = c->queue.max_attempts,
        .retry_base_delay_ms = c->queue.retry_base_delay_ms,
        .retry_max_delay_ms = c->queue.retry_max_delay_ms,
        .retry_jitter = c->queue.retry_jitter,
    };
    struct webhook_options hooks = options_of(c);
    s->queue = queue_create(&queue, e);
    if (!s->queue)
        return false;
    s->webhooks = webhooks_create(service_loop(s), s->queue, n->apps, &hooks, e);
    if (!s->webhooks)
        return false;
    registry_set_teller(n->registry, webhook_tell, s->webhooks);
    return true;
}

struct new_options {
    struct mail mail;
    struct webhook_options webhooks;
};

static void options_taken(void *owner, struct mail *m)
{
    webhooks_configure(service_of(owner)->webhooks, &((struct new_options *)m)->webhooks);
    free(m);
}

void service_use_config(struct service *s, const struct config *c)
{
    struct new_options *n = mem_zero(sizeof *n);
    n->mail.run = options_taken;
    n->webhooks = options_of(c);
    loop_post(NULL, service_loop(s), &n->mail);
}

void service_close_webhooks(struct service *s)
{
    if (s->thread.worker.node->registry) /* whoever leaves from here on tells nobody */
        registry_set_teller(s->thread.worker.node->registry, NULL, NULL);
    webhooks_destroy(&s->webhooks);
    queue_destroy(&s->queue);
}

/* ---- the thread ---- */

bool service_start(struct service *s, struct err *e)
{
    struct loop *l = service_loop(s);
    loop_alarm(l, &s->tick, l->now_ms + TICK_MS);
    return worker_start(&s->thread, e);
}

static void leave(void *owner, struct mail *m)
{
    struct service *s = service_of(owner);
    s->is_leaving = true;
    free(m);
    tick(s);
}

void service_flush(struct service *s)
{
    struct mail *m = mem_zero(sizeof *m);
    m->run = leave;
    loop_post(NULL, service_loop(s), m);
}

void service_stop(struct service *s)
{
    worker_stop(&s->thread);
}
