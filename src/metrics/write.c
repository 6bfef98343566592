/* metrics/write.c - the text exposition (version 0.0.4) of everything in metrics.def. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "metrics/blocks.h"
#include "metrics/process.h"
#if __has_include("commit.generated.h")
#include "commit.generated.h" /* made by the build */
#else
#define SOCKUDO_COMMIT "unknown"
#endif

/* ---- the table ---- */

#define LABEL(name) static const char *const values_##name[] = {
#define VALUE(label, id, text) text,
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "metrics/labels.def"

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_MS, TYPE_MS_LONG };
enum kind { KIND_APP, KIND_SHARE, KIND_ZERO, KIND_NODE, KIND_READ, KIND_PROCESS };
enum front { FRONT_APP, FRONT_PORT, FRONT_PLAIN };
struct label {
    const char *name;
    const char *const *values;
    unsigned count; /* 1 with an empty value: no label */
};
struct row {
    const char *name, *help;
    enum kind kind;
    enum type type;
    enum front front;
    size_t offset;
    struct label labels[3];
};
#define L(name)                                                                                    \
    {                                                                                              \
#name, values_##name, label_##name##_COUNT                                                 \
    }

#define LABEL(name) L(name),
#define VALUE(label, id, text)
#define END(name)
static const struct label all_labels[] = {
#include "metrics/labels.def"
};

/* The label of queue_depth is called driver, that of http_auth_failures reason, and so on. */
static const struct {
    const char *list, *name;
} shown_names[] = {
    {"queue_driver", "driver"},     {"auth_reason", "reason"},          {"webhook_event", "event"},
    {"drop_reason", "reason"},      {"message_reason", "reason"},       {"nats_event", "event"},
    {"app_cache_result", "result"}, {"channel_cache_result", "result"},
};

static const struct row rows[] = {
#define APP(id, name, type, label, help)                                                           \
    {name,                                                                                         \
     help,                                                                                         \
     KIND_APP,                                                                                     \
     TYPE_##type,                                                                                  \
     FRONT_APP,                                                                                    \
     offsetof(struct metrics_app_cells, id),                                                       \
     {L(label), L(none), L(none)}},
#define SHARE(id, name, type, a, b, help)                                                          \
    {name,                                                                                         \
     help,                                                                                         \
     KIND_SHARE,                                                                                   \
     TYPE_##type,                                                                                  \
     FRONT_APP,                                                                                    \
     offsetof(struct metrics_share_cells, id),                                                     \
     {L(a), L(b), L(none)}},
#define ZERO(id, name, type, help)                                                                 \
    {name, help, KIND_ZERO, TYPE_##type, FRONT_APP, 0, {L(none), L(none), L(none)}},
#define NODE(id, name, type, front, a, b, c, help)                                                 \
    {name,                                                                                         \
     help,                                                                                         \
     KIND_NODE,                                                                                    \
     TYPE_##type,                                                                                  \
     FRONT_##front,                                                                                \
     offsetof(struct metrics_node_cells, id),                                                      \
     {L(a), L(b), L(c)}},
#define READ(id, name, type, front, a, b, c, help)                                                 \
    {name, help, KIND_READ, TYPE_##type, FRONT_##front, 0, {L(a), L(b), L(c)}},
#include "metrics/metrics.def"
};

static const char *shown_name(const char *list)
{
    for (size_t i = 0; i < COUNT_OF(shown_names); i++)
        if (strcmp(shown_names[i].list, list) == 0)
            return shown_names[i].name;
    return list;
}

static bool has_label(const struct label *l)
{
    return strcmp(l->name, "none") != 0;
}

unsigned metrics_label_find(const char *label, str value)
{
    for (size_t i = 0; i < COUNT_OF(all_labels); i++)
        for (unsigned v = 0; strcmp(all_labels[i].name, label) == 0 && v < all_labels[i].count; v++)
            if (str_eq(str_z(all_labels[i].values[v]), value))
                return v;
    return 0;
}

const char *metrics_label_text(const char *label, unsigned value)
{
    size_t i = 0;
    while (i < COUNT_OF(all_labels) && strcmp(all_labels[i].name, label) != 0)
        i++;
    CHECK(i < COUNT_OF(all_labels) && value < all_labels[i].count);
    return all_labels[i].values[value];
}

/* ---- gathered values ---- */

struct reading {
    enum metric id;
    unsigned a, b;
    double value;
};
struct metrics_report {
    struct reading *v;
    size_t n, cap;
};

void metrics_report(struct metrics_report *r, enum metric id, unsigned a, unsigned b, double value)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = mem_resize(r->v, r->cap * sizeof *r->v);
    }
    r->v[r->n++] = (struct reading){id, a, b, value};
}

