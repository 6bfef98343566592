#include "app/trace.h"

#include <stdlib.h>
#include <time.h>

#include "app/app_live.h"
#include "base/log.h"
#include "base/utf8.h"

struct trace_ring {
    struct trace_line lines[TRACE_EVENTS]; /* seq n lies at n % TRACE_EVENTS */
    uint64_t first;                        /* seq of the oldest that was ever put here */
};

const char *trace_text(enum trace_what what)
{
    static const char *const texts[] = {
#define TRACE(id, text) [TRACE_##id] = text,
#include "app/trace.def"
    };
    return texts[what];
}

void trace_init(struct trace *t)
{
    pthread_mutex_init(&t->lock, NULL);
}

static void ring_drop(struct trace *t)
{
    pthread_mutex_lock(&t->lock);
    free(t->ring);
    t->ring = NULL;
    pthread_mutex_unlock(&t->lock);
}

void trace_finish(struct trace *t)
{
    ring_drop(t);
    pthread_mutex_destroy(&t->lock);
}

/* ---- on and off; under the lock of `all` ---- */

static void until_set(struct trace *t)
{
    int64_t watch = atomic_load(&t->watch_until_ms), log = atomic_load(&t->log_until_ms);
    atomic_store(&t->on_until_ms, watch > log ? watch : log);
}

/* The app's own place, else a free one, else one that nobody looks at any more. */
static struct app_live **place_of(struct app_lives *all, const struct app_live *a, int64_t now_ms)
{
    struct app_live **idle = NULL;
    for (size_t i = 0; i < COUNT_OF(all->watched); i++) {
        struct app_live **place = &all->watched[i];
        if (*place == a)
            return place;
        if (!*place || (!idle && atomic_load(&(*place)->trace.watch_until_ms) <= now_ms))
            idle = place;
    }
    return idle;
}

static void ring_make(struct trace *t)
{
    pthread_mutex_lock(&t->lock);
    if (!t->ring) {
        t->ring = mem_zero(sizeof *t->ring);
        t->ring->first = t->seq + 1;
    }
    pthread_mutex_unlock(&t->lock);
}

bool trace_watch(struct app_lives *all, struct app_live *a, int64_t now_ms)
{
    pthread_mutex_lock(&all->lock);
    struct app_live **place = place_of(all, a, now_ms);
    if (place) {
        if (*place && *place != a)
            ring_drop(&(*place)->trace);
        *place = a;
        ring_make(&a->trace);
        atomic_store(&a->trace.watch_until_ms, now_ms + TRACE_WATCH_MS);
        until_set(&a->trace);
    }
    pthread_mutex_unlock(&all->lock);
    return place != NULL;
}

void trace_log(struct app_lives *all, struct app_live *a, int64_t now_ms, int64_t ms)
{
    pthread_mutex_lock(&all->lock);
    atomic_store(&a->trace.log_until_ms, ms ? now_ms + ms : 0);
    until_set(&a->trace);
    pthread_mutex_unlock(&all->lock);
}

/* ---- telling ---- */

static uint8_t text_keep(char *out, size_t max, str s)
{
    s = utf8_cut(s, max);
    if (s.n)
        memcpy(out, s.p, s.n);
    return (uint8_t)s.n;
}

static void line_keep(struct trace *t, const struct traced *e)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&t->lock);
    if (t->ring) {
        struct trace_line *l = &t->ring->lines[++t->seq % TRACE_EVENTS];
        l->seq = t->seq;
        l->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        l->what = e->what;
        l->code = e->code;
        l->channels = e->channels;
        l->bytes = e->bytes;
        l->socket_id_n = text_keep(l->socket_id, sizeof l->socket_id, e->socket_id);
        l->channel_n = text_keep(l->channel, sizeof l->channel, e->channel);
        l->name_n = text_keep(l->name, sizeof l->name, e->name);
    }
    pthread_mutex_unlock(&t->lock);
}

/* Past the filter: somebody has asked for exactly these lines. */
static void line_log(const struct app_live *a, const struct traced *e)
{
    struct log_field f[7] = {LOG_TEXT("app_id", str_of(a->id, a->id_n))};
    size_t n = 1;
    bool is_event = e->what == TRACE_CLIENT_EVENT || e->what == TRACE_PUBLISHED;
    if (e->socket_id.n)
        f[n++] = (struct log_field)LOG_TEXT("socket_id", e->socket_id);
    if (e->channel.n)
        f[n++] = (struct log_field)LOG_TEXT("channel", e->channel);
    if (e->name.n)
        f[n++] =
            (struct log_field)LOG_TEXT(e->what == TRACE_SIGNED_IN ? "user_id" : "event", e->name);
    if (e->code)
        f[n++] = (struct log_field)LOG_INTEGER("code", e->code);
    if (e->channels)
        f[n++] = (struct log_field)LOG_INTEGER("channels", e->channels);
    if (is_event)
        f[n++] = (struct log_field)LOG_INTEGER("bytes", (int64_t)e->bytes);
    log_event(LOG_HERE(LOG_DEBUG, "trace"), str_z(trace_text(e->what)), f, n);
}

void trace_tell(struct app_live *a, int64_t now_ms, const struct traced *what)
{
    if (atomic_load_explicit(&a->trace.watch_until_ms, memory_order_relaxed) > now_ms)
        line_keep(&a->trace, what);
    if (atomic_load_explicit(&a->trace.log_until_ms, memory_order_relaxed) > now_ms)
        line_log(a, what);
}

/* ---- looking ---- */

size_t trace_read(struct trace *t, uint64_t after, struct trace_line *out, uint64_t *missed_out)
{
    size_t n = 0;
    *missed_out = 0;
    pthread_mutex_lock(&t->lock);
    if (after > t->seq)
        after = 0;
    uint64_t from = after + 1;
    if (t->ring) {
        uint64_t oldest = t->seq >= TRACE_EVENTS ? t->seq - TRACE_EVENTS + 1 : 1;
        if (oldest < t->ring->first)
            oldest = t->ring->first;
        if (from < oldest) {
            *missed_out = after ? oldest - from : 0;
            from = oldest;
        }
        for (; from <= t->seq; from++)
            out[n++] = t->ring->lines[from % TRACE_EVENTS];
    }
    pthread_mutex_unlock(&t->lock);
    return n;
}
