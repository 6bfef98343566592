#include "server/memory_watch.h"

#include <malloc.h>

#include "base/log.h"
#include "metrics/process.h"

void memory_watch_init(struct memory_watch *m, uint64_t limit)
{
    *m = (struct memory_watch){.limit = limit};
}

static uint64_t percent(const struct memory_watch *m, uint64_t n)
{
    return m->limit / 100 * n;
}

uint64_t memory_watch_judge(struct memory_watch *m, uint64_t used)
{
    if (m->limit == 0)
        return 0;
    m->is_short = used >= percent(m, MEMORY_SHORT);
    m->is_shedding = used >= percent(m, m->is_shedding ? MEMORY_ENOUGH : MEMORY_SHED);
    if (!m->is_shedding) {
        m->sheds = 0;
        return 0;
    }
    /* What waits for many is counted at each of them, so that closing one may give back little. */
    uint64_t want = (used - percent(m, MEMORY_ENOUGH)) << m->sheds;
    if (m->sheds < MEMORY_SHEDS_MAX)
        m->sheds++;
    return want ? want : 1;
}

bool memory_watch_should_reclaim(struct memory_watch *m, uint64_t used, int64_t now_ms)
{
    bool is_due = !m->is_short || m->is_shedding || used >= percent(m, MEMORY_SHED) ||
                  now_ms >= m->reclaim_ms;
    if (m->limit == 0 || used < percent(m, MEMORY_SHORT) || !is_due)
        return false;
    m->reclaim_ms = now_ms + MEMORY_RECLAIM_MS;
    return true;
}

bool memory_watch_should_trim(struct memory_watch *m, uint64_t connections, uint64_t most)
{
    bool still_leaving = connections < m->last;
    m->last = connections;
    return most >= MEMORY_TRIM_CONNECTIONS && connections <= most / 2 && !still_leaving;
}

/* ---- on the node ---- */

static struct worker_thread *thread_at(struct node *n, uint16_t i)
{
    return CONTAINER_OF(n->workers[i], struct worker_thread, worker);
}

static uint64_t unsent_of(struct node *n, uint16_t i)
{
    return atomic_load_explicit(&thread_at(n, i)->unsent, memory_order_relaxed);
}

static uint64_t unsent_in_all(struct node *n)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < n->worker_count; i++)
        sum += unsent_of(n, i);
    return sum;
}

static uint64_t most_of(struct node *n)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < n->worker_count; i++)
        sum += atomic_load_explicit(&thread_at(n, i)->most, memory_order_relaxed);
    return sum;
}

static uint64_t connections_of(struct node *n)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < n->worker_count; i++)
        sum += atomic_load_explicit(&thread_at(n, i)->load, memory_order_relaxed);
    return sum;
}

/* What is resident. Our own counters tell less: of bodies they hold what was declared, not what has
 * come; unsent bytes are counted at each connection though all share the frames. */
static uint64_t used_now(void)
{
    struct process_usage u;
    process_usage(&u);
    return u.resident_bytes;
}

/* Every worker closes its part of what should go. */
static void shed(struct node *n, uint64_t want)
{
    uint64_t unsent = unsent_in_all(n);
    uint64_t freed = n->cache ? cache_shed(n->cache, (size_t)want) : 0;
    double rest = freed < want ? (double)(want - freed) : 0;
    for (uint16_t i = 0; i < n->worker_count; i++)
        worker_shed(thread_at(n, i),
                    unsent ? (uint64_t)(rest * (double)unsent_of(n, i) / (double)unsent) : 0);
}

static bool refuses(const struct memory_watch *m)
{
    return m->is_short || m->lacks_reserve;
}

static void say(const struct memory_watch *m, bool was_short, uint64_t used)
{
    if (refuses(m) == was_short)
        return;
    if (m->lacks_reserve)
        log_warn("server", "allocations fail, %llu MiB in use: refusing connections and publishes",
                 (unsigned long long)(used >> 20));
    else if (m->is_short)
        log_warn("server", "memory is short, %llu of %llu MiB: refusing connections and publishes",
                 (unsigned long long)(used >> 20), (unsigned long long)(m->limit >> 20));
    else
        log_info("server", "memory is no longer short: %llu MiB", (unsigned long long)(used >> 20));
}

static void look_at_reserve(struct memory_watch *m)
{
    enum mem_reserve state = mem_reserve();
    if (state == MEM_RESERVE_MADE && m->has_begun)
        log_warn("server", "an allocation failed and used the reserve, which is there again");
    m->has_begun = true;
    m->lacks_reserve = state == MEM_RESERVE_NONE;
}

static void judge(struct memory_watch *m, struct node *n, int64_t now_ms)
{
    bool was_short = refuses(m);
    uint64_t used = used_now();
    if (memory_watch_should_reclaim(m, used, now_ms)) {
        malloc_trim(0);
        used = used_now();
    }
    uint64_t want = memory_watch_judge(m, used);
    look_at_reserve(m);
    atomic_store_explicit(&n->is_short, refuses(m), memory_order_relaxed);
    say(m, was_short, used);
    if (want)
        shed(n, want);
}

/* First the workers free what they keep for connections, at the next look the heap goes back. */
static void give_back(struct memory_watch *m, struct node *n)
{
    if (m->gives_back)
        malloc_trim(0);
    m->gives_back = memory_watch_should_trim(m, connections_of(n), most_of(n));
    if (!m->gives_back)
        return;
    for (uint16_t i = 0; i < n->worker_count; i++)
        worker_trim(thread_at(n, i));
}

void memory_watch_tick(struct memory_watch *m, struct node *n, int64_t now_ms)
{
    if (now_ms < m->look_ms)
        return;
    m->look_ms = now_ms + MEMORY_LOOK_MS;
    judge(m, n, now_ms);
    give_back(m, n);
}
