/* rate_limiter/rate_limiter.c - front of the limiters: picks the driver, counts here when a store
 * is away, ends waiting calls. */
#include "rate_limiter/rate_limiter.h"

#include "base/log.h"
#include "rate_limiter/driver.h"
#include "io/loop.h"

#include <stdlib.h>

#define RATE_LIMITER_DRIVER(name, others, symbol, built, package) DRIVER_##built(symbol)
#define DRIVER_1(symbol) extern const struct rate_limiter_driver symbol;
#define DRIVER_0(symbol)
#include "drivers.def"
#undef DRIVER_1
#undef DRIVER_0
#undef RATE_LIMITER_DRIVER

#define DRIVER_1(symbol) &symbol
#define DRIVER_0(symbol) NULL
#define RATE_LIMITER_DRIVER(name, others, symbol, built, package)                                  \
    {name, package, DRIVER_##built(symbol)},
static const struct {
    const char *name, *package;
    const struct rate_limiter_driver *driver;
} drivers[] = {
#include "drivers.def"
};
#undef RATE_LIMITER_DRIVER

static const struct rate_limiter_driver *find_driver(str name, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (!str_eq(name, str_z(drivers[i].name)))
            continue;
        if (drivers[i].driver == NULL)
            err_set(e, ERR_CONFIG,
                    "rate_limiter.driver \"%s\" is not part of this build (needs %s)",
                    drivers[i].name, drivers[i].package);
        return drivers[i].driver;
    }
    err_set(e, ERR_CONFIG, "rate_limiter.driver \"%.*s\" is not supported", FMT(name));
    return NULL;
}

struct rate_limiter *rate_limiter_create(const struct rate_limiter_options *opt, struct err *e)
{
    const struct rate_limiter_driver *driver = find_driver(opt->driver, e);
    return driver ? rate_limiter_create_with(driver, opt, e) : NULL;
}

static struct rate_limiter *fallback_create(const struct rate_limiter_options *opt, struct err *e)
{
    struct rate_limiter_options here = *opt;
    here.driver = S("memory");
    return rate_limiter_create(&here, e);
}

struct rate_limiter *rate_limiter_create_with(const struct rate_limiter_driver *driver,
                                              const struct rate_limiter_options *opt, struct err *e)
{
    CHECK(driver->size >= sizeof(struct rate_limiter));
    struct rate_limiter *r = mem_zero(driver->size);
    r->drv = driver;
    r->now_ms = opt->now_ms ? opt->now_ms : loop_clock_monotonic;
    r->now_ctx = opt->now_ctx;
    r->fail_closed = opt->fail_closed;
    pthread_mutex_init(&r->lock, NULL);
    waiting_init(&r->waiting);
    bool is_fine = driver->counts_here || (r->fallback = fallback_create(opt, e)) != NULL;
    rate_limiter_change(r, opt->limit);
    if (!driver->open(r, opt, e) || !is_fine)
        rate_limiter_destroy(&r);
    return r;
}

void rate_limiter_destroy(struct rate_limiter **r)
{
    struct rate_limiter *gone = *r;
    *r = NULL;
    if (gone == NULL)
        return;
    for (struct waiter *w; (w = waiting_any(&gone->waiting)) != NULL;) {
        struct rate_answer a = {0};
        err_set(&a.err, ERR_UNAVAILABLE, "rate limiter is closing");
        rate_call_answer((struct rate_call *)w, &a);
    }
    gone->drv->close(gone);
    rate_limiter_destroy(&gone->fallback);
    pthread_mutex_destroy(&gone->lock);
    waiting_finish(&gone->waiting);
    free(gone);
}

void rate_limiter_change(struct rate_limiter *r, struct rate_limit limit)
{
    if (limit.window_ms > RATE_WINDOW_MAX_MS)
        limit.window_ms = RATE_WINDOW_MAX_MS;
    if (limit.window_ms < 1)
        limit.window_ms = 1;
    pthread_mutex_lock(&r->lock);
    r->limit = limit;
    pthread_mutex_unlock(&r->lock);
    if (r->fallback)
        rate_limiter_change(r->fallback, limit);
}

static struct rate_limit limit_now(struct rate_limiter *r)
{
    pthread_mutex_lock(&r->lock);
    struct rate_limit limit = r->limit;
    pthread_mutex_unlock(&r->lock);
    return limit;
}

/* What the asker hears although the store did not count. */
static void count_here(const struct rate_call *call, struct rate_answer *a)
{
    struct rate_limiter *r = call->limiter;
    log_limited(LOG_WARN, "rate_limiter", "%s; %s", a->err.text,
                r->fail_closed ? "refusing requests" : "counting per node");
    *a = (struct rate_answer){.limit = call->limit.max_requests, .is_unavailable = true};
    if (r->fail_closed || !r->fallback)
        return;
    enum when when =
        rate_limiter_count(r->fallback, call->asker, str_of(call->key, call->key_n), a, NULL);
    CHECK(when == DONE);
}

enum when rate_limiter_count(struct rate_limiter *r, struct handle asker, str key,
                             struct rate_answer *out, rate_fn *cb)
{
    struct rate_call call = {.limiter = r, .asker = asker, .cb = cb, .limit = limit_now(r)};
    CHECK(key.n > 0 && key.n <= RATE_KEY_MAX);
    memcpy(call.key, key.p, key.n);
    call.key_n = key.n;
    *out = (struct rate_answer){0};
    enum when when = r->drv->count(r, out, &call);
    if (when == DONE && out->err.kind != ERR_NONE)
        count_here(&call, out);
    return when;
}

struct rate_call *rate_call_keep(const struct rate_call *call)
{
    return waiting_keep(&call->limiter->waiting, call, sizeof *call);
}

void rate_call_answer(struct rate_call *call, const struct rate_answer *a)
{
    struct rate_answer heard = *a;
    waiting_end(&call->wait);
    if (heard.err.kind != ERR_NONE)
        count_here(call, &heard);
    call->cb(call->asker, &heard);
    free(call);
}
