#include "webhook/webhook.h"

#include <stdlib.h>
#include <time.h>

#include "base/crypto.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "webhook/state.h"

enum { TOLD_TEXT_MAX = 32 << 20 };

/* Answers of the app store name their asker by a number alone: one instance per process. */
static struct webhooks *here;

static int64_t system_ms(void *unused)
{
    (void)unused;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t wall_ms(const struct webhooks *w)
{
    return w->wall_ms(w->wall_ctx);
}

/* ---- app records ---- */

static void answered(struct handle asker, struct app_answer *a)
{
    struct ask **at = here ? &here->asks : NULL;
    while (at != NULL && *at != NULL && (*at)->generation != asker.generation)
        at = &(*at)->next;
    if (at != NULL && *at != NULL) {
        struct ask *ask = *at;
        *at = ask->next;
        ask->fn(ask->ctx, a);
        free(ask);
    }
    app_unref(&a->app);
}

void ask_app(struct webhooks *w, str id, void (*fn)(void *, struct app_answer *), void *ctx)
{
    struct app_answer a;
    if (++w->generation == 0)
        w->generation = 1;
    struct ask *ask = mem_alloc(sizeof *ask);
    *ask = (struct ask){w->asks, w->generation, fn, ctx};
    w->asks = ask;
    struct handle asker = {.generation = ask->generation};
    if (app_by_id(w->apps, asker, id, &a, answered) == DONE)
        answered(asker, &a);
}

void ask_forget(struct webhooks *w, void *ctx)
{
    for (struct ask **at = &w->asks, *ask; (ask = *at) != NULL;) {
        if (ask->ctx != ctx) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        free(ask);
    }
}

/* ---- telling ---- */

struct told {
    struct mail mail;
    struct inbox *inbox;
    enum app_webhook_event kind;
    int64_t time_ms;
    uint32_t count;
    str app, channel, user_id, event, data, socket_id; /* in the bytes */
    char bytes[];
};

static void inbox_unref(struct inbox *in)
{
    if (atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) == 1)
        free(in);
}

static void add_member(struct buf *b, str name, str text)
{
    buf_printf(b, ",\"%.*s\":", FMT(name));
    json_add_string(b, text);
}

/* A string literal without needless escapes: receivers compare bytes (HOOK-6). */
static void add_data(struct buf *b, str literal)
{
    arena a = {0};
    struct json v;
    buf_add(b, S(",\"data\":"));
    if (memchr(literal.p, '\\', literal.n) == NULL)
        buf_add(b, literal);
    else if (json_parse(literal, &v, NULL))
        json_add_string(b, json_string(v, &a));
    else
        buf_add(b, S("\"\""));
    arena_finish(&a);
}

static void add_event(struct buf *b, const struct told *t)
{
    str name = webhook_event_names[__builtin_ctz(t->kind)];
    buf_printf(b, "{\"name\":\"%.*s\",\"channel\":", FMT(name));
    json_add_string(b, t->channel);
    if (t->kind == WEBHOOK_CLIENT_EVENT) {
        add_member(b, S("event"), t->event);
        add_data(b, t->data);
        add_member(b, S("socket_id"), t->socket_id);
    }
    if (t->user_id.n > 0)
        add_member(b, S("user_id"), t->user_id);
    if (t->kind == WEBHOOK_SUBSCRIPTION_COUNT)
        buf_printf(b, ",\"subscription_count\":%u", t->count);
    buf_char(b, '}');
}

static void arrived(void *owner, struct mail *m)
{
    (void)owner;
    struct told *t = (struct told *)m;
    struct webhooks *w = t->inbox->owner;
    if (w != NULL && (t->kind != WEBHOOK_CACHE_MISS ||
                      recent_admit(&w->misses, t->app, t->channel, w->loop->now_ms))) {
        struct buf json;
        buf_init(&json, TOLD_TEXT_MAX);
        add_event(&json, t);
        if (!json.full)
            collect_add(w, t->app, t->kind, t->channel, buf_str(&json), t->time_ms);
        buf_finish(&json);
    }
    inbox_unref(t->inbox);
    free(t);
}

static str pack(char **at, str s)
{
    char *p = *at;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    *at += s.n;
    return str_of(p, s.n);
}

