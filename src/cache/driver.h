/* cache/driver.h - for those who implement a cache; private to this folder and to tests.
 *
 * Every slot is mandatory. cache.c has checked the sizes; a driver only moves bytes. One that
 * cannot answer at once copies what it needs, keeps the call with cache_call_keep, returns LATER
 * and answers once, on the thread that asked, with cache_call_answer.
 */
#ifndef CACHE_DRIVER_H
#define CACHE_DRIVER_H

#include "base/waiting.h"
#include "cache/cache.h"

#include <pthread.h>

struct cache_call { /* one question that waits */
    struct waiter wait;
    struct cache *cache;
    struct handle asker;
    cache_fn *cb;
};

struct cache_driver {
    const char *name; /* as in the config file */
    unsigned caps;    /* enum cache_caps */
    size_t size;      /* of the driver's own struct, cleared before open */
    bool (*open)(struct cache *c, const struct cache_options *opt, struct err *e);
    void (*close)(struct cache *c); /* also after a failed open */
    /* DONE: the value is copied into `a`, which is not kept. */
    enum when (*get)(arena *a, struct cache *c, str key, struct cache_answer *out,
                     struct cache_call *call);
    enum when (*set)(struct cache *c, str key, str value, int64_t ttl_ms, struct cache_answer *out,
                     struct cache_call *call);
    enum when (*remove)(struct cache *c, str key, struct cache_answer *out,
                        struct cache_call *call);
    /* Forgets what was used longest ago, until so many bytes are free; gives how many are. NULL:
     * nothing lies in this process. */
    size_t (*shed)(struct cache *c, size_t bytes);
};

struct cache { /* first member of every driver's own struct */
    const struct cache_driver *drv;
    int64_t (*now_ms)(void *ctx);
    void *now_ctx;
    size_t max_value_bytes;
    struct waiting_list waiting;
};

/* The call a driver is given lies on the stack of the front; this one it may hold. */
struct cache_call *cache_call_keep(const struct cache_call *call);
/* Ends a kept call. */
void cache_call_answer(struct cache_call *call, const struct cache_answer *a);

#endif
