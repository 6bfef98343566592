/* webhook/target.h - the kinds of receivers, for those who implement one; private to this folder.
 *
 * A target sends one body once and says how it ended. When, how often and how many at a time is
 * decided in deliver.c and lane.c.
 */
#ifndef WEBHOOK_TARGET_H
#define WEBHOOK_TARGET_H

#include "metrics/metrics.h"
#include "webhook/state.h"

struct attempt { /* one sending; the first members are filled by who starts it */
    struct webhooks *webhooks;
    const struct app *app;
    const struct app_webhook *hook;
    str job_id;
    str body; /* stays until `ended` */
    int64_t timeout_ms;
    void (*ended)(struct attempt *t);

    enum webhook_outcome outcome; /* these when it has ended */
    int status;                   /* 0: no answer */
    int64_t retry_after_ms;
    double duration_ms;
    char why[256];  /* for the log: no path, no query, no user, no header */
    char host[256]; /* the last one asked */

    arena memory; /* the target's until `ended` returns */
    struct http_call *call;
    unsigned redirects;
};

struct webhook_target {
    const char *name;
    enum label_target label;
    bool (*takes)(const struct app_webhook *h);
    void (*start)(struct attempt *t);  /* `ended` comes once, from a turn or at once */
    void (*cancel)(struct attempt *t); /* or not at all, after this */
};
extern const struct webhook_target webhook_http;

#endif
