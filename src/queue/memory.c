/* queue/memory.c - a queue in this process: delivered by this node, lost with it.
 *
 * A job is in one of four lists: waiting (due), delayed (each with an alarm), active, dead. Those
 * that wait in a lane are also in the lane's list, by age, so that a call finds the oldest.
 * Source: drivers.md §6.2, §9.11
 */
#include "queue/driver.h"

#include <stdlib.h>

enum { CAPACITY_DEFAULT = 100000, LANE_BUCKETS = 1024 };

struct job {
    struct queue_job base;
    struct memory *memory;
    struct jobs *list;
    struct job *next, *prev;
    struct alarm due;
    uint64_t seq; /* order of the pushes */
    struct lane *lane;
    struct job *lane_next, *lane_prev;
};
struct jobs {
    struct job *first, *last;
    uint64_t count, bytes;
};
struct lane {
    struct lane *next; /* same bucket */
    uint64_t id;
    struct job *first, *last;
};
struct memory {
    struct queue base;
    uint64_t capacity, capacity_bytes, failed_retention, seq;
    struct jobs waiting, delayed, active, dead;
    struct lane *lanes[LANE_BUCKETS];
};

static struct memory *memory_of(struct queue *q)
{
    return (struct memory *)q;
}

static void leave_list(struct job *j)
{
    struct jobs *l = j->list;
    *(j->prev ? &j->prev->next : &l->first) = j->next;
    *(j->next ? &j->next->prev : &l->last) = j->prev;
    l->count--;
    l->bytes -= j->base.payload.n;
    j->list = NULL;
}

static void join_last(struct jobs *l, struct job *j)
{
    j->list = l;
    j->next = NULL;
    j->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = j;
    l->last = j;
    l->count++;
    l->bytes += j->base.payload.n;
}

static void join_first(struct jobs *l, struct job *j)
{
    j->list = l;
    j->prev = NULL;
    j->next = l->first;
    *(l->first ? &l->first->prev : &l->last) = j;
    l->first = j;
    l->count++;
    l->bytes += j->base.payload.n;
}

