#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/http.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "conn/conn.h"
#include "io/sock.h"
#include "wire/ws_inflate.h"

enum {
    JSON_MAX = 64 * 1024 * 1024,
    SHED_UNSENT = 4096, /* whoever is behind by less is no reason that memory is short */
};

static struct worker_thread *thread_of(void *ctx)
{
    return ctx;
}

/* ---- accepting ---- */

struct handed { /* an accepted socket on its way to another worker */
    struct mail mail;
    int fd;
    enum http_kind kind;
};

static void adopt(struct worker_thread *t, int fd, enum http_kind kind)
{
    struct stream *s = http_open(&t->worker, fd, kind);
    if (!s)
        return;
    if (kind == HTTP_MAIN && t->worker.pool.tls)
        stream_secure(s, t->worker.pool.tls);
    atomic_fetch_add_explicit(&t->load, 1, memory_order_relaxed);
}

static void handed_over(void *owner, struct mail *m)
{
    struct handed *h = (struct handed *)m;
    struct worker_thread *t = thread_of(owner);
    if (t->worker.loop.stop) /* its streams have been told that they are gone: no new ones */
        close(h->fd);
    else
        adopt(t, h->fd, h->kind);
    free(h);
}

static struct worker_thread *thread_at(const struct worker_thread *t, uint16_t i)
{
    return CONTAINER_OF(t->worker.node->workers[i], struct worker_thread, worker);
}

/* The least loaded worker if ours has clearly more than the mean, else ours (design §5). */
static struct worker_thread *target_of(struct worker_thread *t, struct listener *l)
{
    uint16_t n = t->worker.node->worker_count;
    if (l->kind != HTTP_MAIN)
        return t;
    if (l->is_alone)
        return thread_at(t, (uint16_t)(l->next++ % n));
    uint64_t sum = 0, ours = atomic_load_explicit(&t->load, memory_order_relaxed);
    struct worker_thread *least = t;
    for (uint16_t i = 0; i < n; i++) {
        struct worker_thread *other = thread_at(t, i);
        uint32_t load = atomic_load_explicit(&other->load, memory_order_relaxed);
        sum += load;
        if (load < atomic_load_explicit(&least->load, memory_order_relaxed))
            least = other;
    }
    uint64_t mean = sum / n;
    return ours > mean + mean / 8 + 64 ? least : t;
}

static void listeners_rewatch(struct worker_thread *t, uint32_t events)
{
    for (uint32_t i = 0; i < t->listener_count; i++)
        loop_rewatch(&t->worker.loop, t->listeners[i].fd, events, t->listeners[i].key);
}

/* The listener stays readable while we cannot accept: in epoll it would keep us turning. */
static void listen_pause(struct worker_thread *t, const char *why)
{
    log_limited(LOG_WARN, "server", "accepting nobody until a connection ends: %s", why);
    listeners_rewatch(t, 0);
    t->listen_again_ms = t->worker.loop.now_ms + LISTEN_PAUSE_MS;
    t->live_at_pause = t->worker.pool.live;
}

static bool is_service(const struct worker_thread *t)
{
    return t->worker.index == t->worker.node->worker_count;
}

/* The rest is for logs, backends and metrics, whose listener is the service thread's. */
static bool is_reserved(const struct worker_thread *t, int fd)
{
    const struct node *n = t->worker.node;
    return n->last_fd && fd >= n->last_fd && !is_service(t);
}

static void leave_if_idle(struct stream *s, void *ctx)
{
    (void)ctx;
    http_leave_if_idle(s);
}

/* The metrics listener lives from the reserve and takes half of it at most: then idle connections
 * make room, or whoever can reach the port could take all descriptors of the process. */
static bool is_crowded(struct worker_thread *t)
{
    const struct node *n = t->worker.node;
    uint32_t share = (uint32_t)(n->last_fd - n->full_fd) / DESCRIPTORS_OF_METRICS;
    if (!is_service(t) || n->last_fd == 0 || t->worker.pool.live < (share ? share : 1))
        return false;
    stream_each(&t->worker.pool, leave_if_idle, NULL);
    return true;
}

