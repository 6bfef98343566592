/* cache/cache.c - front of the caches: picks the driver, checks sizes, ends waiting calls. */
#include "cache/cache.h"

#include "cache/driver.h"
#include "io/loop.h"

#include <stdlib.h>

#define CACHE_DRIVER(name, others, symbol, built, package) DRIVER_##built(symbol)
#define DRIVER_1(symbol) extern const struct cache_driver symbol;
#define DRIVER_0(symbol)
#include "drivers.def"
#undef DRIVER_1
#undef DRIVER_0
#undef CACHE_DRIVER

#define DRIVER_1(symbol) &symbol
#define DRIVER_0(symbol) NULL
#define CACHE_DRIVER(name, others, symbol, built, package) {name, package, DRIVER_##built(symbol)},
static const struct {
    const char *name, *package;
    const struct cache_driver *driver;
} drivers[] = {
#include "drivers.def"
};
#undef CACHE_DRIVER

enum { MAX_VALUE_DEFAULT = 16 << 20 };

static const struct cache_driver *find_driver(str name, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (!str_eq(name, str_z(drivers[i].name)))
            continue;
        if (drivers[i].driver == NULL)
            err_set(e, ERR_CONFIG, "cache.driver \"%s\" is not part of this build (needs %s)",
                    drivers[i].name, drivers[i].package);
        return drivers[i].driver;
    }
    err_set(e, ERR_CONFIG, "cache.driver \"%.*s\" is not supported", FMT(name));
    return NULL;
}

struct cache *cache_create(const struct cache_options *opt, struct err *e)
{
    const struct cache_driver *driver = find_driver(opt->driver, e);
    return driver ? cache_create_with(driver, opt, e) : NULL;
}

struct cache *cache_create_with(const struct cache_driver *driver, const struct cache_options *opt,
                                struct err *e)
{
    CHECK(driver->size >= sizeof(struct cache));
    struct cache *c = mem_zero(driver->size);
    c->drv = driver;
    c->now_ms = opt->now_ms ? opt->now_ms : loop_clock_monotonic;
    c->now_ctx = opt->now_ctx;
    c->max_value_bytes = opt->max_value_bytes ? opt->max_value_bytes : MAX_VALUE_DEFAULT;
    waiting_init(&c->waiting);
    if (!driver->open(c, opt, e))
        cache_destroy(&c);
    return c;
}

void cache_destroy(struct cache **c)
{
    struct cache *gone = *c;
    *c = NULL;
    if (gone == NULL)
        return;
    for (struct waiter *w; (w = waiting_any(&gone->waiting)) != NULL;) {
        struct cache_answer a = {.found = false};
        err_set(&a.err, ERR_UNAVAILABLE, "cache is closing");
        cache_call_answer((struct cache_call *)w, &a);
    }
    gone->drv->close(gone);
    waiting_finish(&gone->waiting);
    free(gone);
}

unsigned cache_caps(const struct cache *c)
{
    return c->drv->caps;
}

size_t cache_shed(struct cache *c, size_t bytes)
{
    return c->drv->shed ? c->drv->shed(c, bytes) : 0;
}

static bool key_fits(str key, struct err *e)
{
    if (key.n == 0)
        return err_set(e, ERR_LIMIT, "cache key is empty");
    if (key.n > CACHE_KEY_MAX)
        return err_set(e, ERR_LIMIT, "cache key has %zu bytes, limit %d", key.n, CACHE_KEY_MAX);
    return true;
}

static bool value_fits(const struct cache *c, str value, struct err *e)
{
    if (value.n > c->max_value_bytes)
        return err_set(e, ERR_LIMIT, "cache value has %zu bytes, limit %zu", value.n,
                       c->max_value_bytes);
    return true;
}

enum when cache_get(arena *a, struct cache *c, struct handle asker, str key,
                    struct cache_answer *out, cache_fn *cb)
{
    struct cache_call call = {.cache = c, .asker = asker, .cb = cb};
    *out = (struct cache_answer){.found = false};
    return key_fits(key, &out->err) ? c->drv->get(a, c, key, out, &call) : DONE;
}

enum when cache_set(struct cache *c, struct handle asker, str key, str value, int64_t ttl_ms,
                    struct cache_answer *out, cache_fn *cb)
{
    struct cache_call call = {.cache = c, .asker = asker, .cb = cb};
    *out = (struct cache_answer){.found = false};
    if (!key_fits(key, &out->err) || !value_fits(c, value, &out->err))
        return DONE;
    return c->drv->set(c, key, value, ttl_ms, out, &call);
}

enum when cache_remove(struct cache *c, struct handle asker, str key, struct cache_answer *out,
                       cache_fn *cb)
{
    struct cache_call call = {.cache = c, .asker = asker, .cb = cb};
    *out = (struct cache_answer){.found = false};
    return key_fits(key, &out->err) ? c->drv->remove(c, key, out, &call) : DONE;
}

struct cache_call *cache_call_keep(const struct cache_call *call)
{
    return waiting_keep(&call->cache->waiting, call, sizeof *call);
}

void cache_call_answer(struct cache_call *call, const struct cache_answer *a)
{
    waiting_end(&call->wait);
    call->cb(call->asker, a);
    free(call);
}
