/* conn/conn.h - one WebSocket client: admission, commands, liveness, farewell.
 *
 * Nature   its worker's thread only. A conn is a slot of the worker's stream pool
 * Life     conn_upgrade → admission (may wait for the app store) → open → closing → gone
 * Limits   64 pending steps; 32 frames a turn; 10,000 subscriptions (security R11)
 * Source   websocket-protocol.md §1-§5, §16-§18
 */
#ifndef CONN_CONN_H
#define CONN_CONN_H

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "channel/subscriber.h"
#include "conn/worker.h"
#include "pusher/wire_error.h"
#include "wire/ws_frame.h"

enum {
    CONN_BLOCKED_MS = 10,
    CONN_LOST = 1006, /* in a trace: no Close came (RFC 6455 §7.1.5) */
};

struct admission; /* what is kept while the app store is asked */
struct step;      /* conn/pending.h */

struct conn_user {     /* signed in */
    str id, user_info; /* behind the struct */
    char text[];
};
struct rate_window { /* fixed: begins with the first event after the last one ended */
    int64_t begin_ms;
    uint32_t count;
};

struct conn_extra { /* what few connections need, made when one does */
    struct rate_window client_events, messages;
    int64_t repeated_ms; /* last repeated subscribe or sign-in; 0: none */
    struct frame *pong;  /* the newest that could not be sent at once (security R9) */
};

struct conn {
    struct subscriber sub; /* the stream, and what it is subscribed to */
    struct app_entry *app; /* NULL until admitted */
    struct admission *admission;
    struct conn_user *user;
    struct step *steps; /* commands that wait, in order */
    struct ws_reader reader;
    uint32_t channels; /* subscriptions that the client asked for */
    uint32_t step_ids;
    int64_t active_ms, pinged_ms; /* last frame received; last probe sent, 0 none */
    int64_t message_ms;           /* an unfinished message began, 0 none */
    int64_t authorize_by_ms;      /* 0: need not or has */
    struct conn_extra *extra;     /* NULL until needed */
    uint8_t step_count;
    bool is_open : 1;      /* admitted and not closing */
    bool is_java : 1;      /* client=java-client (§11) */
    bool has_quota : 1;    /* counted against app and node */
    bool is_settling : 1;  /* steps are being answered: new ones go in front */
    bool is_blocked : 1;   /* reading stopped because a mailbox is full; looked at each 10 ms */
    bool paused_steps : 1; /* reading stopped at CONN_STEPS_MAX */
};
_Static_assert(sizeof(struct conn) <= 384, "an idle connection is small");

extern const struct stream_user conn_stream_user;

static inline struct conn *conn_of(struct stream *s)
{
    return (struct conn *)s;
}
static inline struct stream *conn_stream(struct conn *c)
{
    return &c->sub.stream;
}
static inline struct worker *conn_worker(const struct conn *c)
{
    return worker_of(&c->sub.stream);
}
size_t conn_socket_id(const struct conn *c, char out[24]);

/* Sends a JSON text as one frame, compressed if agreed. */
void conn_send(struct conn *c, str json);
/* The same for a frame that is there already, of the kind that was agreed. */
void conn_send_frame(struct conn *c, struct frame *f);
/* pusher:error that leaves the connection usable; channel.n 0: none to name. */
void conn_error(struct conn *c, str channel, const struct wire_error *e);
/* error frame and Close with the same text (websocket-protocol §2.7); leaves all channels now. */
void conn_close(struct conn *c, const struct wire_error *e);
/* Close of the WebSocket layer, 1002 and the like: no error frame. */
void conn_close_code(struct conn *c, uint16_t code, str reason);

/* A debug line of target "connections": app, socket and one more field, e.g. LOG_TEXT("channel", …)
 * or LOG_NOTHING. */
void conn_log_event(const struct conn *c, const struct log_place *at, str message,
                    const struct log_field *more);
#define LOG_NOTHING                                                                                \
    {                                                                                              \
        0                                                                                          \
    }
#define conn_log(c, message, ...)                                                                  \
    LOG_IF(LOG_DEBUG, "connections",                                                               \
           conn_log_event(c, LOG_HERE(LOG_DEBUG, "connections"), S(message),                       \
                          &(const struct log_field)__VA_ARGS__))

/* Tells the trace of the connection's app, if somebody looks (app/trace.h). Arguments are not
 * evaluated otherwise: conn_trace(c, .what = TRACE_SUBSCRIBED, .channel = name). */
void conn_trace_event(const struct conn *c, struct traced t);
#define conn_trace(c, ...)                                                                         \
    ((c)->app && trace_on(&(c)->app->live->trace, conn_worker(c)->loop.now_ms)                     \
         ? conn_trace_event(c, (struct traced){__VA_ARGS__})                                       \
         : (void)0)

/* No reading and no answering for `ms`, then the steps are looked at again: a mailbox is full
 * (design §5), or it is too early for a repeated command. */
void conn_block(struct conn *c, int64_t ms);
struct conn_extra *conn_extra(struct conn *c); /* made if it is not there */
/* Whether a repeated command may run now, with nothing in front of it; else it is put back and the
 * connection blocked. is_free: it may, and those behind it wait for their second. */
NODISCARD bool conn_may_repeat(struct conn *c, bool is_free, str text);

/* One command. Answers at once or leaves a step. */
void conn_execute(struct conn *c, str text);

/* The handlers of inbound events; `data` is the event's data member. */
void on_subscribe(struct conn *c, struct json data, str text);
void on_unsubscribe(struct conn *c, struct json data);
void on_signin(struct conn *c, struct json data, str text);
void on_client_event(struct conn *c, str event, struct json channel, struct json data, str text);

/* Members of a protocol event's data: an object, or a string that holds one. JSON_NONE: neither. */
struct json data_object(struct conn *c, struct json data);
/* A member that must be a string; false: it is not, or missing. */
bool json_text(struct conn *c, struct json v, str *out);

#endif
