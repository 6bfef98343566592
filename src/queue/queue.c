/* queue/queue.c - front of the queues: picks the driver, keeps credits, gives up hopeless jobs. */
#include "queue/queue.h"

#include "base/crypto.h"
#include "queue/driver.h"

#include <stdlib.h>

#define QUEUE_DRIVER(name, others, symbol, built, package) DRIVER_##built(symbol)
#define DRIVER_1(symbol) extern const struct queue_driver symbol;
#define DRIVER_0(symbol)
#include "drivers.def"
#undef DRIVER_1
#undef DRIVER_0
#undef QUEUE_DRIVER

#define DRIVER_1(symbol) &symbol
#define DRIVER_0(symbol) NULL
#define QUEUE_DRIVER(name, others, symbol, built, package) {name, package, DRIVER_##built(symbol)},
static const struct {
    const char *name, *package;
    const struct queue_driver *driver;
} drivers[] = {
#include "drivers.def"
};
#undef QUEUE_DRIVER

enum { ATTEMPTS_DEFAULT = 5, BASE_DELAY_DEFAULT_MS = 1000, MAX_DELAY_DEFAULT_MS = 60000 };
enum { DELAY_CEILING_MS = 24 * 3600 * 1000 };

static const struct queue_driver *find_driver(str name, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (!str_eq(name, str_z(drivers[i].name)))
            continue;
        if (drivers[i].driver == NULL)
            err_set(e, ERR_CONFIG, "queue.driver \"%s\" is not part of this build (needs %s)",
                    drivers[i].name, drivers[i].package);
        return drivers[i].driver;
    }
    err_set(e, ERR_CONFIG, "queue.driver \"%.*s\" is not supported", FMT(name));
    return NULL;
}

struct queue *queue_create(const struct queue_options *opt, struct err *e)
{
    const struct queue_driver *driver = find_driver(opt->driver, e);
    return driver ? queue_create_with(driver, opt, e) : NULL;
}

static void pump(void *ctx)
{
    struct queue *q = ctx;
    if (q->work != NULL && q->active < q->credits)
        q->drv->want(q, q->credits - q->active);
}

static int64_t delay_of(uint64_t ms, int64_t otherwise)
{
    if (ms == 0)
        return otherwise;
    return ms < DELAY_CEILING_MS ? (int64_t)ms : DELAY_CEILING_MS;
}

struct queue *queue_create_with(const struct queue_driver *driver, const struct queue_options *opt,
                                struct err *e)
{
    CHECK(driver->size >= sizeof(struct queue));
    struct queue *q = mem_zero(driver->size);
    q->drv = driver;
    q->loop = opt->loop;
    q->pump = (struct alarm){.fn = pump, .ctx = q};
    q->max_attempts = opt->max_attempts ? opt->max_attempts : ATTEMPTS_DEFAULT;
    q->base_delay_ms = delay_of(opt->retry_base_delay_ms, BASE_DELAY_DEFAULT_MS);
    q->max_delay_ms = delay_of(opt->retry_max_delay_ms, MAX_DELAY_DEFAULT_MS);
    q->jitter = opt->retry_jitter;
    if (!driver->open(q, opt, e))
        queue_destroy(&q);
    return q;
}

void queue_destroy(struct queue **q)
{
    struct queue *gone = *q;
    *q = NULL;
    if (gone == NULL)
        return;
    struct err e = {.kind = ERR_NONE};
    err_set(&e, ERR_UNAVAILABLE, "queue is closing");
    while (gone->waiting != NULL)
        queue_call_answer(gone->waiting, &e);
    gone->work = NULL;
    gone->drv->close(gone);
    alarm_stop(&gone->loop->alarms, &gone->pump);
    free(gone);
}

unsigned queue_caps(const struct queue *q)
{
    return q->drv->caps;
}

enum when queue_push(struct queue *q, str payload, struct err *out, queue_pushed_fn *cb, void *ctx)
{
    struct queue_call call = {.queue = q, .cb = cb, .ctx = ctx};
    *out = (struct err){.kind = ERR_NONE};
    return q->drv->push(q, payload, out, &call);
}

void queue_ready(struct queue *q)
{
    if (q->work != NULL && q->active < q->credits && q->pump.place == 0)
        loop_alarm(q->loop, &q->pump, q->loop->now_ms);
}

void queue_consume(struct queue *q, uint32_t credits, queue_work_fn *fn, void *ctx)
{
    q->work = fn;
    q->ctx = ctx;
    q->credits = credits;
    if (credits <= q->active)
        q->drv->want(q, 0);
    queue_ready(q);
}

void queue_leave(struct queue *q)
{
    q->work = NULL;
    q->drv->want(q, 0);
    for (struct queue_call *c = q->waiting; c != NULL; c = c->next)
        c->cb = NULL;
}

void queue_hand(struct queue *q, struct queue_job *job)
{
    CHECK(q->work != NULL && q->active < q->credits);
    q->active++;
    q->work(q->ctx, job);
}

static void ended(struct queue *q)
{
    CHECK(q->active > 0);
    q->active--;
    queue_ready(q);
}

void queue_job_done(struct queue *q, struct queue_job *job)
{
    q->drv->done(q, job);
    ended(q);
}

void queue_job_later(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                     uint64_t lane)
{
    job->pickups = 0;
    q->drv->later(q, job, payload, delay_ms, lane);
    ended(q);
}

/* base * 2^(pickups-1), at most max, more or less by the jitter. */
static int64_t delay_without_result(const struct queue *q, uint32_t pickups)
{
    double ms = (double)q->base_delay_ms;
    for (uint32_t i = 1; i < pickups && ms < (double)q->max_delay_ms; i++)
        ms *= 2;
    if (ms > (double)q->max_delay_ms)
        ms = (double)q->max_delay_ms;
    uint32_t r;
    crypto_random(&r, sizeof r);
    return (int64_t)(ms * (1 + q->jitter * (2 * ((double)r / UINT32_MAX) - 1)));
}

void queue_job_failed(struct queue *q, struct queue_job *job, const char *reason)
{
    if (job->pickups >= q->max_attempts)
        q->drv->bury(q, job, reason);
    else
        q->drv->later(q, job, S(""), delay_without_result(q, job->pickups), 0);
    ended(q);
}

void queue_job_bury(struct queue *q, struct queue_job *job, const char *reason)
{
    q->drv->bury(q, job, reason);
    ended(q);
}

bool queue_call(struct queue *q, uint64_t lane)
{
    return q->drv->call(q, lane);
}

void queue_hurry(struct queue *q)
{
    q->drv->hurry(q);
}

struct queue_counts queue_count(const struct queue *q)
{
    struct queue_counts c = {0};
    q->drv->count(q, &c);
    c.active = q->active;
    return c;
}

bool queue_is_drained(const struct queue *q)
{
    struct queue_counts c = queue_count(q);
    return q->waiting == NULL && c.active == 0 &&
           ((q->drv->caps & QUEUE_SHARED) != 0 || c.waiting + c.delayed == 0);
}

struct queue_call *queue_call_keep(const struct queue_call *call)
{
    struct queue_call *kept = mem_alloc(sizeof *kept);
    struct queue *q = call->queue;
    *kept = *call;
    kept->next = q->waiting;
    kept->prev = &q->waiting;
    if (kept->next)
        kept->next->prev = &kept->next;
    q->waiting = kept;
    return kept;
}

void queue_call_answer(struct queue_call *call, const struct err *e)
{
    *call->prev = call->next;
    if (call->next)
        call->next->prev = call->prev;
    if (call->cb != NULL)
        call->cb(call->ctx, e);
    free(call);
}
