/* webhook/state.h - the parts of struct webhooks; private to this folder.
 *
 * webhook.c    the front, questions for app records, the end
 * collect.c    events are gathered per app and pushed as jobs
 * deliver.c    a job is picked up, sent, and ended
 */
#ifndef WEBHOOK_STATE_H
#define WEBHOOK_STATE_H

#include <stdatomic.h>

#include "client/http_client.h"
#include "webhook/job.h"
#include "webhook/lane.h"
#include "webhook/recent.h"
#include "webhook/retry.h"

enum { COLLECT_BUCKETS = 256, RETRY_PUSH_MS = 1000 };

/* Where other threads' events come in. Outlives struct webhooks while letters are on the way. */
struct inbox {
    _Atomic uint32_t refs;  /* ours and one per letter */
    struct webhooks *owner; /* service thread; NULL: gone */
};

struct event {                          /* one that waits to be pushed */
    struct event *next, **prev;         /* of its collector, collecting or in the batch */
    struct event *all_next, **all_prev; /* oldest first */
    struct collector *collector;
    enum app_webhook_event kind;
    bool is_encrypted, in_batch;
    int64_t time_ms;
    uint64_t seq;
    str channel;
    str json; /* both in the memory behind */
};
struct events {
    struct event *first, **end;
    uint32_t count;
};

struct collector { /* one app */
    struct collector *chain;
    struct webhooks *webhooks;
    struct events gathering, batch;
    struct alarm due;
    bool is_asking;   /* for the record */
    bool is_pushing;  /* the batch: its events cannot be dropped */
    bool is_held;     /* refused a moment ago: waits for the alarm */
    size_t next_hook; /* of the batch */
    size_t id_n;
    char id[];
};

struct ask { /* a look-up that answers LATER */
    struct ask *next;
    uint32_t generation;
    void (*fn)(void *ctx, struct app_answer *a);
    void *ctx;
};

struct run;
struct webhooks {
    struct loop *loop;
    struct queue *queue;
    struct app_manager *apps;
    int64_t (*wall_ms)(void *ctx); /* these two on any thread */
    void *wall_ctx;
    struct webhook_options opt; /* a reload writes it: the service loop's thread alone */
    struct http_client *http;
    struct inbox *inbox;
    bool is_closing;

    /* collect */
    struct collector *collectors[COLLECT_BUCKETS];
    uint32_t collector_count;
    struct event *oldest, **newest_end;
    uint32_t waiting;
    uint64_t waiting_bytes;
    uint64_t seq;
    char process[17]; /* random; job ids begin with it */
    int64_t told_full_ms;
    uint64_t full_count;
    struct recent misses;

    /* deliver */
    struct lanes lanes;
    struct run *runs;

    struct ask *asks;
    uint32_t generation;
};

int64_t wall_ms(const struct webhooks *w);
/* fn gets the answer, at once or later; the reference in it is taken back afterwards. */
void ask_app(struct webhooks *w, str id, void (*fn)(void *ctx, struct app_answer *a), void *ctx);
void ask_forget(struct webhooks *w, void *ctx);

/* Takes what is told: json and channel are copied. */
void collect_add(struct webhooks *w, str app, enum app_webhook_event kind, str channel, str json,
                 int64_t time_ms);
void collect_flush(struct webhooks *w);
void collect_finish(struct webhooks *w);

void deliver_start(struct webhooks *w);
/* No further jobs; those that run end. */
void deliver_stop(struct webhooks *w);
void deliver_finish(struct webhooks *w);

#endif
