/* webhook/deliver.c - a job is picked up, sent to its webhook, and ended one way or another.
 *
 *     job -> app record -> (for all webhooks: split) -> its lane -> target -> done, later, dead
 *
 * The record is read now, so that a changed URL, secret or filter counts for queued jobs too.
 * Source: webhooks.md §3, §5
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/hash.h"
#include "base/log.h"
#include "webhook/target.h"

enum {
    CREDITS = LANES_ACTIVE + 28, /* some are only looking up their app */
    LANE_WAIT_MS = 60000,        /* a queue that can be called needs no other end of the wait */
    LANE_LOOK_MS = 500,
    CLOSING_WAIT_MS = 2000, /* a retry that the end of the process can still wait for */
    NAMES_MAX = 160
};

static const struct webhook_target *const targets[] = {&webhook_http};

struct run { /* one job in our hands */
    struct webhooks *webhooks;
    struct run *next, **prev;
    struct queue_job *queued;
    arena memory;
    struct job job;
    struct app *app;
    const struct app_webhook *hook;
    const struct webhook_target *target; /* while it runs */
    struct buf body;
    size_t events;
    struct lane *lane; /* while it runs */
    uint64_t hash;
    struct attempt attempt;
    uint32_t split; /* pushes that are not answered */
    struct err split_err;
};

static const struct webhook_target *target_of(const struct app_webhook *h)
{
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        if (targets[i]->takes(h))
            return targets[i];
    return NULL;
}

static void run_free(struct run *r)
{
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    app_unref(&r->app);
    buf_finish(&r->body);
    arena_finish(&r->attempt.memory);
    arena_finish(&r->memory);
    free(r);
}

/* The job has been ended: there may be room for another. */
static void run_over(struct run *r)
{
    struct webhooks *w = r->webhooks;
    run_free(r);
    lanes_call(&w->lanes);
}

/* Names of what it carries, each once, for the log. */
static const char *event_names(struct run *r)
{
    struct job_event x;
    uint32_t seen = 0;
    struct buf b;
    buf_init(&b, NAMES_MAX);
    struct json_iter it = json_iter((struct json){.type = JSON_ARRAY, .raw = r->job.events});
    while (job_event_next(&it, &r->memory, &x))
        if (webhook_wants(r->hook, x.kind, x.channel))
            seen |= x.kind;
    for (size_t i = 0; i < COUNT_OF(webhook_event_names); i++)
        if (seen & 1u << i)
            buf_printf(&b, "%s%.*s", b.n > 0 ? "," : "", FMT(webhook_event_names[i]));
    const char *names = arena_str(&r->memory, buf_str(&b)).p;
    buf_finish(&b);
    return names;
}

static void bury(struct run *r, const char *why)
{
    log_limited(LOG_ERROR, "webhook",
                "app %.*s webhook %d to %s: given up after %u attempts: %s; events %s",
                LOG_PEER(r->job.app_id), r->job.webhook, r->attempt.host, r->job.attempts, why,
                event_names(r));
    queue_job_bury(r->webhooks->queue, r->queued, why);
    run_over(r);
}

static void count(struct run *r, enum label_outcome outcome)
{
    METRICS_SHARE(metrics_app(r->app->id),
                  webhook_requests[r->target->label * label_outcome_COUNT + outcome], 1);
}

static void count_dropped(enum label_drop_reason reason, size_t events)
{
    METRICS_NODE(webhook_events_dropped[reason], events);
}

/* ---- after an attempt ---- */

static double jitter(void)
{
    uint32_t r;
    crypto_random(&r, sizeof r);
    return 2 * ((double)r / UINT32_MAX) - 1;
}

