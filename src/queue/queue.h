/* queue/queue.h - jobs that wait until somebody does them: at least once, with retries.
 *
 * One consumer takes jobs while it has credits, and ends each of them: done, later (again after a
 * while, perhaps with another payload), failed (no result: again, but not for ever) or buried.
 * What waits, waits in the queue and holds no credit.
 *
 * Nature   one loop: every call and every callback happens on it. A push answers DONE or LATER
 * Limits   memory: capacity jobs and capacity_bytes (one alone may be larger), then a push fails
 *          with ERR_LIMIT; dead jobs: failed_retention and QUEUE_DEAD_BYTES, the oldest go first
 * Order    first in, first out among the jobs that are due
 * Source   drivers.md §6.1, §6.2, §9.11; configuration.md §6 queue.*
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "io/loop.h"

enum { QUEUE_MEMORY_BYTES = 256 << 20, QUEUE_DEAD_BYTES = 16 << 20 };
enum queue_caps {
    QUEUE_SHARED = 1 << 0,  /* jobs outlive this process, other nodes do them too */
    QUEUE_NOWHERE = 1 << 1, /* takes nothing: whoever has jobs should say so once */
};

struct queue; /* opaque; owned by struct server */
struct queue_driver;

struct queue_options {
    str driver; /* as in the config file */
    struct loop *loop;
    uint64_t capacity;                                /* jobs in memory; 0: 100,000 */
    uint64_t capacity_bytes;                          /* of them; 0: QUEUE_MEMORY_BYTES */
    uint64_t failed_retention;                        /* dead jobs kept */
    uint32_t max_attempts;                            /* pickups without a result; 0: 5 */
    uint64_t retry_base_delay_ms, retry_max_delay_ms; /* of jobs without a result; 0: 1 s, 60 s */
    double retry_jitter;                              /* 0..1 */
};

/* A job in the consumer's hands, until he ends it with one of the calls below. */
struct queue_job {
    str payload;      /* valid until the job is ended */
    uint32_t pickups; /* without a result, this one included */
    uint64_t lane;    /* it waited there: see queue_job_later. 0: none */
    bool is_called;   /* it comes because of queue_call */
};
typedef void queue_work_fn(void *ctx, struct queue_job *job);
typedef void queue_pushed_fn(void *ctx, const struct err *e);

struct queue_counts {
    uint64_t waiting, delayed, active, dead;
};

/* Opens the driver that opt->driver names.
 * Errors   ERR_CONFIG unknown or unbuilt driver; ERR_UNAVAILABLE no first connection. */
NODISCARD struct queue *queue_create(const struct queue_options *opt, struct err *e);
/* The same with a driver that the table does not have (tests). */
NODISCARD struct queue *queue_create_with(const struct queue_driver *driver,
                                          const struct queue_options *opt, struct err *e);
/* Takes *q and sets it NULL; NULL is fine. Pushes that wait get ERR_UNAVAILABLE first. */
void queue_destroy(struct queue **q);
unsigned queue_caps(const struct queue *q);

/* The payload is copied before the call returns. DONE: *out tells (ERR_LIMIT: full); LATER: cb
 * does, once. */
enum when queue_push(struct queue *q, str payload, struct err *out, queue_pushed_fn *cb, void *ctx);

/* fn gets jobs from now on, at most `credits` that are not ended. It may end them at once. */
void queue_consume(struct queue *q, uint32_t credits, queue_work_fn *fn, void *ctx);
/* The consumer goes: no callback of any kind comes any more. Jobs he has not ended stay with the
 * driver, who drops them (memory) or leaves them to others when he is closed. */
void queue_leave(struct queue *q);

void queue_job_done(struct queue *q, struct queue_job *job);
/* Again after delay_ms, with this payload (empty: as it was). It was worked on: pickups start
 * anew. lane (not 0): queue_call may have it earlier. */
void queue_job_later(struct queue *q, struct queue_job *job, str payload, int64_t delay_ms,
                     uint64_t lane);
/* No result, for reasons that are not the job's: again after a while, or buried. */
void queue_job_failed(struct queue *q, struct queue_job *job, const char *reason);
/* Never again; kept for a look at it. */
void queue_job_bury(struct queue *q, struct queue_job *job, const char *reason);

/* The first pushed of those that wait in the lane is due now. False: none is known here. */
bool queue_call(struct queue *q, uint64_t lane);
/* Whatever waits for its time, in no lane, is due now. A shared queue ignores it. */
void queue_hurry(struct queue *q);

struct queue_counts queue_count(const struct queue *q);
/* Nothing is left that would be lost with this process. */
bool queue_is_drained(const struct queue *q);

#endif