static bool has_room(const struct worker_thread *t)
{
    int fd = fcntl(t->worker.loop.epoll_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return false;
    close(fd);
    return !is_reserved(t, fd);
}

static void listen_again(struct worker_thread *t)
{
    if (is_crowded(t) || !has_room(t)) {
        t->listen_again_ms = t->worker.loop.now_ms + LISTEN_PAUSE_MS;
        t->live_at_pause = t->worker.pool.live;
        return;
    }
    t->listen_again_ms = 0;
    listeners_rewatch(t, EPOLLIN);
}

static void hand_out(struct worker_thread *t, struct listener *l, int fd)
{
    struct worker_thread *to = target_of(t, l);
    if (to == t) {
        adopt(t, fd, l->kind);
        return;
    }
    struct handed *h = mem_zero(sizeof *h);
    h->mail.run = handed_over;
    h->fd = fd;
    h->kind = l->kind;
    loop_post(&t->worker.loop, &to->worker.loop, &h->mail);
}

static bool is_shortage(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}

static void accept_some(void *ctx, uint32_t events)
{
    struct listener *l = ctx;
    struct worker_thread *t = l->thread;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (is_crowded(t)) {
            listen_pause(t, "the metrics listener has half of the reserved descriptors");
            return;
        }
        int fd = sock_accept(l->fd);
        if (fd < 0) {
            if (is_shortage(errno))
                listen_pause(t, strerror(errno));
            return;
        }
        hand_out(t, l, fd);
        if (is_reserved(t, fd)) {
            listen_pause(t, "few descriptors are left");
            return;
        }
    }
}

bool worker_listen(struct worker_thread *t, int fd, enum http_kind kind, struct err *e)
{
    CHECK(t->listener_count < WORKER_LISTENERS);
    struct listener *l = &t->listeners[t->listener_count++];
    *l = (struct listener){.thread = t, .fd = fd, .kind = kind};
    return loop_watch(&t->worker.loop, fd, EPOLLIN, accept_some, l, &l->key, e);
}

/* ---- drain ---- */

struct drain_order {
    struct mail mail;
    int64_t spread_ms;
};

static void drain_count(struct stream *s, void *ctx)
{
    *(uint32_t *)ctx += s->user == &conn_stream_user;
}

static void drain_begin(void *owner, struct mail *m)
{
    struct worker_thread *t = thread_of(owner);
    t->is_draining = true;
    t->drain_begin_ms = t->worker.loop.now_ms;
    t->drain_ms = ((struct drain_order *)m)->spread_ms;
    stream_each(&t->worker.pool, drain_count, &t->drain_total);
    stream_pool_drain(&t->worker.pool);
    free(m);
}

void worker_drain(struct worker_thread *t, int64_t spread_ms)
{
    struct drain_order *o = mem_zero(sizeof *o);
    o->mail.run = drain_begin;
    o->spread_ms = spread_ms;
    atomic_store(&t->draining, 1);
    loop_post(NULL, &t->worker.loop, &o->mail);
}

/* Closes the share of WebSockets whose time has come: an even rate over the spread. Counted in
 * sockets, not slots, most of which may be empty. */
static void drain_step(struct worker_thread *t)
{
    int64_t passed = t->worker.loop.now_ms - t->drain_begin_ms + 10;
    uint64_t until = passed >= t->drain_ms || t->drain_ms == 0
                         ? UINT64_MAX
                         : (uint64_t)t->drain_total * (uint64_t)passed / (uint64_t)t->drain_ms;
    struct wire_error e = wire_error(WIRE_SHUTDOWN);
    for (; t->drain_done < until && t->drain_slot < t->worker.pool.slots_made; t->drain_slot++) {
        struct stream *s = stream_at(&t->worker.pool, t->drain_slot);
        if (s && s->user != &conn_stream_user)
            http_leave_if_idle(s);
        if (!s || s->user != &conn_stream_user)
            continue;
        t->drain_done++;
        if (conn_of(s)->is_open)
            conn_close(conn_of(s), &e);
    }
}

/* ---- what changes at run time ---- */

struct new_settings {
    struct mail mail;
    struct settings *settings;
};

static void settings_taken(void *owner_ctx, struct mail *m)
{
    struct worker *w = &thread_of(owner_ctx)->worker;
    struct new_settings *n = (struct new_settings *)m;
    settings_unref(&w->settings);
    w->settings = n->settings;
    w->pool.limits = w->settings->output;
    free(n);
}

void worker_use_settings(struct worker_thread *t, struct settings *s)
{
    struct new_settings *n = mem_zero(sizeof *n);
    n->mail.run = settings_taken;
    n->settings = settings_ref(s);
    loop_post(NULL, &t->worker.loop, &n->mail);
}

struct new_tls {
    struct mail mail;
    struct tls_set *set;
};

static void tls_taken(void *owner_ctx, struct mail *m)
{
    struct stream_pool *p = &thread_of(owner_ctx)->worker.pool;
    struct new_tls *n = (struct new_tls *)m;
    tls_set_unref(&p->tls);
    p->tls = n->set;
    free(n);
}

