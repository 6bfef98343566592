#include "webhook/lane.h"

#include <stdlib.h>

void lanes_init(struct lanes *l, struct queue *q)
{
    *l = (struct lanes){.queue = q};
    l->waiting_end = &l->waiting;
}

void lanes_finish(struct lanes *l)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane *x; (x = l->buckets[i]) != NULL; free(x))
            l->buckets[i] = x->chain;
}

bool lane_is_idle(const struct lane *x)
{
    return x->active == 0 && x->waiting == 0 && x->called == 0 && x->holder == 0;
}

/* Endpoints that failed are remembered, but not for ever. */
static void sweep(struct lanes *l)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane **at = &l->buckets[i], *x; (x = *at) != NULL;) {
            if (!lane_is_idle(x)) {
                at = &x->chain;
                continue;
            }
            *at = x->chain;
            l->count--;
            free(x);
        }
}

static struct lane *find(const struct lanes *l, uint64_t id)
{
    struct lane *x = l->buckets[id % LANE_BUCKETS];
    while (x != NULL && x->id != id)
        x = x->chain;
    return x;
}

struct lane *lanes_get(struct lanes *l, uint64_t id, bool ordered)
{
    struct lane *x = find(l, id);
    if (x == NULL) {
        if (l->count >= LANES_KEPT)
            sweep(l);
        x = mem_zero(sizeof *x);
        x->id = id;
        x->chain = l->buckets[id % LANE_BUCKETS];
        l->buckets[id % LANE_BUCKETS] = x;
        l->count++;
    }
    x->ordered = ordered;
    return x;
}

static void list_join(struct lanes *l, struct lane *x)
{
    x->next = NULL;
    x->prev = l->waiting_end;
    *l->waiting_end = x;
    l->waiting_end = &x->next;
}

static void list_leave(struct lanes *l, struct lane *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        l->waiting_end = x->prev;
    x->prev = NULL;
}

static void set_waiting(struct lanes *l, struct lane *x, uint32_t n)
{
    x->waiting = n;
    if (n > 0 && x->prev == NULL)
        list_join(l, x);
    else if (n == 0 && x->prev != NULL)
        list_leave(l, x);
}

void lanes_arrived(struct lanes *l, const struct queue_job *job)
{
    struct lane *x = job->lane ? find(l, job->lane) : NULL;
    if (x == NULL)
        return;
    if (job->is_called && x->called > 0) {
        x->called--;
        l->called--;
    } else if (!job->is_called && x->waiting > 0) {
        set_waiting(l, x, x->waiting - 1); /* it waited as long as the queue lets it */
    }
}

bool lane_is_failing(const struct lane *x)
{
    return x->failures >= LANE_FAILURES;
}

static uint32_t limit_of(const struct lanes *l, const struct lane *x)
{
    if (x->ordered || lane_is_failing(x))
        return 1;
    uint32_t less = l->active / (LANES_ACTIVE / LANE_ACTIVE);
    return less < LANE_ACTIVE ? LANE_ACTIVE - less : 1;
}

/* Room for one more, beside those that were called and have not come yet. */
static bool has_room(const struct lanes *l, const struct lane *x)
{
    return l->active + l->called < LANES_ACTIVE && x->active + x->called < limit_of(l, x);
}

enum lane_answer lane_enter(struct lanes *l, struct lane *x, const struct queue_job *job,
                            uint64_t job_hash)
{
    bool is_mine = x->ordered && x->holder == job_hash;
    bool is_its_turn = job->is_called || x->waiting == 0; /* newcomers do not overtake */
    if (is_mine ? x->active == 0 && l->active < LANES_ACTIVE
                : x->holder == 0 && is_its_turn && has_room(l, x)) {
        x->holder = 0;
        x->holder_waits = false;
        x->active++;
        l->active++;
        return LANE_GO;
    }
    if (x->waiting >= LANE_WAITING && !is_mine)
        return LANE_FULL;
    x->holder_waits |= is_mine;
    set_waiting(l, x, x->waiting + 1);
    return LANE_WAIT;
}

void lane_leave(struct lanes *l, struct lane *x, bool failed, bool comes_again, uint64_t job_hash)
{
    CHECK(x->active > 0 && l->active > 0);
    x->active--;
    l->active--;
    x->failures = failed ? x->failures + 1 : 0;
    x->holder = x->ordered && comes_again ? job_hash : 0;
}

void lanes_forget(struct lanes *l, uint64_t job_hash)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane *x = l->buckets[i]; x != NULL; x = x->chain)
            if (x->holder == job_hash) {
                x->holder = 0;
                x->holder_waits = false;
            }
}

void lanes_unorder(struct lanes *l)
{
    for (size_t i = 0; i < LANE_BUCKETS; i++)
        for (struct lane *x = l->buckets[i]; x != NULL; x = x->chain) {
            x->holder = 0;
            x->holder_waits = false;
        }
    lanes_call(l);
}

/* One of its jobs; false: the queue has none at hand, they come when their time is over. */
static bool call_one(struct lanes *l, struct lane *x)
{
    if (!queue_call(l->queue, x->id)) {
        set_waiting(l, x, 0);
        return false;
    }
    x->called++;
    l->called++;
    set_waiting(l, x, x->waiting - 1);
    return true;
}

void lanes_call(struct lanes *l)
{
    struct lane *last = NULL; /* the first that was put behind: all have been asked */
    for (struct lane *x; (x = l->waiting) != NULL && x != last;) {
        if (l->active + l->called >= LANES_ACTIVE)
            return;
        if ((x->holder == 0 || x->holder_waits) && has_room(l, x) && call_one(l, x)) {
            last = NULL;
        } else if (x->prev != NULL && last == NULL) {
            last = x;
        }
        if (x->prev != NULL) {
            list_leave(l, x);
            list_join(l, x);
        }
    }
}
