/* server/drain.c - the end: closes WebSockets at an even rate and waits for them. */
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "server/notify.h"
#include "server/state.h"

/* At least one socket a millisecond; the last fifth of the grace period is left for farewells. */
enum { DRAIN_LOOK_MS = 10, DRAIN_AT_ONCE = 100 };

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

static int64_t spread_of(const struct server *s, int64_t grace)
{
    int64_t sockets = atomic_load(&s->node.connections);
    int64_t longest = grace - grace / 5;
    if (sockets < DRAIN_AT_ONCE)
        return 0; /* few enough to tell at once */
    return sockets < longest ? sockets : longest;
}

static void look(struct server *s)
{
    int sig = server_signal(DRAIN_LOOK_MS);
    server_watchdog_feed(s);
    if (sig != SIGTERM && sig != SIGINT)
        return;
    log_warn("server", "second signal, leaving at once");
    log_stop();
    _exit(1);
}

/* Until nobody is in a channel any more: then nothing new is told, although farewells of the last
 * may take until the end, and webhooks have the rest of the time. */
static void wait_for_members(struct server *s, int64_t end)
{
    while (atomic_load(&s->node.connections) > 0 && sockets_draining(s) > 0 &&
           loop_clock_monotonic(NULL) < end)
        look(s);
}

void server_drain(struct server *s)
{
    int64_t grace = s->node.settings->shutdown_grace_ms;
    int64_t end = loop_clock_monotonic(NULL) + grace, spread = spread_of(s, grace);
    atomic_store(&s->node.draining, true);
    notify_stopping();
    log_info("server", "shutting down, %u sockets", sockets_live(s));
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        worker_drain(&s->threads[i], spread);
    wait_for_members(s, end);
    service_flush(&s->service);
    while ((sockets_draining(s) > 0 || !atomic_load(&s->service.is_flushed)) &&
           loop_clock_monotonic(NULL) < end)
        look(s);
}
