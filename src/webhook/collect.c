/* webhook/collect.c - events of an app are gathered for a moment and pushed as jobs.
 *
 * A collector lives while its app has events. What is taken out of `gathering` becomes the batch;
 * it is pushed once per webhook that wants some of it, and gone when the last push is accepted. A
 * refused push is tried again, so the events wait here, and the oldest of all give way.
 * Source: webhooks.md §4
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "webhook/state.h"

enum {
    BATCH_BYTES = 240 << 10, /* what an asynchronous Lambda call and SQS take; one event may pass */
    WAITING_BYTES = 64 << 20,
    FULL_LINE_MS = 60000,
    JOB_OVERHEAD = 64 << 10
};

static void go_on(struct collector *c);

/* ---- lists ---- */

static void list_add(struct events *l, struct event *x)
{
    x->next = NULL;
    x->prev = l->end;
    *l->end = x;
    l->end = &x->next;
    l->count++;
}

static void list_drop(struct events *l, struct event *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        l->end = x->prev;
    l->count--;
}

static void event_free(struct webhooks *w, struct event *x)
{
    struct collector *c = x->collector;
    list_drop(x->in_batch ? &c->batch : &c->gathering, x);
    *x->all_prev = x->all_next;
    if (x->all_next)
        x->all_next->all_prev = x->all_prev;
    else
        w->newest_end = x->all_prev;
    w->waiting--;
    w->waiting_bytes -= x->json.n;
    free(x);
}

static str id_of(const struct collector *c)
{
    return str_of(c->id, c->id_n);
}

static struct collector **place(struct webhooks *w, str app)
{
    struct collector **at = &w->collectors[hash_bytes(app) % COLLECT_BUCKETS];
    while (*at != NULL && !str_eq(id_of(*at), app))
        at = &(*at)->chain;
    return at;
}

static void on_due(void *ctx)
{
    struct collector *c = ctx;
    c->is_held = false;
    go_on(c);
}

static struct collector *collector_of(struct webhooks *w, str app)
{
    struct collector **at = place(w, app), *c = *at;
    if (c != NULL)
        return c;
    c = *at = mem_zero(sizeof *c + app.n);
    c->webhooks = w;
    c->gathering.end = &c->gathering.first;
    c->batch.end = &c->batch.first;
    c->due = (struct alarm){.fn = on_due, .ctx = c};
    c->id_n = app.n;
    memcpy(c->id, app.p, app.n);
    w->collector_count++;
    return c;
}

static void collector_free(struct collector *c)
{
    struct webhooks *w = c->webhooks;
    while (c->batch.first != NULL)
        event_free(w, c->batch.first);
    while (c->gathering.first != NULL)
        event_free(w, c->gathering.first);
    alarm_stop(&w->loop->alarms, &c->due);
    ask_forget(w, c);
    *place(w, id_of(c)) = c->chain;
    w->collector_count--;
    free(c);
}

/* ---- coming in ---- */

static void tell_full(struct webhooks *w)
{
    w->full_count++;
    METRICS_NODE(webhook_events_dropped[label_drop_reason_BUFFER_FULL], 1);
    if (w->loop->now_ms - w->told_full_ms < FULL_LINE_MS)
        return;
    log_warn("webhook", "%llu webhook events dropped: %d wait already, the queue takes no more",
             (unsigned long long)w->full_count, WEBHOOK_WAITING);
    w->told_full_ms = w->loop->now_ms;
    w->full_count = 0;
}

static void make_room(struct webhooks *w, size_t bytes)
{
    struct event *x = w->oldest;
    while (x != NULL &&
           (w->waiting >= WEBHOOK_WAITING || w->waiting_bytes + bytes > WAITING_BYTES)) {
        struct event *next = x->all_next;
        if (!(x->in_batch && x->collector->is_pushing)) {
            event_free(w, x);
            tell_full(w);
        }
        x = next;
    }
}