static void try_later(struct run *r, int64_t delay)
{
    struct buf text;
    buf_init(&text, JOB_BYTES_MAX * 2);
    r->job.app_key = r->app->key;
    r->job.app_secret = r->webhooks->opt.include_secret ? r->app->secret : S("");
    job_write(&text, &r->job);
    log_debug("webhook", "app %.*s webhook %d to %s: %s, again in %lld ms", LOG_PEER(r->job.app_id),
              r->job.webhook, r->attempt.host, r->attempt.why, (long long)delay);
    queue_job_later(r->webhooks->queue, r->queued, buf_str(&text), delay, 0);
    buf_finish(&text);
    run_over(r);
}

static void failed(struct run *r)
{
    struct webhooks *w = r->webhooks;
    struct retry_policy p = retry_policy_of(&w->opt, r->hook);
    int64_t delay = retry_delay(&p, r->job.attempts, wall_ms(w) - r->job.first_ms, jitter(),
                                r->attempt.retry_after_ms);
    bool is_too_late =
        w->is_closing && delay > CLOSING_WAIT_MS && !(queue_caps(w->queue) & QUEUE_SHARED);
    lane_leave(&w->lanes, r->lane, true, w->opt.ordered && delay >= 0 && !is_too_late, r->hash);
    count(r, delay < 0 ? label_outcome_EXPIRED : label_outcome_RETRY);
    if (is_too_late)
        count_dropped(label_drop_reason_SHUTDOWN, r->events);
    if (delay < 0 || is_too_late)
        bury(r, r->attempt.why);
    else
        try_later(r, delay);
}

static void ended(struct attempt *t)
{
    struct run *r = CONTAINER_OF(t, struct run, attempt);
    struct webhooks *w = r->webhooks;
    metrics_sample(&metrics_thread()->cells.webhook_request_duration[r->target->label],
                   t->duration_ms);
    if (t->outcome == OUTCOME_RETRY) {
        failed(r);
        return;
    }
    lane_leave(&w->lanes, r->lane, false, false, r->hash);
    if (t->outcome == OUTCOME_PERMANENT) {
        count(r, label_outcome_PERMANENT);
        bury(r, t->why);
        return;
    }
    count(r, label_outcome_DELIVERED);
    log_debug("webhook", "app %.*s webhook %d to %s: delivered %zu events, status %d",
              LOG_PEER(r->job.app_id), r->job.webhook, t->host, r->events, t->status);
    queue_job_done(w->queue, r->queued);
    run_over(r);
}

/* ---- before an attempt ---- */

static void start(struct run *r)
{
    struct webhooks *w = r->webhooks;
    if (r->job.attempts++ == 0)
        r->job.first_ms = wall_ms(w);
    uint64_t timeout =
        r->hook->request_timeout_ms ? r->hook->request_timeout_ms : w->opt.request_timeout_ms;
    r->attempt.webhooks = w;
    r->attempt.app = r->app;
    r->attempt.hook = r->hook;
    r->attempt.job_id = r->job.job_id;
    r->attempt.body = buf_str(&r->body);
    r->attempt.timeout_ms = timeout > 0 && timeout < INT32_MAX ? (int64_t)timeout : INT32_MAX;
    r->attempt.ended = ended;
    r->target->start(&r->attempt);
}

/* The budget runs from the first attempt. Where the endpoint fails for others already, it runs from
 * the event: otherwise what waits behind them would outlive its use. But who comes and finds nobody
 * has his attempt, however short the budget is: else nothing could show that the endpoint is back.
 */
static int64_t time_left(const struct run *r)
{
    struct retry_policy p = retry_policy_of(&r->webhooks->opt, r->hook);
    int64_t begin = r->job.attempts > 0 ? r->job.first_ms : r->job.time_ms;
    bool is_first = r->queued->lane == 0 && lane_is_idle(r->lane);
    if (r->job.attempts == 0 && (is_first || !lane_is_failing(r->lane)))
        return LANE_WAIT_MS;
    return begin + p.max_elapsed_ms - wall_ms(r->webhooks);
}

