/* queue/driver.h - for those who implement a queue; private to this folder and to tests.
 *
 * Every slot is mandatory. queue.c keeps the credits, counts what is active, decides when a job
 * without a result is given up, and ends waiting pushes; a driver only keeps jobs. Everything runs
 * on q->loop. A driver that cannot take a push at once copies the payload, keeps the call with
 * queue_call_keep, returns LATER and answers once with queue_call_answer.
 */
#ifndef QUEUE_DRIVER_H
#define QUEUE_DRIVER_H

#include "queue/queue.h"

struct queue_call { /* one push that waits */
    struct queue *queue;
    queue_pushed_fn *cb;
    void *ctx;
    struct queue_call *next, **prev;
};

struct queue_driver {
    const char *name; /* as in the config file */
    unsigned caps;    /* enum queue_caps */
    size_t size;      /* of the driver's own struct, cleared before open */
    bool (*open)(struct queue *q, const struct queue_options *opt, struct err *e);
    void (*close)(struct queue *q); /* also after a failed open; frees jobs that nobody ended */
    enum when (*push)(struct queue *q, str payload, struct err *out, struct queue_call *call);
    /* From now on at most n jobs by queue_hand, now or when they come; each call replaces the
     * number, each job takes one off it. */
    void (*want)(struct queue *q, uint32_t n);
    /* The four ends of a job that was handed over. job->pickups is what counts from now on. */
    void (*done)(struct queue *q, struct queue_job *job);
    void (*later)(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                  uint64_t lane); /* payload empty: as it was */
    void (*bury)(struct queue *q, struct queue_job *job, const char *reason);
    bool (*call)(struct queue *q, uint64_t lane);
    void (*hurry)(struct queue *q);
    void (*count)(const struct queue *q, struct queue_counts *out); /* all but active */
};

struct queue { /* first member of every driver's own struct */
    const struct queue_driver *drv;
    struct loop *loop;
    struct alarm pump;
    queue_work_fn *work;
    void *ctx;
    uint32_t credits, active;
    uint32_t max_attempts;
    int64_t base_delay_ms, max_delay_ms;
    double jitter;
    struct queue_call *waiting;
};

/* There may be a job now: asks the driver for it before the turn ends. */
void queue_ready(struct queue *q);
/* Gives a job to the consumer, who may end it before this returns. */
void queue_hand(struct queue *q, struct queue_job *job);

/* The call a driver is given lies on the stack of the front; this one it may hold. */
struct queue_call *queue_call_keep(const struct queue_call *call);
/* Ends a kept call. */
void queue_call_answer(struct queue_call *call, const struct err *e);

#endif
