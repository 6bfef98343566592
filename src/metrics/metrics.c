/* metrics/metrics.c - the blocks of cells: who owns them, and sums over them. The output is in
 * write.c. */
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "metrics/blocks.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* leaf: the lists */
static struct metrics_thread *threads;
static struct {
    str *ids; /* sorted */
    size_t n, cap;
} known;

static _Thread_local struct metrics_thread *mine;

struct metrics_thread *metrics_thread(void)
{
    if (LIKELY(mine != NULL))
        return mine;
    mine = mem_zero(sizeof *mine);
    pthread_mutex_lock(&lock);
    mine->next = threads;
    threads = mine;
    pthread_mutex_unlock(&lock);
    return mine;
}

static struct metrics_app *app_find(struct metrics_thread *t, str id)
{
    struct metrics_app *m = t->buckets[hash_bytes(id) % COUNT_OF(t->buckets)];
    while (m && !str_eq(str_of(m->id, m->id_n), id))
        m = m->next;
    return m;
}

struct metrics_app *metrics_app(str id)
{
    struct metrics_thread *t = metrics_thread();
    struct metrics_app *m = app_find(t, id);
    if (m)
        return m;
    m = mem_zero(sizeof *m + id.n);
    m->id_n = id.n;
    memcpy(m->id, id.p, id.n);
    struct metrics_app **bucket = &t->buckets[hash_bytes(id) % COUNT_OF(t->buckets)];
    pthread_mutex_lock(&lock);
    m->next = *bucket;
    *bucket = m;
    pthread_mutex_unlock(&lock);
    return m;
}

struct metrics_share_cells *metrics_share(struct metrics_app *m)
{
    struct metrics_share_cells *s = atomic_load_explicit(&m->share, memory_order_relaxed);
    if (!s) {
        s = mem_zero(sizeof *s);
        atomic_store_explicit(&m->share, s, memory_order_release);
    }
    return s;
}

