/* cache/cache.c - front of the caches: picks the driver, checks sizes, ends waiting calls. */
#include "cache/cache.h"

#include "cache/driver.h"

#include <stdlib.h>
#include <time.h>

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

static int64_t monotonic_ms(void *unused)
{
    (void)unused;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
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
    c->now_ms = opt->now_ms ? opt->now_ms : monotonic_ms;
    c->now_ctx = opt->now_ctx;
    c->max_value_bytes = opt->max_value_bytes ? opt->max_value_bytes : MAX_VALUE_DEFAULT;
    pthread_mutex_init(&c->lock, NULL);
    if (!driver->open(c, opt, e))
        cache_destroy(&c);
    return c;
}

static struct cache_call *first_waiting(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    struct cache_call *call = c->waiting;
    pthread_mutex_unlock(&c->lock);
    return call;
}

void cache_destroy(struct cache **c)
{
    struct cache *gone = *c;
    *c = NULL;
    if (gone == NULL)
        return;
    for (struct cache_call *call; (call = first_waiting(gone)) != NULL;) {
        struct cache_answer a = {.found = false};
        err_set(&a.err, ERR_UNAVAILABLE, "cache is closing");
        cache_call_answer(call, &a);
    }
    gone->drv->close(gone);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

unsigned cache_caps(const struct cache *c)
{
    return c->drv->caps;
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
    struct cache_call *kept = mem_alloc(sizeof *kept);
    *kept = *call;
    struct cache *c = kept->cache;
    pthread_mutex_lock(&c->lock);
    kept->next = c->waiting;
    kept->prev = &c->waiting;
    if (kept->next)
        kept->next->prev = &kept->next;
    c->waiting = kept;
    pthread_mutex_unlock(&c->lock);
    return kept;
}

void cache_call_answer(struct cache_call *call, const struct cache_answer *a)
{
    struct cache *c = call->cache;
    pthread_mutex_lock(&c->lock);
    *call->prev = call->next;
    if (call->next)
        call->next->prev = call->prev;
    pthread_mutex_unlock(&c->lock);
    call->cb(call->asker, a);
    free(call);
}
