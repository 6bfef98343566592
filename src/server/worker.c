#include "server/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/http.h"
#include "base/buf.h"
#include "base/log.h"
#include "conn/conn.h"
#include "io/sock.h"

enum { ACCEPTS_PER_TURN = 64, LISTEN_PAUSE_MS = 100, JSON_MAX = 64 * 1024 * 1024 };

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
    adopt(thread_of(owner), h->fd, h->kind);
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

static void listen_pause(struct worker_thread *t)
{
    log_limited(LOG_WARN, "server", "cannot accept: %s; trying again in %d ms", strerror(errno),
                LISTEN_PAUSE_MS);
    for (uint32_t i = 0; i < t->listener_count; i++)
        loop_rewatch(&t->worker.loop, t->listeners[i].fd, 0, t->listeners[i].key);
    t->listen_again_ms = t->worker.loop.now_ms + LISTEN_PAUSE_MS;
}

static void listen_again(struct worker_thread *t)
{
    t->listen_again_ms = 0;
    for (uint32_t i = 0; i < t->listener_count; i++)
        loop_rewatch(&t->worker.loop, t->listeners[i].fd, EPOLLIN, t->listeners[i].key);
}

static void accept_some(void *ctx, uint32_t events)
{
    struct listener *l = ctx;
    struct worker_thread *t = l->thread;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = sock_accept(l->fd);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
            listen_pause(t);
        if (fd < 0)
            return;
        struct worker_thread *to = target_of(t, l);
        if (to == t) {
            adopt(t, fd, l->kind);
            continue;
        }
        struct handed *h = mem_zero(sizeof *h);
        h->mail.run = handed_over;
        h->fd = fd;
        h->kind = l->kind;
        loop_post(&t->worker.loop, &to->worker.loop, &h->mail);
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

static void drain_begin(void *owner, struct mail *m)
{
    struct worker_thread *t = thread_of(owner);
    t->is_draining = true;
    t->drain_begin_ms = t->worker.loop.now_ms;
    t->drain_ms = ((struct drain_order *)m)->spread_ms;
    t->drain_total = t->worker.pool.slots_made;
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

/* Closes the share of slots whose time has come: an even rate over the spread. */
static void drain_step(struct worker_thread *t)
{
    int64_t passed = t->worker.loop.now_ms - t->drain_begin_ms + 10;
    uint64_t until = passed >= t->drain_ms || t->drain_ms == 0
                         ? t->worker.pool.slots_made
                         : (uint64_t)t->drain_total * (uint64_t)passed / (uint64_t)t->drain_ms;
    struct wire_error e = wire_error(WIRE_SHUTDOWN);
    for (; t->drain_slot < until; t->drain_slot++) {
        struct stream *s = stream_at(&t->worker.pool, t->drain_slot);
        if (s && s->user != &conn_stream_user)
            http_leave_if_idle(s);
        else if (s && conn_of(s)->is_open)
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

/* ---- turns ---- */

static void on_ready(void *ctx, uint64_t key, uint32_t events)
{
    stream_ready(&thread_of(ctx)->worker.pool, key, events);
}

static bool on_again(void *ctx)
{
    struct worker_thread *t = ctx;
    if (t->listen_again_ms && t->worker.loop.now_ms >= t->listen_again_ms)
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
    bool is_service = t->worker.index == t->worker.node->worker_count;
    int64_t now = l->clock(l->clock_ctx);
    atomic_store_explicit(&t->turned_ms, now, memory_order_relaxed);
    metrics_sample(&metrics_thread()->cells.event_loop_lag[is_service ? label_thread_SERVICE
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
    bool soon = t->is_draining || t->listen_again_ms;
    loop_turn(&t->worker.loop, soon && max_wait_ms > 10 ? 10 : max_wait_ms);
}

static void *run(void *arg)
{
    struct worker_thread *t = arg;
    while (!t->worker.loop.stop)
        worker_turn(t, LOOP_MAX_WAIT_MS);
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