struct writing {
    struct buf *out;
    const struct metrics_format *f;
    struct metrics_blocks blocks;
    struct metrics_report read;
};

/* ---- one line ---- */

/* Source: Prometheus text format: in label values \ " and newline are escaped. */
static void add_label_value(struct buf *b, str s)
{
    size_t begin = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\n' && s.p[i] != '\\' && s.p[i] != '"')
            continue;
        buf_add(b, str_of(s.p + begin, i - begin));
        buf_char(b, '\\');
        buf_char(b, s.p[i] == '\n' ? 'n' : s.p[i]);
        begin = i + 1;
    }
    if (begin < s.n)
        buf_add(b, str_from(s, begin));
}

struct sample { /* where a line stands */
    const struct row *row;
    const char *suffix;
    str app_id;
    unsigned at[3];
    const char *le; /* of a bucket, or NULL */
};

static void add_label(struct buf *b, bool *some, const char *name, str value)
{
    buf_char(b, *some ? ',' : '{');
    buf_add(b, str_z(name));
    buf_add(b, S("=\""));
    add_label_value(b, value);
    buf_char(b, '"');
    *some = true;
}

static const char *context_of(unsigned limiter)
{
    return limiter == label_limiter_type_API         ? "http_api"
           : limiter == label_limiter_type_WEBSOCKET ? "websocket_upgrade"
                                                     : "unknown";
}

static void add_front(const struct writing *w, const struct sample *s)
{
    bool some = false;
    char port[8];
    struct buf *b = w->out;
    buf_add(b, w->f->prefix);
    buf_add(b, str_z(s->row->name));
    buf_add(b, str_z(s->suffix));
    if (s->row->front == FRONT_APP)
        add_label(b, &some, "app_id", s->app_id);
    for (int i = 0; i < 3; i++) {
        const struct label *l = &s->row->labels[i];
        if (!has_label(l))
            continue;
        add_label(b, &some, shown_name(l->name), str_z(l->values[s->at[i]]));
        if (l->values == values_limiter_type)
            add_label(b, &some, "request_context", str_z(context_of(s->at[i])));
    }
    if (s->row->front != FRONT_PLAIN) {
        struct buf text = {.p = port, .cap = sizeof port, .max = sizeof port};
        buf_u64(&text, w->f->port);
        add_label(b, &some, "port", buf_str(&text));
    }
    if (s->le)
        add_label(b, &some, "le", str_z(s->le));
    if (some)
        buf_char(b, '}');
    buf_char(b, ' ');
}

static void add_count(struct buf *b, uint64_t v)
{
    buf_u64(b, v);
    buf_char(b, '\n');
}

static void add_number(struct buf *b, double v)
{
    if (v == (double)(int64_t)v && v > -1e15 && v < 1e15)
        buf_printf(b, "%lld\n", (long long)v);
    else
        buf_printf(b, "%.15g\n", v);
}

/* ---- one family ---- */

typedef uint64_t value_fn(const void *ctx, const struct row *row, size_t offset);
struct source {
    value_fn *value; /* NULL: all zero */
    const void *ctx;
    str app_id;
    bool zeros; /* write what is 0 too */
};

static uint64_t app_value(const void *ctx, const struct row *row, size_t offset)
{
    return metrics_app_value(ctx, row->kind == KIND_SHARE, offset);
}