bool webhook_tell(void *ctx, struct loop *from, const struct channel_event *e)
{
    struct webhooks *w = ctx;
    if (queue_caps(w->queue) & QUEUE_NOWHERE)
        return true;
    if (mailbox_is_full(&w->loop->mailbox))
        return false;
    size_t n = e->app.n + e->channel.n + e->user_id.n + e->event.n + e->data.n + e->socket_id.n;
    struct told *t = mem_alloc(sizeof *t + n);
    char *at = t->bytes;
    *t = (struct told){.mail = {.run = arrived, .bytes = (uint32_t)(sizeof *t + n)},
                       .inbox = w->inbox,
                       .kind = e->kind,
                       .time_ms = wall_ms(w),
                       .count = e->count,
                       .app = pack(&at, e->app),
                       .channel = pack(&at, e->channel),
                       .user_id = pack(&at, e->user_id),
                       .event = pack(&at, e->event),
                       .data = pack(&at, e->data),
                       .socket_id = pack(&at, e->socket_id)};
    atomic_fetch_add_explicit(&w->inbox->refs, 1, memory_order_relaxed);
    loop_post(from, w->loop, &t->mail);
    return true;
}

/* ---- start and end ---- */

static void look_at(void *ctx, struct app *app)
{
    size_t *apps = ctx;
    size_t unusable = 0;
    for (size_t i = 0; i < app->webhook_count; i++)
        unusable += app->webhooks[i].lambda_function.n > 0;
    *apps += app->webhook_count > 0;
    if (unusable > 0)
        log_warn("webhook", "app %.*s: %zu webhooks to Lambda are not served by this version",
                 LOG_PEER(app->id), unusable);
}

static void warn_at_start(const struct webhooks *w)
{
    size_t apps = 0;
    app_manager_each(w->apps, look_at, &apps);
    if (apps > 0 && (queue_caps(w->queue) & QUEUE_NOWHERE) != 0)
        log_warn("webhook", "queue.driver is none: the webhooks of %zu apps are not sent", apps);
}

static enum http_reach reach_of(const struct webhook_options *opt)
{
    return opt->deny_private ? HTTP_PUBLIC : HTTP_HOSTS;
}

struct webhooks *webhooks_create(struct loop *loop, struct queue *queue, struct app_manager *apps,
                                 const struct webhook_options *opt, struct err *e)
{
    CHECK(here == NULL);
    uint8_t random[8];
    struct webhooks *w = mem_zero(sizeof *w);
    w->loop = loop;
    w->queue = queue;
    w->apps = apps;
    w->opt = *opt;
    w->wall_ms = opt->wall_ms ? opt->wall_ms : system_ms;
    w->wall_ctx = opt->wall_ctx;
    w->newest_end = &w->oldest;
    w->told_full_ms = INT64_MIN / 2;
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, w->process);
    w->http = http_client_create(loop, reach_of(opt), e);
    if (w->http == NULL) {
        free(w);
        return NULL;
    }
    w->inbox = mem_alloc(sizeof *w->inbox);
    *w->inbox = (struct inbox){.refs = 1, .owner = w};
    here = w;
    warn_at_start(w);
    deliver_start(w);
    return w;
}

void webhooks_configure(struct webhooks *w, const struct webhook_options *opt)
{
    bool is_other_order = w->opt.ordered != opt->ordered;
    w->opt = *opt;
    http_client_set_reach(w->http, reach_of(opt));
    if (is_other_order)
        lanes_unorder(&w->lanes);
}

bool webhooks_flushed(struct webhooks *w)
{
    if (!w->is_closing) {
        w->is_closing = true;
        if (queue_caps(w->queue) & QUEUE_SHARED)
            deliver_stop(w);
        queue_hurry(w->queue);
    }
    collect_flush(w);
    return w->collector_count == 0 && queue_is_drained(w->queue);
}

static void count_lost(const struct webhooks *w)
{
    struct queue_counts c = queue_count(w->queue);
    uint64_t jobs = queue_caps(w->queue) & QUEUE_SHARED ? 0 : c.waiting + c.delayed + c.active;
    if (jobs + w->waiting == 0)
        return;
    METRICS_NODE(webhook_events_dropped[label_drop_reason_SHUTDOWN], jobs + w->waiting);
    log_warn("webhook", "%llu webhook requests and %u events were not delivered before the end",
             (unsigned long long)jobs, w->waiting);
}

void webhooks_destroy(struct webhooks **w)
{
    struct webhooks *gone = *w;
    *w = NULL;
    if (gone == NULL)
        return;
    count_lost(gone);
    gone->inbox->owner = NULL;
    inbox_unref(gone->inbox);
    queue_leave(gone->queue);
    deliver_finish(gone);
    collect_finish(gone);
    http_client_destroy(&gone->http);
    here = NULL;
    free(gone);
}
