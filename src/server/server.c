#include "server/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "io/sock.h"
#include "server/service.h"
#include "server/worker.h"

enum { DRAIN_SPREAD_MAX_MS = 500, DRAIN_LOOK_MS = 10 };

struct server {
    struct node node;
    struct worker_thread *threads;
    struct loop **loops;
    struct service service;
    uint16_t worker_count; /* initialised ones */
    int64_t grace_ms;
};

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

static void settings_fill(struct settings *s, const struct config *c)
{
    *s = (struct settings){
        .activity_timeout_ms = (int64_t)(c->activity_timeout_s ? c->activity_timeout_s : 1) * 1000,
        .user_authentication_timeout_ms = (int64_t)c->user_authentication_timeout_s * 1000,
        .shutdown_grace_ms = (int64_t)c->shutdown_grace_period_s * 1000,
        .max_connections = c->max_connections,
        .max_payload_bytes = (uint64_t)c->websocket_max_payload_kb * 1024,
        .max_message_bytes = c->websocket.max_message_size,
        .max_frame_bytes = c->websocket.max_frame_size,
        .max_body_bytes = (uint64_t)c->http_api.request_limit_in_mb * 1024 * 1024,
        .compression = c->websocket.compression,
        .usage_enabled = c->http_api.usage_enabled,
        .usage_token = c->http_api.usage_token,
    };
}

/* max_bytes and max_backpressure count alike, the smaller wins; none of all: 1000 messages. */
static struct stream_limits limits_of(const struct config *c)
{
    uint64_t bytes = c->websocket.max_backpressure;
    if (c->websocket.max_bytes && (bytes == 0 || c->websocket.max_bytes < bytes))
        bytes = c->websocket.max_bytes;
    uint64_t messages = c->websocket.max_messages;
    if (!messages && !c->websocket.max_bytes)
        messages = 1000;
    return (struct stream_limits){
        .max_messages = (uint32_t)messages,
        .max_bytes = bytes,
        .drop_when_full = !c->websocket.disconnect_on_buffer_full,
    };
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
    s->node.cache = cache_create(&cache, e);
    return s->node.cache != NULL;
}

static bool workers_open(struct server *s, const struct config *c, struct err *e)
{
    uint16_t n = s->node.worker_count;
    s->threads = mem_zero(n * sizeof *s->threads);
    s->loops = mem_zero(n * sizeof *s->loops);
    for (uint16_t i = 0; i < n; i++) {
        if (!worker_init(&s->threads[i], &s->node, i, NULL, NULL, e))
            return false;
        s->threads[i].worker.pool.limits = limits_of(c);
        s->loops[i] = &s->threads[i].worker.loop;
        s->worker_count++;
    }
    s->node.registry =
        registry_create(n, s->loops, s->node.cache, (int64_t)c->channel_cache_ttl_s * 1000);
    return true;
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
        if (!worker_listen(&s->threads[i], fd, e))
            return false;
    }
    log_info("server", "listening on %s, %u workers", at.text, s->node.worker_count);
    return true;
}

/* A second process on the same port would silently share it (SO_REUSEPORT): ask for it alone. */
static bool port_is_free(const struct config *c, struct err *e)
{
    struct sock_address at;
    if (c->port == 0)
        return true;
    if (!sock_resolve(c->host, c->port, &at, e))
        return false;
    int fd = sock_listen(&at, false, e);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void signals_block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

struct server *server_create(const struct config *c, struct err *e)
{
    sigset_t set;
    struct server *s = mem_zero(sizeof *s);
    signals_block(&set);
    descriptors_raise();
    app_lives_init(&s->node.lives);
    settings_fill(&s->node.settings, c);
    s->node.wall_s = wall_s;
    uint32_t workers = c->workers ? c->workers : cpus_usable();
    s->node.worker_count =
        (uint16_t)(workers > REGISTRY_WORKERS_MAX ? REGISTRY_WORKERS_MAX : workers);
    node_use(&s->node);
    if (port_is_free(c, e) && families_open(s, c, e) && workers_open(s, c, e) &&
        listeners_open(s, c, e))
        return s;
    server_destroy(&s);
    return NULL;
}

/* ---- running ---- */

static bool threads_start(struct server *s, struct err *e)
{
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        if (!worker_start(&s->threads[i], e))
            return false;
    return service_start(&s->service, s->node.registry, e);
}

static uint32_t sockets_live(const struct server *s)
{
    uint32_t n = 0;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        n += atomic_load(&s->threads[i].load);
    return n;
}

/* Those who come during the drain are refused and not waited for. */
static uint32_t sockets_draining(const struct server *s)
{
    uint32_t n = 0;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        n += atomic_load(&s->threads[i].draining);
    return n;
}

static int signal_wait(int64_t wait_ms)
{
    sigset_t set;
    signals_block(&set);
    struct timespec ts = {wait_ms / 1000, wait_ms % 1000 * 1000000};
    return wait_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &ts);
}

/* Closes WebSockets with 4200, spread a little; ends when nobody is left or the grace is over. */
static int drain(struct server *s)
{
    int64_t grace = s->node.settings.shutdown_grace_ms;
    int64_t spread = grace / 2 < DRAIN_SPREAD_MAX_MS ? grace / 2 : DRAIN_SPREAD_MAX_MS;
    int64_t end = loop_clock_monotonic(NULL) + grace;
    atomic_store(&s->node.draining, true);
    log_info("server", "shutting down, %u sockets", sockets_live(s));
    if (atomic_load(&s->node.connections) < 100)
        spread = 0; /* few enough to tell at once */
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        worker_drain(&s->threads[i], spread);
    while (sockets_draining(s) > 0 && loop_clock_monotonic(NULL) < end) {
        int sig = signal_wait(DRAIN_LOOK_MS);
        if (sig == SIGTERM || sig == SIGINT) {
            log_warn("server", "second signal, leaving at once");
            _exit(1);
        }
    }
    return 0;
}

int server_run(struct server *s)
{
    struct err e;
    if (!threads_start(s, &e)) {
        log_error("server", "%s", e.text);
        return 1;
    }
    for (;;) {
        int sig = signal_wait(-1);
        if (sig == SIGTERM || sig == SIGINT)
            break;
        if (sig == SIGHUP)
            log_info("server", "nothing to reload: the configuration is read once, at the start");
    }
    int code = drain(s);
    log_info("server", "stopped");
    return code;
}

void server_destroy(struct server **ps)
{
    struct server *s = *ps;
    if (!s)
        return;
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_stop(&s->threads[i]);
    service_stop(&s->service);
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_close_streams(&s->threads[i]);
    for (uint16_t i = 0; i < s->worker_count; i++)
        worker_finish(&s->threads[i]);
    registry_destroy(&s->node.registry);
    cache_destroy(&s->node.cache);
    app_manager_destroy(&s->node.apps);
    app_lives_finish(&s->node.lives);
    node_use(NULL);
    free(s->threads);
    free(s->loops);
    free(s);
    *ps = NULL;
}
