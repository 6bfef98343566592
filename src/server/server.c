#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "io/sock.h"
#include "server/limits.h"
#include "server/memory_limit.h"
#include "server/notify.h"
#include "server/settings.h"
#include "server/state.h"

/* ---- start ---- */

static int64_t wall_s(void)
{
    return (int64_t)time(NULL);
}

/* CPUs that this process may use: affinity, then the quota of its cgroup. */
static uint16_t cpus_usable(void)
{
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    long quota, period;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (f) {
        if (fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
            long allowed = (quota + period - 1) / period;
            n = allowed < n ? allowed : n;
        }
        fclose(f);
    }
    return (uint16_t)(n < 1 ? 1 : n > REGISTRY_WORKERS_MAX ? REGISTRY_WORKERS_MAX : n);
}

static void descriptors_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    log_info("server", "up to %llu descriptors", (unsigned long long)r.rlim_cur);
}

/* Some are kept for logs, metrics and backends, and as many to tell clients that we are full.
 * Source: security.md R6 */
static void descriptors_reserve(struct node *n)
{
    struct rlimit r;
    uint64_t reserve = DESCRIPTORS_RESERVED + DESCRIPTORS_PER_WORKER * (uint64_t)n->worker_count;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    uint64_t max = r.rlim_cur > INT_MAX ? INT_MAX : r.rlim_cur;
    if (3 * reserve > max) {
        log_warn("server", "only %llu descriptors: raise LimitNOFILE or ulimit -n",
                 (unsigned long long)max);
        reserve = max / 3;
    }
    n->full_fd = (int)(max - 2 * reserve);
    n->last_fd = (int)(max - reserve);
}

static uint64_t memory_limit(const struct config *c)
{
    uint64_t mib = c->memory_limit_mb;
    uint64_t limit = mib == 0 ? memory_limit_find() : mib > UINT64_MAX >> 20 ? 0 : mib << 20;
    log_info("server", "up to %llu MiB of memory", (unsigned long long)(limit >> 20));
    return limit;
}

static bool families_open(struct server *s, const struct config *c, struct err *e)
{
    struct app_manager_options apps = {
        .driver = c->app_driver, .apps = c->apps, .app_count = c->app_count};
    struct cache_options cache = {
        .driver = c->cache_driver,
        .memory = {.ttl_ms = (int64_t)c->cache_memory.ttl_s * 1000,
                   .max_entries = c->cache_memory.max_capacity},
    };
    s->node.apps = app_manager_create(&apps, e);
    if (!s->node.apps)
        return false;
    for (size_t i = 0; i < c->app_count; i++)
        metrics_app_known(c->apps[i]->id);
    struct adapter_options adapter = {.driver = c->adapter_driver};
    s->node.adapter = adapter_create(&adapter, e);
    if (!s->node.adapter)
        return false;
    s->node.cache = cache_create(&cache, e);
    return s->node.cache != NULL && limits_open(&s->node, c, e);
}

static bool workers_open(struct server *s, const struct config *c, struct err *e)
{
    uint16_t n = s->node.worker_count;
    s->threads = mem_zero(n * sizeof *s->threads);
    s->loops = mem_zero(n * sizeof *s->loops);
    for (uint16_t i = 0; i < n; i++) {
        if (!worker_init(&s->threads[i], &s->node, i, NULL, NULL, e))
            return false;
        s->loops[i] = &s->threads[i].worker.loop;
        s->worker_count++;
    }
    if (!service_open(&s->service, &s->node, e))
        return false;
    s->has_service = true;
    uint64_t memory = memory_limit(c);
    memory_watch_init(&s->service.memory, memory);
    s->node.bodies_max = memory_limit_of_bodies(memory);
    s->node.registry = registry_create(n, s->loops, s->node.adapter, s->node.cache,
                                       (int64_t)c->channel_cache_ttl_s * 1000);
    registry_set_lease(s->node.registry, (int64_t)c->presence.ungraceful_timeout_s * 1000);
    return service_open_webhooks(&s->service, c, e);
}

static bool listeners_open(struct server *s, const struct config *c, struct err *e)
{
    struct sock_address at;
    if (!sock_resolve(c->host, c->port, &at, e))
        return false;
    for (uint16_t i = 0; i < s->node.worker_count; i++) {
        int fd = sock_listen(&at, true, e);
        if (fd < 0)
            return false;
        if (c->port == 0 && i == 0 && !sock_resolve(c->host, sock_port(fd), &at, e)) {
            close(fd);
            return false;
        }
        if (!worker_listen(&s->threads[i], fd, HTTP_MAIN, e))
            return false;
    }
    s->node.tls_port = sock_port(s->threads[0].listeners[0].fd);
    snprintf(s->listens, sizeof s->listens, "%s%s", at.text, s->has_tls ? " with TLS" : "");
    return true;
}

/* In place of TCP: one listener, whose sockets the first worker hands to all. */
static bool unix_open(struct server *s, const struct config *c, struct err *e)
{
    int fd = sock_listen_unix(c->unix_socket.path, c->unix_socket.mode, &s->unix_socket, e);
    if (fd < 0 || !worker_listen(&s->threads[0], fd, HTTP_MAIN, e))
        return false;
    s->threads[0].listeners[0].is_alone = true;
    snprintf(s->listens, sizeof s->listens, "%s", s->unix_socket.path);
    return true;
}

/* Plain clients are told where TLS is; without it they are only turned away by the kernel. */
static void redirect_listen(struct server *s, const struct config *c)
{
    struct sock_address at;
    struct err e;
    if (!s->has_tls || !c->ssl.redirect_http)
        return;
    int fd = sock_resolve(c->host, c->ssl.http_port, &at, &e) ? sock_listen(&at, false, &e) : -1;
    if (fd < 0 || !worker_listen(&s->threads[0], fd, HTTP_REDIRECT, &e)) {
        log_warn("server", "no redirects to TLS: %s", e.text);
        return;
    }
    log_info("server", "redirects to TLS on %s", at.text);
}