void worker_use_tls(struct worker_thread *t, struct tls_set *set)
{
    struct new_tls *n = mem_zero(sizeof *n);
    n->mail.run = tls_taken;
    n->set = tls_set_ref(set);
    loop_post(NULL, &t->worker.loop, &n->mail);
}

struct new_apps {
    struct mail mail;
    struct app_list *apps;
};

static void leave_if_unwanted(struct stream *s, void *ctx)
{
    struct wire_error e = wire_error(WIRE_APP_DISABLED);
    (void)ctx;
    if (s->user == &conn_stream_user && conn_of(s)->is_open && !conn_of(s)->app->app->enabled)
        conn_close(conn_of(s), &e);
}

static void apps_taken(void *owner_ctx, struct mail *m)
{
    struct worker *w = &thread_of(owner_ctx)->worker;
    struct new_apps *n = (struct new_apps *)m;
    if (app_table_update(&w->apps, n->apps))
        stream_each(&w->pool, leave_if_unwanted, NULL);
    app_list_unref(&n->apps);
    free(n);
}

void worker_use_apps(struct worker_thread *t, struct app_list *apps)
{
    struct new_apps *n = mem_zero(sizeof *n);
    n->mail.run = apps_taken;
    n->apps = app_list_ref(apps);
    loop_post(NULL, &t->worker.loop, &n->mail);
}

/* ---- memory is short ---- */

struct shed_order {
    struct mail mail;
    uint64_t unsent_bytes;
};
struct laggard { /* somebody who does not read */
    struct handle handle;
    size_t unsent;
};
struct laggards {
    struct laggard *v;
    uint32_t n, cap;
};

static void laggard_note(struct stream *s, void *ctx)
{
    struct laggards *all = ctx;
    size_t unsent = stream_unsent(s);
    if (s->user != &conn_stream_user)
        http_leave_if_idle(s);
    if (unsent < SHED_UNSENT || s->ending)
        return;
    if (all->n == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 64;
        all->v = mem_resize(all->v, all->cap * sizeof *all->v);
    }
    all->v[all->n++] = (struct laggard){stream_handle(s), unsent};
}

