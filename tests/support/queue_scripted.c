/* support/queue_scripted.c - see the header. */
#include "support/queue_scripted.h"

#include "queue/driver.h"

#include <stdio.h>
#include <stdlib.h>

struct item {
    struct queue_job base;
    struct item *next;
    struct queue_call *call; /* NULL: taken */
};
struct scripted {
    struct queue base;
    struct item *pushes, **pushes_end;
    struct item *jobs, **jobs_end;
    struct item *active;
    uint32_t wanted;
    char last[256];
};

static void add(struct item ***end, struct item *x)
{
    x->next = NULL;
    **end = x;
    *end = &x->next;
}

static struct item *pop(struct item **first, struct item ***end)
{
    struct item *x = *first;
    if (x == NULL)
        return NULL;
    *first = x->next;
    if (*first == NULL)
        *end = first;
    return x;
}

static void item_free(struct item *x)
{
    free((void *)(uintptr_t)x->base.payload.p);
    free(x);
}

static bool scripted_open(struct queue *q, const struct queue_options *opt, struct err *e)
{
    (void)opt, (void)e;
    struct scripted *s = (struct scripted *)q;
    s->pushes_end = &s->pushes;
    s->jobs_end = &s->jobs;
    return true;
}

static void scripted_close(struct queue *q)
{
    struct scripted *s = (struct scripted *)q;
    for (struct item *x; (x = pop(&s->pushes, &s->pushes_end)) != NULL;)
        item_free(x);
    for (struct item *x; (x = pop(&s->jobs, &s->jobs_end)) != NULL;)
        item_free(x);
    for (struct item *x; (x = s->active) != NULL; item_free(x))
        s->active = x->next;
}

static enum when scripted_push(struct queue *q, str payload, struct err *out,
                               struct queue_call *call)
{
    (void)out;
    struct scripted *s = (struct scripted *)q;
    struct item *x = mem_zero(sizeof *x);
    x->base.payload = str_of(mem_dup(payload), payload.n);
    x->call = queue_call_keep(call);
    add(&s->pushes_end, x);
    return LATER;
}

static void scripted_want(struct queue *q, uint32_t n)
{
    ((struct scripted *)q)->wanted = n;
}

static struct item *take_active(struct scripted *s, struct queue_job *job)
{
    struct item **at = &s->active;
    while (&(*at)->base != job)
        at = &(*at)->next;
    struct item *x = *at;
    *at = x->next;
    return x;
}

static void scripted_done(struct queue *q, struct queue_job *job)
{
    struct scripted *s = (struct scripted *)q;
    snprintf(s->last, sizeof s->last, "done");
    item_free(take_active(s, job));
}

static void scripted_later(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                           uint64_t lane)
{
    struct scripted *s = (struct scripted *)q;
    struct item *x = take_active(s, job);
    snprintf(s->last, sizeof s->last, "later %lld lane %llu %.*s", (long long)delay_ms,
             (unsigned long long)lane, FMT(payload));
    add(&s->jobs_end, x);
}

static void scripted_bury(struct queue *q, struct queue_job *job, const char *reason)
{
    struct scripted *s = (struct scripted *)q;
    snprintf(s->last, sizeof s->last, "bury %s", reason);
    item_free(take_active(s, job));
}

static bool scripted_call(struct queue *q, uint64_t lane)
{
    (void)q, (void)lane;
    return false;
}

static void scripted_hurry(struct queue *q)
{
    (void)q;
}

static void scripted_count(const struct queue *q, struct queue_counts *out)
{
    for (const struct item *x = ((const struct scripted *)q)->jobs; x != NULL; x = x->next)
        out->waiting++;
}

bool queue_scripted_release(struct queue *q, bool fail)
{
    struct scripted *s = (struct scripted *)q;
    struct err e = {.kind = ERR_NONE};
    struct item *x = pop(&s->pushes, &s->pushes_end);
    if (x == NULL)
        return false;
    struct queue_call *call = x->call;
    x->call = NULL;
    if (fail) {
        err_set(&e, ERR_UNAVAILABLE, "scripted failure");
        item_free(x);
    } else {
        add(&s->jobs_end, x);
    }
    queue_call_answer(call, &e);
    return true;
}

bool queue_scripted_hand(struct queue *q)
{
    struct scripted *s = (struct scripted *)q;
    struct item *x = s->wanted > 0 ? pop(&s->jobs, &s->jobs_end) : NULL;
    if (x == NULL)
        return false;
    s->wanted--;
    x->next = s->active;
    s->active = x;
    x->base.pickups++;
    queue_hand(q, &x->base);
    return true;
}

size_t queue_scripted_waiting(const struct queue *q)
{
    size_t n = 0;
    for (const struct item *x = ((const struct scripted *)q)->pushes; x != NULL; x = x->next)
        n++;
    return n;
}

uint32_t queue_scripted_wanted(const struct queue *q)
{
    return ((const struct scripted *)q)->wanted;
}

const char *queue_scripted_last(const struct queue *q)
{
    return ((const struct scripted *)q)->last;
}

const struct queue_driver queue_scripted = {
    .name = "scripted",
    .caps = QUEUE_SHARED,
    .size = sizeof(struct scripted),
    .open = scripted_open,
    .close = scripted_close,
    .push = scripted_push,
    .want = scripted_want,
    .done = scripted_done,
    .later = scripted_later,
    .bury = scripted_bury,
    .call = scripted_call,
    .hurry = scripted_hurry,
    .count = scripted_count,
};