static uint64_t node_value(const void *ctx, const struct row *row, size_t offset)
{
    (void)row;
    return metrics_node_value(ctx, offset);
}

static uint64_t value_at(const struct source *src, const struct row *row, size_t offset)
{
    return src->value ? src->value(src->ctx, row, offset) : 0;
}

static size_t bounds_of(const struct row *row)
{
    return row->type == TYPE_MS_LONG ? METRICS_BOUNDS : METRICS_BOUNDS - 2;
}

/* Samples above the row's own bounds lie in the cells behind them. */
static void add_histogram(const struct writing *w, const struct source *src, struct sample *s,
                          size_t offset)
{
    uint64_t v[METRICS_HISTOGRAM_CELLS], count = 0;
    size_t bounds = bounds_of(s->row);
    char le[32];
    for (size_t i = 0; i < METRICS_HISTOGRAM_CELLS; i++)
        v[i] = value_at(src, s->row, offset + i * sizeof(metrics_cell));
    for (size_t i = 0; i <= METRICS_BOUNDS; i++)
        count += v[i];
    if (count == 0 && !src->zeros)
        return;
    uint64_t so_far = 0;
    s->suffix = "_bucket";
    for (size_t i = 0; i < bounds; i++) {
        so_far += v[i];
        snprintf(le, sizeof le, "%g", metrics_bounds()[i]);
        s->le = le;
        add_front(w, s);
        add_count(w->out, so_far);
    }
    s->le = "+Inf";
    add_front(w, s);
    add_count(w->out, count);
    s->le = NULL;
    s->suffix = "_sum";
    add_front(w, s);
    add_number(w->out, (double)v[METRICS_BOUNDS + 1] / 1000);
    s->suffix = "_count";
    add_front(w, s);
    add_count(w->out, count);
}

static void add_value(const struct writing *w, const struct source *src, struct sample *s,
                      size_t offset)
{
    uint64_t v = value_at(src, s->row, offset);
    if (v == 0 && !src->zeros)
        return;
    s->suffix = "";
    add_front(w, s);
    if (s->row->type == TYPE_GAUGE)
        buf_printf(w->out, "%lld\n", (long long)v);
    else
        add_count(w->out, v);
}

/* The limits of the node are counted under "global", those of clients under their app. */
static bool is_of_node(const struct row *row, unsigned at)
{
    return row->labels[0].values == values_limiter_type && at <= label_limiter_type_WEBSOCKET;
}

static void add_cells(const struct writing *w, const struct row *row, struct source src)
{
    bool is_histogram = row->type >= TYPE_MS;
    size_t size = sizeof(metrics_cell) * (is_histogram ? METRICS_HISTOGRAM_CELLS : 1);
    const struct label *l = row->labels;
    unsigned cells = l[0].count * l[1].count * l[2].count;
    src.zeros &= cells <= (is_histogram ? 1 : 8); /* wide families show what has happened */
    for (unsigned i = 0; i < cells; i++) {
        struct sample s = {row, "", src.app_id, {0}, NULL};
        s.at[0] = i / (l[1].count * l[2].count);
        s.at[1] = i / l[2].count % l[1].count;
        s.at[2] = i % l[2].count;
        struct source here = src;
        here.zeros &= !is_of_node(row, i);
        if (is_histogram)
            add_histogram(w, &here, &s, row->offset + i * size);
        else
            add_value(w, &here, &s, row->offset + i * size);
    }
}

static void add_read(const struct writing *w, const struct row *row)
{
    enum metric id = (enum metric)(row - rows);
    for (size_t i = 0; i < w->read.n; i++) {
        const struct reading *r = &w->read.v[i];
        if (r->id != id)
            continue;
        struct sample s = {row, "", S(""), {r->a, r->b, 0}, NULL};
        add_front(w, &s);
        add_number(w->out, r->value);
    }
}

