/* app/app_live.h - what of an app lives on across records: its connection count, its trace.
 *
 * Nature   any thread. Quotas are atomic reserves: add, compare, undo (design §4)
 * Limits   one entry per app id ever connected to; known apps only
 */
#ifndef APP_APP_LIVE_H
#define APP_APP_LIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/trace.h"
#include "base/base.h"

struct app_live {
    struct app_live *next;
    _Atomic int64_t connections; /* admitted ones */
    char apart[64];              /* the trace is read often, the count written often */
    struct trace trace;
    size_t id_n;
    char id[];
};
enum { APP_LIVE_BUCKETS = 4096 }; /* of up to 100,000 apps */
struct app_lives {
    pthread_mutex_t lock;
    struct app_live *buckets[APP_LIVE_BUCKETS];
    struct app_live *watched[TRACE_APPS]; /* whose traces have a ring (app/trace.c) */
};

void app_lives_init(struct app_lives *l);
void app_lives_finish(struct app_lives *l);
/* Never NULL; lives until app_lives_finish. */
struct app_live *app_live_get(struct app_lives *l, str id);

/* Takes one of `max` places (0 or less: unlimited). */
NODISCARD bool quota_take(_Atomic int64_t *count, int64_t max);
void quota_give(_Atomic int64_t *count);

#endif
