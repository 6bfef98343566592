/* cache/none.c - remembers nothing: every get is a miss (spec/drivers.md §9.10). */
#include "cache/driver.h"

struct none {
    struct cache base;
};

static bool none_open(struct cache *c, const struct cache_options *opt, struct err *e)
{
    (void)c, (void)opt, (void)e;
    return true;
}

static void none_close(struct cache *c)
{
    (void)c;
}

static enum when none_get(arena *a, struct cache *c, str key, struct cache_answer *out,
                          struct cache_call *call)
{
    (void)a, (void)c, (void)key, (void)out, (void)call;
    return DONE;
}

static enum when none_set(struct cache *c, str key, str value, int64_t ttl_ms,
                          struct cache_answer *out, struct cache_call *call)
{
    (void)c, (void)key, (void)value, (void)ttl_ms, (void)out, (void)call;
    return DONE;
}

static enum when none_remove(struct cache *c, str key, struct cache_answer *out,
                             struct cache_call *call)
{
    (void)c, (void)key, (void)out, (void)call;
    return DONE;
}

extern const struct cache_driver cache_none;
const struct cache_driver cache_none = {
    .name = "none",
    .caps = CACHE_AT_ONCE,
    .size = sizeof(struct none),
    .open = none_open,
    .close = none_close,
    .get = none_get,
    .set = none_set,
    .remove = none_remove,
};
