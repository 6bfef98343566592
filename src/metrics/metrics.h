/* metrics/metrics.h - the counters of the server, kept per thread, summed when they are read.
 *
 * Every metric is a row of metrics.def and every label value one of labels.def, so nobody outside
 * can create series. A thread adds to blocks of its own: no lock, no cache line shared by writers.
 *
 *     METRICS_NODE(http_auth_failures[label_auth_reason_KEY], 1);
 *     METRICS_APP(app, ws_messages_sent[0], subscribers);
 *
 * Nature   adding on any thread; metrics_write on one thread at a time
 * Limits   series of an app stay until the process ends, so only configured apps may have them
 *          (and "unknown", "global")
 * Source   metrics.md §1-§4; MET-23, MET-24
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"

#define LABEL(name)                                                                                \
    enum label_##name                                                                              \
    {
#define VALUE(label, id, text) label_##label##_##id,
#define END(name)                                                                                  \
    label_##name##_COUNT                                                                           \
    }                                                                                              \
    ;
#include "metrics/labels.def"

enum metric {
#define APP(id, ...) METRIC_##id,
#define SHARE(id, ...) METRIC_##id,
#define ZERO(id, ...) METRIC_##id,
#define NODE(id, ...) METRIC_##id,
#define READ(id, ...) METRIC_##id,
#include "metrics/metrics.def"
    METRIC_COUNT
};

/* A histogram: one cell per bucket, the last for what is above all bounds, then the sum in µs. */
enum { METRICS_BOUNDS = 15, METRICS_HISTOGRAM_CELLS = METRICS_BOUNDS + 2 };
typedef _Atomic uint64_t metrics_cell;
struct metrics_histogram {
    metrics_cell v[METRICS_HISTOGRAM_CELLS];
};
#define CELL_COUNTER metrics_cell
#define CELL_GAUGE metrics_cell
#define CELL_MS struct metrics_histogram
#define CELL_MS_LONG struct metrics_histogram

struct metrics_app_cells {
#define APP(id, name, type, label, help) CELL_##type id[label_##label##_COUNT];
#define SHARE(...)
#define ZERO(...)
#define NODE(...)
#define READ(...)
#include "metrics/metrics.def"
};
struct metrics_share_cells {
#define APP(...)
#define SHARE(id, name, type, a, b, help) CELL_##type id[label_##a##_COUNT * label_##b##_COUNT];
#define ZERO(...)
#define NODE(...)
#define READ(...)
#include "metrics/metrics.def"
};
struct metrics_node_cells {
#define APP(...)
#define SHARE(...)
#define ZERO(...)
#define NODE(id, name, type, front, a, b, c, help)                                                 \
    CELL_##type id[label_##a##_COUNT * label_##b##_COUNT * label_##c##_COUNT];
#define READ(...)
#include "metrics/metrics.def"
};

/* One thread's counters of one app; lives until the process ends. */
struct metrics_app {
    struct metrics_app_cells cells;
    _Atomic(struct metrics_share_cells *) share; /* NULL until needed */
    struct metrics_app *next;
    size_t id_n;
    char id[];
};
enum { METRICS_APP_BUCKETS = 4096 }; /* a channel's first subscriber looks its app up here */
struct metrics_thread {              /* one thread's counters */
    struct metrics_node_cells cells;
    struct metrics_thread *next;
    struct metrics_app *buckets[METRICS_APP_BUCKETS];
};

/* The calling thread's own. */
struct metrics_thread *metrics_thread(void);
/* The calling thread's counters of an app; to be used on this thread only. Unknown apps count
 * under S("unknown"), limits of the whole node under S("global"). */
struct metrics_app *metrics_app(str app_id);
struct metrics_share_cells *metrics_share(struct metrics_app *m);
/* The app is configured: its series are written from now on, with 0. Any thread. */
void metrics_app_known(str app_id);

/* Only the owner of a cell writes it, so there is no locked instruction. */
static inline void metrics_add(metrics_cell *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
void metrics_sample(struct metrics_histogram *h, double ms);

#define METRICS_APP(app, cell, n) metrics_add(&(app)->cells.cell, (uint64_t)(n))
#define METRICS_SHARE(app, cell, n) metrics_add(&metrics_share(app)->cell, (uint64_t)(n))
#define METRICS_NODE(cell, n) metrics_add(&metrics_thread()->cells.cell, (uint64_t)(n))

/* Sums over all threads, for tests and the status page. */
uint64_t metrics_sum_app(str app_id, size_t cell_offset);
#define METRICS_SUM_APP(app_id, cell)                                                              \
    metrics_sum_app(app_id, offsetof(struct metrics_app_cells, cell))
/* Of all apps, those that are not configured any more, "unknown" and "global" too. */
uint64_t metrics_sum_apps(size_t cell_offset);
#define METRICS_SUM_APPS(cell) metrics_sum_apps(offsetof(struct metrics_app_cells, cell))
uint64_t metrics_sum_node(size_t cell_offset);
#define METRICS_SUM_NODE(cell) metrics_sum_node(offsetof(struct metrics_node_cells, cell))

/* Which value of a label this text is; 0 if none. */
unsigned metrics_label_find(const char *label, str value);
/* The other way round; the label is one of labels.def and has this value. */
const char *metrics_label_text(const char *label, unsigned value);

/* ---- output ---- */

/* Values of READ rows, gathered while the output is made. */
struct metrics_report;
void metrics_report(struct metrics_report *r, enum metric id, unsigned label_a, unsigned label_b,
                    double value);

struct metrics_format {
    str prefix;
    uint16_t port; /* of the metrics listener: the label of that name */
    void (*read)(void *ctx, struct metrics_report *r); /* may be NULL */
    void *ctx;
};
/* The text exposition, version 0.0.4, families sorted by name. */
void metrics_write(struct buf *b, const struct metrics_format *f);
/* Names, types and labels of all rows, for docs and tests: "name type label label". */
void metrics_list(struct buf *b, str prefix);

#endif