static struct event *event_make(str channel, str json)
{
    struct event *x = mem_zero(sizeof *x + channel.n + json.n);
    char *p = (char *)(x + 1);
    memcpy(p, channel.p, channel.n);
    memcpy(p + channel.n, json.p, json.n);
    x->channel = str_of(p, channel.n);
    x->json = str_of(p + channel.n, json.n);
    return x;
}

void collect_add(struct webhooks *w, str app, enum app_webhook_event kind, str channel, str json,
                 int64_t time_ms)
{
    make_room(w, json.n);
    struct collector *c = collector_of(w, app);
    struct event *x = event_make(channel, json);
    x->collector = c;
    x->kind = kind;
    x->is_encrypted = str_starts(channel, S("private-encrypted-"));
    x->time_ms = time_ms;
    x->seq = ++w->seq;
    x->all_prev = w->newest_end;
    *w->newest_end = x;
    w->newest_end = &x->all_next;
    w->waiting++;
    w->waiting_bytes += json.n;
    list_add(&c->gathering, x);
    if (c->is_held)
        return;
    if (!w->opt.batching || w->is_closing || c->gathering.count >= w->opt.batch_size) {
        go_on(c);
    } else if (c->due.place == 0) {
        loop_alarm(w->loop, &c->due, w->loop->now_ms + w->opt.batch_ms);
    }
}

/* ---- going out ---- */

static bool somebody_wants(const struct app *app, const struct event *x)
{
    for (size_t i = 0; i < app->webhook_count; i++)
        if (app_webhook_is_usable(&app->webhooks[i]) &&
            webhook_wants(&app->webhooks[i], x->kind, x->channel))
            return true;
    return false;
}

/* Events of encrypted channels go alone: receivers without their key refuse the whole request. */
static void batch_take(struct collector *c, const struct app *app)
{
    struct webhooks *w = c->webhooks;
    uint32_t max = w->opt.batching ? w->opt.batch_size : 1;
    size_t bytes = 0;
    c->next_hook = 0;
    for (struct event *x = c->gathering.first, *next; x != NULL && c->batch.count < max; x = next) {
        next = x->next;
        if (!somebody_wants(app, x)) {
            event_free(w, x);
            continue;
        }
        if (c->batch.first != NULL && x->is_encrypted != c->batch.first->is_encrypted) {
            if (w->opt.ordered)
                return;
            continue;
        }
        if (c->batch.first != NULL && bytes + x->json.n > BATCH_BYTES)
            return;
        bytes += x->json.n + 1;
        list_drop(&c->gathering, x);
        x->in_batch = true;
        list_add(&c->batch, x);
    }
}

static bool hook_wants_batch(const struct collector *c, const struct app_webhook *h)
{
    if (!app_webhook_is_usable(h))
        return false;
    for (const struct event *x = c->batch.first; x != NULL; x = x->next)
        if (webhook_wants(h, x->kind, x->channel))
            return true;
    return false;
}

static void add_events(struct buf *b, const struct collector *c)
{
    buf_char(b, '[');
    for (const struct event *x = c->batch.first; x != NULL; x = x->next) {
        if (x != c->batch.first)
            buf_char(b, ',');
        buf_add(b, x->json);
    }
    buf_char(b, ']');
}

static int64_t earliest(const struct collector *c)
{
    int64_t ms = INT64_MAX;
    for (const struct event *x = c->batch.first; x != NULL; x = x->next)
        ms = x->time_ms < ms ? x->time_ms : ms;
    return ms;
}

/* The id names process, batch and webhook: a push that is repeated repeats it. */
static void job_text(struct buf *b, const struct collector *c, const struct app *app, size_t hook)
{
    arena a = {0};
    struct buf events;
    const struct event *x = c->batch.first;
    bool for_all = c->webhooks->opt.include_secret;
    buf_init(&events, JOB_BYTES_MAX);
    add_events(&events, c);
    struct job job = {
        .app_id = app->id,
        .app_key = app->key,
        .app_secret = for_all ? app->secret : S(""),
        .label = str_z(arena_printf(&a, "%.*s:%.*s:%.*s", FMT(app->id), FMT(x->channel),
                                    FMT(webhook_event_names[__builtin_ctz(x->kind)]))),
        .job_id = str_z(arena_printf(&a, "%.16s-%llx-%x-%zu", c->webhooks->process,
                                     (unsigned long long)x->seq, c->batch.count, hook)),
        .events = buf_str(&events),
        .time_ms = earliest(c),
        .webhook = for_all ? -1 : (int32_t)hook};
    job_write(b, &job);
    buf_finish(&events);
    arena_finish(&a);
}