/* Of the first that is not less. */
static size_t known_place(str id)
{
    size_t begin = 0, end = known.n;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (str_cmp(known.ids[middle], id) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

void metrics_app_known(str id)
{
    pthread_mutex_lock(&lock);
    size_t at = known_place(id);
    if (at == known.n || !str_eq(known.ids[at], id)) {
        if (known.n == known.cap) {
            known.cap = known.cap ? known.cap * 2 : 16;
            known.ids = mem_resize(known.ids, known.cap * sizeof *known.ids);
        }
        memmove(known.ids + at + 1, known.ids + at, (known.n - at) * sizeof *known.ids);
        known.ids[at] = (str){mem_dup(id), id.n};
        known.n++;
    }
    pthread_mutex_unlock(&lock);
}

static const double bounds_ms[METRICS_BOUNDS] = {0.5, 1,   2.5,  5,    10,   25,    50,   100,
                                                 250, 500, 1000, 2500, 5000, 10000, 30000};

const double *metrics_bounds(void)
{
    return bounds_ms;
}

void metrics_sample(struct metrics_histogram *h, double ms)
{
    size_t i = 0;
    if (ms < 0)
        ms = 0; /* clocks of two nodes (metrics.md §3) */
    while (i < METRICS_BOUNDS && ms > bounds_ms[i])
        i++;
    metrics_add(&h->v[i], 1);
    metrics_add(&h->v[METRICS_BOUNDS + 1], (uint64_t)(ms * 1000));
}

/* ---- for the output ---- */

static int by_id(const void *a, const void *b)
{
    return str_cmp(((const struct metrics_app_row *)a)->id,
                   ((const struct metrics_app_row *)b)->id);
}

static void row_add(struct metrics_blocks *b, str id, bool is_known)
{
    if (b->app_count == b->app_cap) {
        b->app_cap = b->app_cap ? b->app_cap * 2 : 64;
        b->apps = mem_resize(b->apps, b->app_cap * sizeof *b->apps);
    }
    b->apps[b->app_count++] = (struct metrics_app_row){.id = id, .known = is_known};
}

/* Sorted, each id once, known if one of its rows was. */
static void rows_unite(struct metrics_blocks *b)
{
    size_t n = 0;
    if (b->app_count)
        qsort(b->apps, b->app_count, sizeof *b->apps, by_id);
    for (size_t i = 0; i < b->app_count; i++) {
        if (n && str_eq(b->apps[n - 1].id, b->apps[i].id))
            b->apps[n - 1].known |= b->apps[i].known;
        else
            b->apps[n++] = b->apps[i];
    }
    b->app_count = n;
}

static void rows_fill(struct metrics_blocks *b)
{
    b->places = mem_zero((b->app_count * b->thread_count + 1) * sizeof *b->places);
    for (size_t i = 0; i < b->app_count; i++) {
        struct metrics_app_row *row = &b->apps[i];
        row->blocks = b->places + i * b->thread_count;
        for (size_t t = 0; t < b->thread_count; t++) {
            struct metrics_app *m = app_find(b->threads[t], row->id);
            if (m)
                row->blocks[row->block_count++] = m;
        }
    }
}

void metrics_blocks_take(struct metrics_blocks *b)
{
    *b = (struct metrics_blocks){0};
    pthread_mutex_lock(&lock);
    for (struct metrics_thread *t = threads; t; t = t->next)
        b->thread_count++;
    b->threads = mem_zero((b->thread_count + 1) * sizeof *b->threads);
    size_t at = 0;
    for (struct metrics_thread *t = threads; t; t = t->next) {
        b->threads[at++] = t;
        for (size_t i = 0; i < COUNT_OF(t->buckets); i++)
            for (const struct metrics_app *m = t->buckets[i]; m; m = m->next)
                row_add(b, str_of(m->id, m->id_n), false);
    }
    for (size_t i = 0; i < known.n; i++)
        row_add(b, known.ids[i], true);
    rows_unite(b);
    rows_fill(b);
    pthread_mutex_unlock(&lock);
}

void metrics_blocks_release(struct metrics_blocks *b)
{
    free(b->apps);
    free(b->places);
    free(b->threads);
}

static uint64_t cell_at(const void *cells, size_t offset)
{
    const metrics_cell *c = (const void *)((const char *)cells + offset);
    return atomic_load_explicit((metrics_cell *)(uintptr_t)c, memory_order_relaxed);
}

uint64_t metrics_app_value(const struct metrics_app_row *row, bool shared, size_t offset)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < row->block_count; i++) {
        const void *cells = &row->blocks[i]->cells;
        if (shared)
            cells = atomic_load_explicit(&row->blocks[i]->share, memory_order_acquire);
        if (cells)
            sum += cell_at(cells, offset);
    }
    return sum;
}

uint64_t metrics_node_value(const struct metrics_blocks *b, size_t offset)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < b->thread_count; i++)
        sum += cell_at(&b->threads[i]->cells, offset);
    return sum;
}

uint64_t metrics_sum_app(str app_id, size_t offset)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&lock);
    for (struct metrics_thread *t = threads; t; t = t->next) {
        const struct metrics_app *m = app_find(t, app_id);
        if (m)
            sum += cell_at(&m->cells, offset);
    }
    pthread_mutex_unlock(&lock);
    return sum;
}

uint64_t metrics_sum_apps(size_t offset)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&lock);
    for (struct metrics_thread *t = threads; t; t = t->next)
        for (size_t i = 0; i < COUNT_OF(t->buckets); i++)
            for (const struct metrics_app *m = t->buckets[i]; m; m = m->next)
                sum += cell_at(&m->cells, offset);
    pthread_mutex_unlock(&lock);
    return sum;
}

uint64_t metrics_sum_node(size_t offset)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&lock);
    for (struct metrics_thread *t = threads; t; t = t->next)
        sum += cell_at(&t->cells, offset);
    pthread_mutex_unlock(&lock);
    return sum;
}