static uint64_t lane_id(const struct run *r)
{
    char index[32];
    if (!r->webhooks->opt.ordered)
        return hash_two(r->app->id, r->hook->url) | 1;
    int n = snprintf(index, sizeof index, "#%d", r->job.webhook);
    return hash_two(r->app->id, str_of(index, (size_t)n)) | 1;
}

static void wait_in_lane(struct run *r, int64_t left)
{
    struct webhooks *w = r->webhooks;
    int64_t delay = queue_caps(w->queue) & QUEUE_SHARED ? LANE_LOOK_MS : LANE_WAIT_MS;
    queue_job_later(w->queue, r->queued, S(""), delay < left ? delay : left, r->lane->id);
    run_over(r);
}

/* It ends without having entered its lane: in case that others wait for it to pass there. */
static void leave_order(struct run *r)
{
    if (r->webhooks->opt.ordered)
        lanes_forget(&r->webhooks->lanes, hash_bytes(r->job.job_id) | 1);
}

static void enter_lane(struct run *r)
{
    struct webhooks *w = r->webhooks;
    r->hash = hash_bytes(r->job.job_id) | 1;
    r->lane = lanes_get(&w->lanes, lane_id(r), w->opt.ordered);
    int64_t left = time_left(r);
    if (left <= 0) {
        count(r, label_outcome_EXPIRED);
        leave_order(r);
        bury(r, "its time is over");
        return;
    }
    switch (lane_enter(&w->lanes, r->lane, r->queued, r->hash)) {
    case LANE_GO:
        start(r);
        return;
    case LANE_WAIT:
        wait_in_lane(r, left);
        return;
    case LANE_FULL:
        count_dropped(label_drop_reason_BUFFER_FULL, r->events);
        bury(r, "too many wait for this endpoint");
        return;
    }
}

/* It is not for anybody (any more). */
static void nobody(struct run *r)
{
    leave_order(r);
    queue_job_done(r->webhooks->queue, r->queued);
    run_over(r);
}

static void for_hook(struct run *r)
{
    if ((size_t)r->job.webhook >= r->app->webhook_count) {
        nobody(r);
        return;
    }
    r->hook = &r->app->webhooks[r->job.webhook];
    r->target = target_of(r->hook);
    buf_init(&r->body, JOB_BYTES_MAX * 2);
    r->events = r->target ? job_body(&r->body, &r->memory, &r->job, r->hook) : 0;
    if (r->events == 0) {
        nobody(r);
        return;
    }
    struct http_url url;
    if (http_url_parse(&r->memory, r->hook->url, &url, NULL))
        snprintf(r->attempt.host, sizeof r->attempt.host, "%.*s", FMT(url.host));
    enter_lane(r);
}

/* ---- a job for all webhooks becomes one for each ---- */

static void split_over(struct run *r)
{
    if (r->split > 0)
        return;
    if (r->split_err.kind != ERR_NONE)
        queue_job_failed(r->webhooks->queue, r->queued, r->split_err.text);
    else
        queue_job_done(r->webhooks->queue, r->queued);
    run_over(r);
}

static void split_pushed(void *ctx, const struct err *e)
{
    struct run *r = ctx;
    if (e->kind != ERR_NONE)
        r->split_err = *e;
    r->split--;
    split_over(r);
}

static bool wants_some(const struct run *r, const struct app_webhook *h, arena *a)
{
    struct job_event x;
    struct json_iter it = json_iter((struct json){.type = JSON_ARRAY, .raw = r->job.events});
    while (job_event_next(&it, a, &x))
        if (webhook_wants(h, x.kind, x.channel))
            return true;
    return false;
}

