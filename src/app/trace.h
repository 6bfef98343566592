/* app/trace.h - what happens in one app, told while somebody looks: on the status page, in the log.
 *
 *     if (trace_on(&live->trace, now_ms))
 *         trace_tell(live, now_ms, &(struct traced){.what = TRACE_CLOSED, .code = 1000});
 *
 * Nature   any thread; one relaxed load when off. When on: a leaf lock per app
 * Limits   the newest TRACE_EVENTS of an app are kept, of TRACE_APPS apps at a time; texts are cut
 *          at TRACE_TEXT_MAX bytes; at most TRACE_LOG_MAX_S in the log at once
 * Source   metrics.md §6.4: names and sizes, never event data, user_info, signatures, keys
 */
#ifndef APP_TRACE_H
#define APP_TRACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

enum { TRACE_EVENTS = 512, TRACE_APPS = 8, TRACE_TEXT_MAX = 200 };
enum { TRACE_WATCH_MS = 10000, TRACE_LOG_MAX_S = 3600 };

enum trace_what {
#define TRACE(id, text) TRACE_##id,
#include "app/trace.def"
    TRACE_COUNT
};

/* All slices are borrowed. What does not belong to the event is zero. */
struct traced {
    enum trace_what what;
    str socket_id, channel;
    str name;          /* of the event; of who signed in, the user id */
    int code;          /* of an error or a Close */
    size_t bytes;      /* of the event's data, as JSON string */
    uint32_t channels; /* that an event was published to, `channel` is the first */
};
struct trace_line {
    uint64_t seq;    /* from 1, of this app */
    int64_t time_ms; /* Unix */
    enum trace_what what;
    int code;
    uint32_t channels;
    size_t bytes;
    uint8_t socket_id_n, channel_n, name_n;
    char socket_id[24], channel[TRACE_TEXT_MAX], name[TRACE_TEXT_MAX];
};

struct trace_ring;
struct trace {                   /* in struct app_live */
    _Atomic int64_t on_until_ms; /* the later of both; of the loops' clock */
    _Atomic int64_t watch_until_ms, log_until_ms;
    pthread_mutex_t lock;
    struct trace_ring *ring; /* NULL: not looked at */
    uint64_t seq;            /* of the newest line */
};

struct app_lives;
struct app_live;

const char *trace_text(enum trace_what what);
void trace_init(struct trace *t);
void trace_finish(struct trace *t);

/* Lines of this app are kept for TRACE_WATCH_MS from now. False: TRACE_APPS others are watched. */
NODISCARD bool trace_watch(struct app_lives *all, struct app_live *a, int64_t now_ms);
/* They are written to the log, whatever its level, for `ms` from now; 0 ends it. */
void trace_log(struct app_lives *all, struct app_live *a, int64_t now_ms, int64_t ms);
/* Copies what came behind `after`, oldest first; a number that was never given means all.
 * out has room for TRACE_EVENTS. *missed_out: lines behind `after` that are not kept any more. */
size_t trace_read(struct trace *t, uint64_t after, struct trace_line *out, uint64_t *missed_out);

static inline bool trace_on(const struct trace *t, int64_t now_ms)
{
    return UNLIKELY(atomic_load_explicit(&t->on_until_ms, memory_order_relaxed) > now_ms);
}
void trace_tell(struct app_live *a, int64_t now_ms, const struct traced *what);

#endif
