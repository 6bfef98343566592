/* rate_limiter/driver.h - for those who implement a rate limiter; private to this folder and tests.
 *
 * Every slot is mandatory. A driver that cannot answer at once keeps the call with rate_call_keep,
 * returns LATER and answers once, on the thread that asked, with rate_call_answer. One that cannot
 * count sets err in the answer (either way): the front then does what the operator chose.
 */
#ifndef RATE_LIMITER_DRIVER_H
#define RATE_LIMITER_DRIVER_H

#include "base/waiting.h"
#include "rate_limiter/rate_limiter.h"

#include <pthread.h>

struct rate_call { /* one question that waits */
    struct waiter wait;
    struct rate_limiter *limiter;
    struct handle asker;
    rate_fn *cb;
    struct rate_limit limit;
    size_t key_n;
    char key[RATE_KEY_MAX];
};

struct rate_limiter_driver {
    const char *name; /* as in the config file */
    bool counts_here; /* never fails and needs no fallback */
    size_t size;      /* of the driver's own struct, cleared before open */
    bool (*open)(struct rate_limiter *r, const struct rate_limiter_options *opt, struct err *e);
    void (*close)(struct rate_limiter *r); /* also after a failed open */
    /* Key and limit are in `call`. */
    enum when (*count)(struct rate_limiter *r, struct rate_answer *out,
                       const struct rate_call *call);
};

struct rate_limiter { /* first member of every driver's own struct */
    const struct rate_limiter_driver *drv;
    int64_t (*now_ms)(void *ctx);
    void *now_ctx;
    bool fail_closed;
    struct rate_limiter *fallback; /* NULL: not needed */
    pthread_mutex_t lock;          /* leaf; the limit */
    struct rate_limit limit;
    struct waiting_list waiting;
};

/* The two windows of one client; {0} before his first request. */
struct rate_window {
    int64_t start_ms; /* of the current window; 0: nothing counted yet */
    uint32_t before, now;
};
/* Counts a request at now_ms (> 0) if it is within the limit. */
void rate_window_count(struct rate_window *w, const struct rate_limit *limit, int64_t now_ms,
                       struct rate_answer *out);
/* Nothing that was counted matters any more. */
bool rate_window_is_over(const struct rate_window *w, const struct rate_limit *limit,
                         int64_t now_ms);

/* The call a driver is given lies on the stack of the front; this one it may hold. */
struct rate_call *rate_call_keep(const struct rate_call *call);
/* Ends a kept call. */
void rate_call_answer(struct rate_call *call, const struct rate_answer *a);

#endif
