/* cache/cache.h - key/value store with expiry, for what may be forgotten.
 *
 * Nature   DONE: the answer is in *out and no callback comes; LATER: it comes exactly once, on
 *          the loop that asked; `asker` finds its connection or nobody. Any thread may ask. A
 *          driver with CACHE_AT_ONCE always answers DONE and takes only a leaf lock, so that it
 *          may be asked under the lock of a partition
 * Limits   key 1..CACHE_KEY_MAX bytes; value up to max_value_bytes
 * Source   spec/drivers.md §5, §9.10; spec/configuration.md §6
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/arena.h"
#include "base/base.h"

enum { CACHE_KEY_MAX = 4096 };
enum cache_caps {
    CACHE_SHARED = 1 << 0,  /* other nodes see our keys */
    CACHE_AT_ONCE = 1 << 1, /* never answers LATER */
};

struct cache; /* opaque; owned by struct server */
struct cache_driver;

struct cache_options {
    str driver;                   /* as in the config file */
    int64_t (*now_ms)(void *ctx); /* any thread; NULL: monotonic clock */
    void *now_ctx;
    size_t max_value_bytes; /* 0: 16 MiB */
    struct {
        int64_t ttl_ms;       /* of entries written without one; 0: until evicted */
        uint64_t max_entries; /* 0: 10,000 */
        uint64_t max_bytes;   /* keys and values; 0: 64 MiB */
    } memory;
};

struct cache_answer {
    bool found;
    str value;      /* DONE: in the arena of the call; LATER: borrowed until the callback returns */
    int64_t ttl_ms; /* what is left; 0: no expiry */
    struct err err; /* ERR_NONE: fine */
};
typedef void cache_fn(struct handle asker, const struct cache_answer *a);

/* Opens the driver that opt->driver names.
 * Gives    a cache the caller owns.
 * Errors   ERR_CONFIG unknown or unbuilt driver; ERR_UNAVAILABLE no first connection. */
NODISCARD struct cache *cache_create(const struct cache_options *opt, struct err *e);
/* The same with a driver that the table does not have (tests). */
NODISCARD struct cache *cache_create_with(const struct cache_driver *driver,
                                          const struct cache_options *opt, struct err *e);
/* Takes *c and sets it NULL; NULL is fine. Waiting callbacks get ERR_UNAVAILABLE first. */
void cache_destroy(struct cache **c);
unsigned cache_caps(const struct cache *c);
/* Memory is short: forgets entries worth so many bytes, the longest unused first. Gives how many
 * are free now; a cache elsewhere has none to give. */
size_t cache_shed(struct cache *c, size_t bytes);

/* The value is copied into `a`, so that another thread may replace the entry meanwhile. */
enum when cache_get(arena *a, struct cache *c, struct handle asker, str key,
                    struct cache_answer *out, cache_fn *cb);
/* ttl_ms 0: the driver's default. key and value are copied before the call returns. */
enum when cache_set(struct cache *c, struct handle asker, str key, str value, int64_t ttl_ms,
                    struct cache_answer *out, cache_fn *cb);
/* Removing what is not there is fine; out->found tells. */
enum when cache_remove(struct cache *c, struct handle asker, str key, struct cache_answer *out,
                       cache_fn *cb);

#endif
