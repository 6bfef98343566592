/* queue/none.c - no jobs: whatever is pushed is gone (webhooks.md §7). */
#include "queue/driver.h"

struct none {
    struct queue base;
};

static bool none_open(struct queue *q, const struct queue_options *opt, struct err *e)
{
    (void)q, (void)opt, (void)e;
    return true;
}

static void none_close(struct queue *q)
{
    (void)q;
}

static enum when none_push(struct queue *q, str payload, struct err *out, struct queue_call *call)
{
    (void)q, (void)payload, (void)out, (void)call;
    return DONE;
}

static void none_want(struct queue *q, uint32_t n)
{
    (void)q, (void)n;
}

/* It never hands out a job, so nobody can end one. */
static void none_done(struct queue *q, struct queue_job *job)
{
    (void)q;
    CHECK(job == NULL);
}

static void none_later(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                       uint64_t lane)
{
    (void)q, (void)payload, (void)delay_ms, (void)lane;
    CHECK(job == NULL);
}

static void none_bury(struct queue *q, struct queue_job *job, const char *reason)
{
    (void)q, (void)reason;
    CHECK(job == NULL);
}

static bool none_call(struct queue *q, uint64_t lane)
{
    (void)q, (void)lane;
    return false;
}

static void none_hurry(struct queue *q)
{
    (void)q;
}

static void none_count(const struct queue *q, struct queue_counts *out)
{
    (void)q, (void)out;
}

extern const struct queue_driver queue_none;
const struct queue_driver queue_none = {
    .name = "none",
    .caps = QUEUE_NOWHERE,
    .size = sizeof(struct none),
    .open = none_open,
    .close = none_close,
    .push = none_push,
    .want = none_want,
    .done = none_done,
    .later = none_later,
    .bury = none_bury,
    .call = none_call,
    .hurry = none_hurry,
    .count = none_count,
};