static struct lane **lane_place(struct memory *m, uint64_t id)
{
    struct lane **at = &m->lanes[id % LANE_BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

/* Behind those that were pushed before it: nearly always the last place. */
static void join_lane(struct memory *m, struct job *j, uint64_t id)
{
    struct lane **at = lane_place(m, id);
    if (*at == NULL) {
        *at = mem_zero(sizeof **at);
        (*at)->id = id;
    }
    struct lane *l = j->lane = *at;
    j->lane_prev = l->last;
    while (j->lane_prev != NULL && j->lane_prev->seq > j->seq)
        j->lane_prev = j->lane_prev->lane_prev;
    j->lane_next = j->lane_prev ? j->lane_prev->lane_next : l->first;
    *(j->lane_prev ? &j->lane_prev->lane_next : &l->first) = j;
    *(j->lane_next ? &j->lane_next->lane_prev : &l->last) = j;
}

static void leave_lane(struct job *j)
{
    struct lane *l = j->lane;
    if (l == NULL)
        return;
    *(j->lane_prev ? &j->lane_prev->lane_next : &l->first) = j->lane_next;
    *(j->lane_next ? &j->lane_next->lane_prev : &l->last) = j->lane_prev;
    j->lane = NULL;
    if (l->first != NULL)
        return;
    *lane_place(j->memory, l->id) = l->next;
    free(l);
}

static void payload_set(struct job *j, str payload)
{
    free((void *)(uintptr_t)j->base.payload.p);
    j->base.payload = str_of(mem_dup(payload), payload.n);
}

static void job_free(struct job *j)
{
    alarm_stop(&j->memory->base.loop->alarms, &j->due);
    leave_lane(j);
    leave_list(j);
    free((void *)(uintptr_t)j->base.payload.p);
    free(j);
}

static void list_free(struct jobs *l)
{
    while (l->first != NULL)
        job_free(l->first);
}

static bool memory_open(struct queue *q, const struct queue_options *opt, struct err *e)
{
    (void)e;
    struct memory *m = memory_of(q);
    m->capacity = opt->capacity ? opt->capacity : CAPACITY_DEFAULT;
    m->capacity_bytes = opt->capacity_bytes ? opt->capacity_bytes : QUEUE_MEMORY_BYTES;
    m->failed_retention = opt->failed_retention;
    return true;
}

static void memory_close(struct queue *q)
{
    struct memory *m = memory_of(q);
    list_free(&m->waiting);
    list_free(&m->delayed);
    list_free(&m->active);
    list_free(&m->dead);
}

static void fall_due(struct job *j)
{
    alarm_stop(&j->memory->base.loop->alarms, &j->due);
    leave_lane(j);
    leave_list(j);
}

static void on_due(void *ctx)
{
    struct job *j = ctx;
    struct memory *m = j->memory;
    fall_due(j);
    join_last(&m->waiting, j);
    queue_ready(&m->base);
}

static enum when memory_push(struct queue *q, str payload, struct err *out, struct queue_call *call)
{
    (void)call;
    struct memory *m = memory_of(q);
    uint64_t count = m->waiting.count + m->delayed.count + m->active.count;
    uint64_t bytes = m->waiting.bytes + m->delayed.bytes + m->active.bytes;
    bool is_too_much = count > 0 && bytes + payload.n > m->capacity_bytes;
    if (count >= m->capacity || is_too_much) {
        err_set(out, ERR_LIMIT, "the queue is full: %llu jobs, %llu bytes",
                (unsigned long long)count, (unsigned long long)bytes);
        return DONE;
    }
    struct job *j = mem_zero(sizeof *j);
    j->memory = m;
    j->seq = ++m->seq;
    j->due = (struct alarm){.fn = on_due, .ctx = j};
    payload_set(j, payload);
    join_last(&m->waiting, j);
    queue_ready(q);
    return DONE;
}

static void memory_want(struct queue *q, uint32_t n)
{
    struct memory *m = memory_of(q);
    for (; n > 0 && m->waiting.first != NULL; n--) {
        struct job *j = m->waiting.first;
        leave_list(j);
        join_last(&m->active, j);
        j->base.pickups++;
        queue_hand(q, &j->base);
    }
}

static void memory_done(struct queue *q, struct queue_job *job)
{
    (void)q;
    job_free((struct job *)job);
}

static void memory_later(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                         uint64_t lane)
{
    struct memory *m = memory_of(q);
    struct job *j = (struct job *)job;
    leave_list(j);
    if (payload.n > 0)
        payload_set(j, payload);
    j->base.lane = lane;
    j->base.is_called = false;
    join_last(&m->delayed, j);
    if (lane != 0)
        join_lane(m, j, lane);
    loop_alarm(q->loop, &j->due, q->loop->now_ms + delay_ms);
}

static void memory_bury(struct queue *q, struct queue_job *job, const char *reason)
{
    (void)reason; /* logged by the consumer; kept by drivers whose dead jobs somebody can read */
    struct memory *m = memory_of(q);
    struct job *j = (struct job *)job;
    leave_list(j);
    join_last(&m->dead, j);
    while (m->dead.count > m->failed_retention || m->dead.bytes > QUEUE_DEAD_BYTES)
        job_free(m->dead.first);
}

static bool memory_call(struct queue *q, uint64_t lane)
{
    struct memory *m = memory_of(q);
    struct lane *l = *lane_place(m, lane);
    if (l == NULL)
        return false;
    struct job *j = l->first;
    fall_due(j);
    j->base.is_called = true;
    join_first(&m->waiting, j);
    queue_ready(q);
    return true;
}

static void memory_hurry(struct queue *q)
{
    struct memory *m = memory_of(q);
    for (struct job *j = m->delayed.first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->lane == NULL)
            on_due(j);
    }
}

static void memory_count(const struct queue *q, struct queue_counts *out)
{
    const struct memory *m = (const struct memory *)q;
    out->waiting = m->waiting.count;
    out->delayed = m->delayed.count;
    out->dead = m->dead.count;
}

extern const struct queue_driver queue_memory;
const struct queue_driver queue_memory = {
    .name = "memory",
    .caps = 0,
    .size = sizeof(struct memory),
    .open = memory_open,
    .close = memory_close,
    .push = memory_push,
    .want = memory_want,
    .done = memory_done,
    .later = memory_later,
    .bury = memory_bury,
    .call = memory_call,
    .hurry = memory_hurry,
    .count = memory_count,
};
