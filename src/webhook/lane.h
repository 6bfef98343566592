/* webhook/lane.h - who may send now: 4 requests per endpoint, 100 per process.
 *
 * A lane is an endpoint (app and URL), or with webhooks.ordered one webhook of an app. A job that
 * may not start goes back to the queue under the lane's id, and is called when there is room.
 *
 * Nature   the service loop's thread
 * Limits   LANE_ACTIVE, fewer the more the process has (from 25 on 3, from 50 on 2, from 75 on
 *          1), so that endpoints that hang leave room for others; 1 after LANE_FAILURES failures
 *          in a row; LANE_WAITING jobs wait
 * Source   webhooks.md §5
 */
#ifndef WEBHOOK_LANE_H
#define WEBHOOK_LANE_H

#include "queue/queue.h"

enum {
    LANE_ACTIVE = 4,
    LANES_ACTIVE = 100,
    LANE_FAILURES = 5,
    LANE_WAITING = 10000,
    LANES_KEPT = 10000,
    LANE_BUCKETS = 1024
};

struct lane {
    struct lane *chain;
    struct lane *next, **prev; /* among those where somebody waits */
    uint64_t id;
    bool ordered;
    uint64_t holder;   /* ordered: hash of the job that is between two attempts; 0: none */
    bool holder_waits; /* here, for room in the process */
    uint32_t active, waiting, called, failures;
};
struct lanes {
    struct queue *queue;
    struct lane *buckets[LANE_BUCKETS];
    struct lane *waiting, **waiting_end;
    uint32_t count, active, called;
};
enum lane_answer { LANE_GO, LANE_WAIT, LANE_FULL };

void lanes_init(struct lanes *l, struct queue *q);
void lanes_finish(struct lanes *l);
/* A job was handed over that may have waited in a lane. First of all. */
void lanes_arrived(struct lanes *l, const struct queue_job *job);
struct lane *lanes_get(struct lanes *l, uint64_t id, bool ordered);
/* GO: it is active, until lane_leave. WAIT: it must go back to the queue under lane->id. */
enum lane_answer lane_enter(struct lanes *l, struct lane *lane, const struct queue_job *job,
                            uint64_t job_hash);
/* failed: the endpoint's fault. comes_again: after a while (ordered: nobody passes it). */
void lane_leave(struct lanes *l, struct lane *lane, bool failed, bool comes_again,
                uint64_t job_hash);
/* The job will not come again: wherever others wait for it, they need not any more. */
void lanes_forget(struct lanes *l, uint64_t job_hash);
/* webhooks.ordered has changed: jobs come to other lanes from now on, nobody waits for one here. */
void lanes_unorder(struct lanes *l);
/* Jobs are called into the room there is; after every end of a job. */
void lanes_call(struct lanes *l);
bool lane_is_failing(const struct lane *lane);
/* Nobody is in it, waits for it, or comes to it again. */
bool lane_is_idle(const struct lane *lane);

#endif
