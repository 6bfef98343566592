/* api/http.h - one HTTP connection: heads, bodies, keep-alive, pipelining, the way to WebSocket.
 *
 * Nature   its worker's thread; a slot of the worker's stream pool
 * Limits   head 16 KiB in 10 s, body in 30 s, idle 75 s, all absolute; an answer that leaves too
 *          slowly, STREAM_STALL_MS; 32 requests a turn; body
 *          settings.max_body_bytes; HTTP_BODIES_MAX bytes of bodies in receipt on the node
 * Source   http-api.md §2, §4; security.md R1, R8, I1, I2
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "conn/worker.h"

enum {
    HTTP_HEAD_MS = 10000,
    HTTP_BODY_MS = 30000,
    HTTP_IDLE_MS = 75000,
    HTTP_LINGER_MS = 2000,
    HTTP_SPARE_MS = 100, /* for a connection without a head that has to go */
    HTTP_REQUESTS_PER_TURN = 32,
    HTTP_DROP_MAX = 64 * 1024, /* of a body that nobody will read */
};
#define HTTP_BODIES_MAX (256 * 1024 * 1024)

/* What a listener is for. */
enum http_kind {
    HTTP_MAIN = 1,     /* API and WebSocket */
    HTTP_METRICS = 2,  /* metrics, health, status; on the service thread */
    HTTP_REDIRECT = 4, /* everything answers 308 to the TLS port */
    HTTP_ANY = HTTP_MAIN | HTTP_METRICS,
};

struct http_state;
struct http {
    struct stream stream;
    struct http_state *state;
};

/* Takes an accepted descriptor. NULL: it could not be added, and is closed. */
struct stream *http_open(struct worker *w, int fd, enum http_kind kind);
/* Closes a connection that waits for its next request; a request under way is answered first, with
 * Connection: close. For the drain. */
void http_leave_if_idle(struct stream *s);
struct request;
/* The 101 has been sent: the stream becomes a WebSocket. *q is gone afterwards. */
void http_upgrade(struct request *q, const struct upgrade *u);

#endif