static void batch_done(struct collector *c)
{
    struct webhooks *w = c->webhooks;
    struct metrics_app *m = metrics_app(id_of(c));
    for (struct event *x; (x = c->batch.first) != NULL; event_free(w, x))
        METRICS_APP(m, webhook_events[__builtin_ctz(x->kind)], 1);
}

/* Nothing goes out before the alarm, however much comes in. */
static void hold(struct collector *c)
{
    c->is_held = true;
    loop_alarm(c->webhooks->loop, &c->due, c->webhooks->loop->now_ms + RETRY_PUSH_MS);
}

static void push_failed(struct collector *c, const struct err *e)
{
    log_limited(LOG_WARN, "webhook", "the queue took no job, tried again: %s", e->text);
    hold(c);
}

static void pushed(void *ctx, const struct err *e)
{
    struct collector *c = ctx;
    c->is_pushing = false;
    if (e->kind != ERR_NONE) {
        push_failed(c, e);
        return;
    }
    c->next_hook++;
    go_on(c);
}

/* Whether to go on; false: the rest comes later. */
static bool batch_push(struct collector *c, const struct app *app)
{
    struct webhooks *w = c->webhooks;
    for (; c->next_hook < app->webhook_count; c->next_hook++) {
        if (!hook_wants_batch(c, &app->webhooks[c->next_hook]))
            continue;
        struct buf text;
        struct err e;
        buf_init(&text, JOB_BYTES_MAX + JOB_OVERHEAD);
        job_text(&text, c, app, c->next_hook);
        c->is_pushing = true;
        enum when when = queue_push(w->queue, buf_str(&text), &e, pushed, c);
        buf_finish(&text);
        if (when == LATER)
            return false;
        c->is_pushing = false;
        if (e.kind != ERR_NONE) {
            push_failed(c, &e);
            return false;
        }
        if (w->opt.include_secret)
            break; /* one job for all of them */
    }
    batch_done(c);
    return true;
}

static void app_gone(struct collector *c)
{
    uint32_t n = c->batch.count + c->gathering.count;
    METRICS_NODE(webhook_events_dropped[label_drop_reason_APP_GONE], n);
    log_limited(LOG_WARN, "webhook", "app %.*s is gone: %u events dropped", LOG_PEER(id_of(c)), n);
    collector_free(c);
}

static void with_app(void *ctx, struct app_answer *a)
{
    struct collector *c = ctx;
    c->is_asking = false;
    if (a->err.kind != ERR_NONE) {
        hold(c);
        return;
    }
    if (!a->found) {
        app_gone(c);
        return;
    }
    do {
        if (c->batch.count == 0)
            batch_take(c, a->app);
    } while (c->batch.count > 0 && batch_push(c, a->app));
    if (c->batch.count + c->gathering.count == 0)
        collector_free(c);
}

static void go_on(struct collector *c)
{
    if (c->is_asking || c->is_pushing)
        return;
    if (c->batch.count + c->gathering.count == 0) {
        collector_free(c);
        return;
    }
    c->is_asking = true;
    alarm_stop(&c->webhooks->loop->alarms, &c->due);
    ask_app(c->webhooks, id_of(c), with_app, c);
}

void collect_flush(struct webhooks *w)
{
    for (size_t i = 0; i < COLLECT_BUCKETS; i++)
        for (struct collector *c = w->collectors[i], *next; c != NULL; c = next) {
            next = c->chain;
            if (!c->is_held)
                go_on(c);
        }
}

void collect_finish(struct webhooks *w)
{
    for (size_t i = 0; i < COLLECT_BUCKETS; i++)
        while (w->collectors[i] != NULL)
            collector_free(w->collectors[i]);
}
