/* rate_limiter/rate_limiter.h - how many requests a client has left: a sliding window.
 *
 * Two fixed windows approximate it: what was counted in the one before weighs as much as it still
 * overlaps the last `window_ms`. A client's first window begins with his first request, so exactly
 * max_requests pass at first. A refused request is not counted.
 *
 * Nature   DONE: the answer is in *out and no callback comes; LATER: it comes exactly once, on the
 *          loop that asked. Any thread may ask
 * Limits   key 1..RATE_KEY_MAX bytes; window 1 ms..RATE_WINDOW_MAX_MS (longer ones are cut)
 * Failure  a store that cannot answer: counted in this node's memory with the same numbers, or
 *          with fail_closed is_unavailable
 * Source   http-api.md §12.1; drivers.md §9.12
 */
#ifndef RATE_LIMITER_RATE_LIMITER_H
#define RATE_LIMITER_RATE_LIMITER_H

#include "base/base.h"

enum { RATE_KEY_MAX = 64, RATE_WINDOW_MAX_MS = 1000000000 };

struct rate_limiter; /* opaque; owned by struct server */
struct rate_limiter_driver;

struct rate_limit {
    uint32_t max_requests; /* 0: none passes */
    int64_t window_ms;
};
struct rate_limiter_options {
    str driver; /* as in the config file */
    str name;   /* which limit this is; part of the keys in a shared store */
    struct rate_limit limit;
    bool fail_closed;
    int64_t (*now_ms)(void *ctx); /* any thread; NULL: monotonic clock */
    void *now_ctx;
    struct {
        uint32_t max_entries; /* clients with a count of their own; 0: 1,000,000 */
    } memory;
};

struct rate_answer {
    bool is_allowed;
    bool is_unavailable; /* refused because nobody could count */
    uint32_t limit, remaining;
    uint32_t reset_s; /* remaining 0: until a request is admitted, else until the window is over */
    struct err err;   /* between driver and front only */
};
typedef void rate_fn(struct handle asker, const struct rate_answer *a);

/* Opens the driver that opt->driver names.
 * Gives    a limiter the caller owns.
 * Errors   ERR_CONFIG unknown or unbuilt driver; ERR_UNAVAILABLE no first connection. */
NODISCARD struct rate_limiter *rate_limiter_create(const struct rate_limiter_options *opt,
                                                   struct err *e);
/* The same with a driver that the table does not have (tests). */
NODISCARD struct rate_limiter *rate_limiter_create_with(const struct rate_limiter_driver *driver,
                                                        const struct rate_limiter_options *opt,
                                                        struct err *e);
/* Takes *r and sets it NULL; NULL is fine. Waiting callbacks are answered first. */
void rate_limiter_destroy(struct rate_limiter **r);

/* Counts one request of `key`, which is copied if need be. */
enum when rate_limiter_count(struct rate_limiter *r, struct handle asker, str key,
                             struct rate_answer *out, rate_fn *cb);
/* From the next request on; what was counted stays. Any thread. */
void rate_limiter_change(struct rate_limiter *r, struct rate_limit limit);

#endif