static void add_samples(const struct writing *w, const struct row *row)
{
    if (row->kind == KIND_READ) {
        add_read(w, row);
        return;
    }
    if (row->kind == KIND_NODE) {
        add_cells(w, row, (struct source){node_value, &w->blocks, S(""), true});
        return;
    }
    for (size_t i = 0; i < w->blocks.app_count; i++) {
        const struct metrics_app_row *a = &w->blocks.apps[i];
        bool is_real = row->kind != KIND_ZERO;
        if (is_real || a->known)
            add_cells(w, row, (struct source){is_real ? app_value : NULL, a, a->id, a->known});
    }
}

static void add_head(const struct writing *w, str name, const char *help, const char *type)
{
    buf_printf(w->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", FMT(name), help, FMT(name), type);
}

/* ---- everything ---- */

struct family { /* sorted by the name that is shown */
    str name;
    const struct row *row; /* NULL: one of the process */
    const char *help, *type;
    double value;
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct family *)a)->name, ((const struct family *)b)->name);
}

static size_t process_families(struct family *f)
{
    struct process_usage u;
    process_usage(&u);
    const struct family all[] = {
        {S("process_resident_memory_bytes"), NULL, "Resident memory", "gauge",
         (double)u.resident_bytes},
        {S("process_virtual_memory_bytes"), NULL, "Virtual memory", "gauge",
         (double)u.virtual_bytes},
        {S("process_open_fds"), NULL, "Open descriptors", "gauge", (double)process_open_fds()},
        {S("process_max_fds"), NULL, "Limit of open descriptors", "gauge", (double)u.max_fds},
        {S("process_start_time_seconds"), NULL, "Start, Unix time", "gauge", u.start_time_s},
        {S("process_cpu_seconds_total"), NULL, "User and system time", "counter", u.cpu_s},
    };
    memcpy(f, all, sizeof all);
    return COUNT_OF(all);
}

static const char *type_name(const struct row *row)
{
    static const char *const names[] = {"counter", "gauge", "histogram", "histogram"};
    return names[row->type];
}

static void add_family(const struct writing *w, const struct family *f)
{
    if (f->row) {
        add_head(w, f->name, f->row->help, type_name(f->row));
        add_samples(w, f->row);
        return;
    }
    add_head(w, f->name, f->help, f->type);
    if (str_ends(f->name, S("build_info")))
        buf_printf(w->out, "%.*s{version=\"%s\",commit=\"%s\"} 1\n", FMT(f->name), SOCKUDO_VERSION,
                   SOCKUDO_COMMIT);
    else {
        buf_printf(w->out, "%.*s ", FMT(f->name));
        add_number(w->out, f->value);
    }
}

void metrics_write(struct buf *b, const struct metrics_format *f)
{
    struct writing w = {.out = b, .f = f};
    struct family families[COUNT_OF(rows) + 16];
    arena names = {0};
    size_t n = process_families(families);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        families[n++] = (struct family){
            .name = str_z(arena_printf(&names, "%.*s%s", FMT(f->prefix), rows[i].name)),
            .row = &rows[i]};
    families[n++] =
        (struct family){.name = str_z(arena_printf(&names, "%.*sbuild_info", FMT(f->prefix))),
                        .help = "Version and commit of this build",
                        .type = "gauge"};
    qsort(families, n, sizeof *families, by_name);
    metrics_blocks_take(&w.blocks);
    if (f->read)
        f->read(f->ctx, &w.read);
    for (size_t i = 0; i < n; i++)
        add_family(&w, &families[i]);
    metrics_blocks_release(&w.blocks);
    free(w.read.v);
    arena_finish(&names);
}

void metrics_list(struct buf *b, str prefix)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        buf_printf(b, "%.*s%s %s", FMT(prefix), row->name, type_name(row));
        buf_add(b, row->front == FRONT_APP    ? S(" app_id port")
                   : row->front == FRONT_PORT ? S(" port")
                                              : S(""));
        for (int j = 0; j < 3; j++)
            if (has_label(&row->labels[j]))
                buf_printf(b, " %s", shown_name(row->labels[j].name));
        if (row->labels[0].values == values_limiter_type)
            buf_add(b, S(" request_context"));
        buf_char(b, '\n');
    }
}
