/* api/request.h - one request on its way through route, authentication, body and endpoint.
 *
 * Nature   the worker's thread. Slices point into the socket's buffer, or after request_keep into
 *          the request's arena: an endpoint that answers later keeps it first
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/http.h"
#include "app/app_table.h"
#include "base/buf.h"
#include "conn/worker.h"
#include "pusher/api_sign.h"
#include "rate_limiter/rate_limiter.h"
#include "wire/forwarded.h"
#include "wire/http1.h"

enum { REQUEST_SEGMENTS = 5 };

struct route;
struct request {
    struct worker *worker;
    struct stream *stream;
    enum http_kind kind; /* of the listener it came by */
    arena memory;        /* cleared when the answer is out */
    struct http1_request head;
    str head_text, body;
    const struct route *route;
    str segments[REQUEST_SEGMENTS]; /* of the path, decoded */
    size_t segment_count;
    struct api_param *params;
    size_t param_count;
    struct app_entry *app;            /* of signed routes */
    int64_t complete_ns;              /* its last byte was read; 0: it was answered before */
    bool is_authentic;                /* it was signed with the app's secret */
    void (*go_on)(struct request *q); /* when the app store has answered late */
    void (*found)(struct request *q, const struct app_answer *a); /* api/lookup.h */
    struct client_address peer; /* of the connection, if has_peer (api/limit.h) */
    struct rate_answer rate;    /* if is_counted */
    bool has_peer, is_counted;
    bool is_kept;          /* head and body are copies */
    bool is_waiting;       /* for an answer of a driver */
    uint16_t asked;        /* the newest question; answers to earlier ones find nobody */
    int64_t wait_until_ms; /* 0: the driver has a deadline of its own */
    bool is_answered;
    bool is_surplus; /* its connection came when few descriptors were left (security R6) */
    bool
        has_unread; /* a body is on its way that would not be worth reading: an answer now closes */
    bool must_close; /* after the answer */
};

/* Value of the first parameter of that name; .p NULL if there is none. */
str request_param(const struct request *q, str name);
/* Moves head and body into the arena. */
void request_keep(struct request *q);
/* Who asks a driver; its answer finds the request only while it waits for it. */
struct handle request_asker(struct request *q);
/* Waits for the answer, which may take so long; then lookup_give_up. */
void request_wait(struct request *q, int64_t ms);
/* The waiting request of a late answer, or NULL. */
struct request *request_find(struct handle asker);
/* Behind a late answer: goes on with what follows on the connection. */
void request_resume(struct request *q);

#endif
