/* webhook/job.h - what lies in the queue: events of one app, as JSON (drivers.md §6.1, §9.11).
 *
 * A job of ours is for one webhook of the app, so that one that fails holds up no other. One
 * without that member (another producer's) is for all of them, and is split when it is picked up.
 *
 * Nature   pure
 * Limits   JOB_ID_MAX bytes of job_id; up to JOB_EVENTS_MAX events
 */
#ifndef WEBHOOK_JOB_H
#define WEBHOOK_JOB_H

#include "app/app.h"
#include "base/json.h"
#include "base/limits.h"

struct job {
    str app_id, app_key, app_secret;
    str job_id; /* goes out as X-Webhook-Id */
    str label;  /* APP:CHANNEL:NAME, for logs; called original_signature */
    str events; /* a JSON array */
    int64_t time_ms;
    int32_t webhook; /* its index in the app's list; -1: all */
    uint32_t attempts;
    int64_t first_ms; /* wall clock of the first attempt; 0: none yet */
};

bool job_write(struct buf *b, const struct job *job);
/* Slices of text or of the arena. Errors   ERR_INVALID no job */
NODISCARD bool job_read(arena *a, str text, struct job *out, struct err *e);

/* One event of a job. */
struct job_event {
    enum app_webhook_event kind; /* 0: a name that we do not know */
    str name, channel, raw;
};
bool job_event_next(struct json_iter *it, arena *a, struct job_event *out);

/* Whether the webhook wants such an event of that channel. */
bool webhook_wants(const struct app_webhook *h, enum app_webhook_event kind, str channel);
extern const str webhook_event_names[7]; /* in the order of the bits */

/* The body that a webhook gets, {"time_ms":…,"events":[…]}: those of the events that it wants.
 * Gives    how many; 0: nothing is written. */
size_t job_body(struct buf *b, arena *a, const struct job *job, const struct app_webhook *h);

#endif