static int laggard_compare(const void *a, const void *b)
{
    size_t x = ((const struct laggard *)a)->unsent, y = ((const struct laggard *)b)->unsent;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void shed(void *owner_ctx, struct mail *m)
{
    struct stream_pool *p = &thread_of(owner_ctx)->worker.pool;
    uint64_t want = ((struct shed_order *)m)->unsent_bytes, done = 0;
    struct laggards all = {0};
    uint32_t closed = 0;
    free(m);
    stream_each(p, laggard_note, &all);
    if (all.n)
        qsort(all.v, all.n, sizeof *all.v, laggard_compare);
    for (uint32_t i = 0; i < all.n && done < want; i++) {
        struct stream *s = stream_find(p, all.v[i].handle);
        if (!s || s->ending)
            continue;
        done += all.v[i].unsent;
        s->user->full(s);
        closed++;
    }
    free(all.v);
    if (closed)
        log_warn("server", "memory is short: closed %u connections with %llu unsent bytes", closed,
                 (unsigned long long)done);
}

void worker_shed(struct worker_thread *t, uint64_t unsent_bytes)
{
    struct shed_order *o = mem_zero(sizeof *o);
    o->mail.run = shed;
    o->unsent_bytes = unsent_bytes;
    loop_post(NULL, &t->worker.loop, &o->mail);
}

static void trim(void *owner_ctx, struct mail *m)
{
    struct worker_thread *t = thread_of(owner_ctx);
    stream_pool_trim(&t->worker.pool);
    atomic_store_explicit(&t->most, t->worker.pool.live, memory_order_relaxed);
    free(m);
}

void worker_trim(struct worker_thread *t)
{
    struct mail *m = mem_zero(sizeof *m);
    m->run = trim;
    loop_post(NULL, &t->worker.loop, m);
}

/* ---- turns ---- */

static void on_ready(void *ctx, uint64_t key, uint32_t events)
{
    stream_ready(&thread_of(ctx)->worker.pool, key, events);
}

static bool on_again(void *ctx)
{
    struct worker_thread *t = ctx;
    if (t->listen_again_ms &&
        (t->worker.loop.now_ms >= t->listen_again_ms || t->worker.pool.live < t->live_at_pause))
        listen_again(t);
    return stream_pool_again(&t->worker.pool);
}

static void on_timer(void *ctx, struct timer *timer)
{
    (void)ctx;
    stream_timer(stream_of_timer(timer));
}

static void turn_judge(struct worker_thread *t)
{
    struct loop *l = &t->worker.loop;
    int64_t now = l->clock(l->clock_ctx);
    atomic_store_explicit(&t->turned_ms, now, memory_order_relaxed);
    metrics_sample(&metrics_thread()->cells.event_loop_lag[is_service(t) ? label_thread_SERVICE
                                                                         : label_thread_WORKER],
                   (double)(now - l->now_ms));
}

static bool on_flush(void *ctx)
{
    struct worker_thread *t = ctx;
    if (t->is_draining)
        drain_step(t);
    bool more = stream_pool_flush(&t->worker.pool);
    atomic_store_explicit(&t->load, t->worker.pool.live, memory_order_relaxed);
    if (t->worker.pool.live > atomic_load_explicit(&t->most, memory_order_relaxed))
        atomic_store_explicit(&t->most, t->worker.pool.live, memory_order_relaxed);
    atomic_store_explicit(&t->unsent, t->worker.pool.unsent, memory_order_relaxed);
    turn_judge(t);
    if (t->is_draining)
        atomic_store(&t->draining, t->worker.pool.draining);
    arena_clear(&t->worker.scratch);
    return more;
}

static const struct loop_owner owner = {
    .ready = on_ready,
    .again = on_again,
    .timer = on_timer,
    .flush = on_flush,
};

static size_t item_size(void)
{
    size_t a = sizeof(struct conn), b = sizeof(struct http);
    return a > b ? a : b;
}

static void close_for(struct subscriber *who, int id)
{
    struct wire_error e = wire_error((enum wire_error_id)id);
    conn_close((struct conn *)who, &e);
}

bool worker_init(struct worker_thread *t, struct node *n, uint16_t index, int64_t (*clock)(void *),
                 void *clock_ctx, struct err *e)
{
    struct worker *w = &t->worker;
    memset(t, 0, sizeof *t);
    if (!loop_init(&w->loop, &owner, t, clock, clock_ctx, e))
        return false;
    w->node = n;
    w->index = index;
    w->settings = settings_ref(n->settings);
    w->json = mem_zero(sizeof *w->json);
    buf_init(w->json, JSON_MAX);
    app_table_init(&w->apps, &n->lives);
    stream_pool_init(&w->pool, &w->loop, index, item_size());
    w->pool.limits = w->settings->output;
    n->workers[index] = w;
    registry_set_close(close_for);
    return true;
}

static void gone_now(struct stream *s, void *ctx)
{
    (void)ctx;
    s->user->gone(s);
    stream_close(s);
}

void worker_close_streams(struct worker_thread *t)
{
    stream_each(&t->worker.pool, gone_now, NULL);
}

void worker_finish(struct worker_thread *t)
{
    struct worker *w = &t->worker;
    loop_finish(&w->loop); /* runs what still lies in the mailbox */
    stream_pool_finish(&w->pool);
    app_table_finish(&w->apps);
    arena_finish(&w->scratch);
    buf_finish(w->json);
    free(w->json);
    settings_unref(&w->settings);
    for (uint32_t i = 0; i < t->listener_count; i++)
        close(t->listeners[i].fd);
}

void worker_turn(struct worker_thread *t, int max_wait_ms)
{
    int soon_ms = t->is_draining ? 10 : t->listen_again_ms ? LISTEN_PAUSE_MS : max_wait_ms;
    loop_turn(&t->worker.loop, soon_ms < max_wait_ms ? soon_ms : max_wait_ms);
}

static void *run(void *arg)
{
    struct worker_thread *t = arg;
    while (!t->worker.loop.stop)
        worker_turn(t, LOOP_MAX_WAIT_MS);
    ws_inflate_finish_thread();
    return NULL;
}

bool worker_start(struct worker_thread *t, struct err *e)
{
    int rc = pthread_create(&t->thread, NULL, run, t);
    if (rc != 0)
        return err_set(e, ERR_SYSTEM, "cannot start a worker thread: %s", strerror(rc));
    t->is_started = true;
    return true;
}

static void stop_now(void *owner_ctx, struct mail *m)
{
    thread_of(owner_ctx)->worker.loop.stop = true;
    free(m);
}

void worker_stop(struct worker_thread *t)
{
    if (!t->is_started)
        return;
    struct mail *m = mem_zero(sizeof *m);
    m->run = stop_now;
    loop_post(NULL, &t->worker.loop, m);
    pthread_join(t->thread, NULL);
    t->is_started = false;
}