static void split_push(struct run *r, size_t hook)
{
    struct buf text;
    struct err e;
    struct job part = r->job;
    part.webhook = (int32_t)hook;
    part.job_id =
        str_z(arena_printf(&r->memory, "%.*s-%zu", (int)(part.job_id.n < 100 ? part.job_id.n : 100),
                           part.job_id.p, hook));
    buf_init(&text, JOB_BYTES_MAX * 2);
    job_write(&text, &part);
    r->split++;
    if (queue_push(r->webhooks->queue, buf_str(&text), &e, split_pushed, r) == DONE) {
        r->split--;
        if (e.kind != ERR_NONE)
            r->split_err = e;
    }
    buf_finish(&text);
}

static void split(struct run *r)
{
    size_t count = 0, last = 0;
    for (size_t i = 0; i < r->app->webhook_count; i++)
        if (target_of(&r->app->webhooks[i]) && wants_some(r, &r->app->webhooks[i], &r->memory)) {
            count++;
            last = i;
        }
    if (count == 1) {
        r->job.webhook = (int32_t)last;
        for_hook(r);
        return;
    }
    r->split++; /* ours, so that no answer ends it before the last push */
    for (size_t i = 0; count > 0 && i < r->app->webhook_count; i++)
        if (target_of(&r->app->webhooks[i]) && wants_some(r, &r->app->webhooks[i], &r->memory))
            split_push(r, i);
    r->split--;
    split_over(r);
}

/* ---- picked up ---- */

static void app_gone(struct run *r)
{
    size_t n = 0;
    struct job_event x;
    struct json_iter it = json_iter((struct json){.type = JSON_ARRAY, .raw = r->job.events});
    while (job_event_next(&it, &r->memory, &x))
        n++;
    count_dropped(label_drop_reason_APP_GONE, n);
    log_limited(LOG_WARN, "webhook", "app %.*s is gone: a webhook with %zu events dropped",
                LOG_PEER(r->job.app_id), n);
    leave_order(r);
    queue_job_done(r->webhooks->queue, r->queued);
    run_over(r);
}

static void with_app(void *ctx, struct app_answer *a)
{
    struct run *r = ctx;
    if (a->err.kind != ERR_NONE) {
        log_limited(LOG_WARN, "webhook", "app %.*s cannot be looked up, webhook waits: %s",
                    LOG_PEER(r->job.app_id), a->err.text);
        leave_order(r);
        queue_job_failed(r->webhooks->queue, r->queued, "the app store is away");
        run_over(r);
    } else if (!a->found) {
        app_gone(r);
    } else {
        r->app = app_ref(a->app);
        if (r->job.webhook < 0)
            split(r);
        else
            for_hook(r);
    }
}

static void on_job(void *ctx, struct queue_job *queued)
{
    struct webhooks *w = ctx;
    struct err e = {.kind = ERR_NONE};
    struct run *r = mem_zero(sizeof *r);
    r->webhooks = w;
    r->queued = queued;
    r->next = w->runs;
    r->prev = &w->runs;
    if (r->next)
        r->next->prev = &r->next;
    w->runs = r;
    lanes_arrived(&w->lanes, queued);
    if (!job_read(&r->memory, queued->payload, &r->job, &e)) {
        log_limited(LOG_WARN, "webhook", "a job that cannot be read was put aside: %s", e.text);
        count_dropped(label_drop_reason_QUEUE_ERROR, 1);
        queue_job_bury(w->queue, queued, e.text);
        run_over(r);
        return;
    }
    ask_app(w, r->job.app_id, with_app, r);
}

void deliver_start(struct webhooks *w)
{
    lanes_init(&w->lanes, w->queue);
    queue_consume(w->queue, CREDITS, on_job, w);
}

void deliver_stop(struct webhooks *w)
{
    queue_consume(w->queue, 0, on_job, w);
}

void deliver_finish(struct webhooks *w)
{
    while (w->runs != NULL) {
        struct run *r = w->runs;
        if (r->lane != NULL && r->target != NULL)
            r->target->cancel(&r->attempt);
        ask_forget(w, r);
        run_free(r);
    }
    lanes_finish(&w->lanes);
}