/* Without metrics the server is as good as with them: a busy port is a warning. */
static void metrics_listen(struct server *s, const struct config *c)
{
    struct sock_address at;
    struct err e;
    if (!c->metrics.enabled)
        return;
    int fd =
        sock_resolve(c->metrics.host, c->metrics.port, &at, &e) ? sock_listen(&at, false, &e) : -1;
    if (fd < 0 || !worker_listen(&s->service.thread, fd, HTTP_METRICS, &e)) {
        log_warn("server", "no metrics: %s", e.text);
        return;
    }
    s->queue_driver = arena_str(&s->memory, c->queue_driver);
    s->metrics = (struct metrics_format){
        .prefix = arena_str(&s->memory, c->metrics.prefix),
        .port = c->metrics.port ? c->metrics.port : sock_port(fd),
        .read = server_report,
        .ctx = s,
    };
    s->node.metrics = &s->metrics;
    log_info("server", "metrics on %s", at.text);
}

/* A second process on the same port would silently share it (SO_REUSEPORT): ask for it alone. */
static bool port_is_free(const struct config *c, struct err *e)
{
    struct sock_address at;
    if (c->port == 0 || c->unix_socket.enabled)
        return true;
    return sock_resolve(c->host, c->port, &at, e) && sock_is_free(&at, e);
}

struct server *server_create(const struct config_args *args, struct config *c, struct err *e)
{
    struct server *s = mem_zero(sizeof *s);
    server_signal(0); /* blocks them */
    descriptors_raise();
    s->args = args;
    s->config = c;
    log_info("server", "configuration %s, %zu apps", c->file.n ? c->file.p : "of the defaults",
             c->app_count);
    config_remember(c, &s->start);
    app_lives_init(&s->node.lives);
    s->node.settings = settings_of(c);
    s->node.wall_s = wall_s;
    uint32_t workers = c->workers ? c->workers : cpus_usable();
    s->node.worker_count =
        (uint16_t)(workers > REGISTRY_WORKERS_MAX ? REGISTRY_WORKERS_MAX : workers);
    descriptors_reserve(&s->node);
    node_use(&s->node);
    if (port_is_free(c, e) && families_open(s, c, e) && workers_open(s, c, e) &&
        server_tls_open(s, e) &&
        (c->unix_socket.enabled ? unix_open(s, c, e) : listeners_open(s, c, e))) {
        redirect_listen(s, c);
        metrics_listen(s, c);
        /* the last line of a start: whoever reads it may connect everywhere */
        log_info("server", "listening on %s, %u workers", s->listens, s->node.worker_count);
        return s;
    }
    server_destroy(&s);
    return NULL;
}

/* ---- running ---- */

static bool threads_start(struct server *s, struct err *e)
{
    if (!service_start(&s->service, e))
        return false;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        if (!worker_start(&s->threads[i], e))
            return false;
    return true;
}

/* Only a node whose loops turn may say that it lives. */
void server_watchdog_feed(struct server *s)
{
    int64_t oldest = loop_clock_monotonic(NULL) - s->watchdog_ms - LOOP_MAX_WAIT_MS;
    if (s->watchdog_ms == 0)
        return;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        if (atomic_load(&s->threads[i].turned_ms) < oldest)
            return;
    if (atomic_load(&s->service.thread.turned_ms) >= oldest)
        notify_watchdog();
}

static void certificates_watch(struct server *s)
{
    int64_t now = loop_clock_monotonic(NULL);
    if (now < s->tls_look_ms)
        return;
    server_tls_watch(s);
    s->tls_look_ms = now + (int64_t)s->config->ssl.reload_interval_s * 1000;
}

/* How long main may sleep for a signal; negative: until one comes. */
static int64_t wait_ms(const struct server *s)
{
    int64_t look = (int64_t)s->config->ssl.reload_interval_s * 1000;
    if (!s->has_tls || look == 0)
        look = -1;
    if (s->watchdog_ms && (look < 0 || s->watchdog_ms < look))
        return s->watchdog_ms;
    return look;
}

int server_run(struct server *s)
{
    struct err e;
    if (!threads_start(s, &e)) {
        log_error("server", "%s", e.text);
        return 1;
    }
    s->watchdog_ms = notify_watchdog_ms();
    notify_ready("Serving");
    for (;;) {
        int sig = server_signal(wait_ms(s));
        if (sig == SIGTERM || sig == SIGINT)
            break;
        if (sig == SIGHUP)
            server_reload(s);
        server_watchdog_feed(s);
        certificates_watch(s);
    }
    server_drain(s);
    return 0;
}

void server_destroy(struct server **ps)
{
    struct server *s = *ps;
    if (!s)
        return;
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_stop(&s->threads[i]);
    if (s->has_service) {
        service_stop(&s->service);
        service_close_webhooks(&s->service);
    }
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_close_streams(&s->threads[i]);
    if (s->has_service)
        worker_close_streams(&s->service.thread);
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_finish(&s->threads[i]);
    if (s->has_service)
        worker_finish(&s->service.thread);
    sock_unix_remove(&s->unix_socket);
    registry_destroy(&s->node.registry);
    adapter_destroy(&s->node.adapter);
    cache_destroy(&s->node.cache);
    limits_close(&s->node);
    app_manager_destroy(&s->node.apps);
    app_lives_finish(&s->node.lives);
    settings_unref(&s->node.settings);
    node_use(NULL);
    arena_finish(&s->memory);
    free(s->threads);
    free(s->loops);
    free(s);
    *ps = NULL;
}
