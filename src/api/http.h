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

#include "base/limits.h"
#include "conn/worker.h"

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
