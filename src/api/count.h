/* api/count.h - a request's share of the metrics.
 *
 * Nature   the worker's thread
 * Source   metrics.md §2.1, §4; MET-15, MET-16, MET-31, MET-32
 */
#ifndef API_COUNT_H
#define API_COUNT_H

#include "api/request.h"
#include "metrics/metrics.h"

/* The request has been answered. */
void count_answer(const struct request *q, int status, size_t body);
/* A connection that had to become a WebSocket, or send its first request, in time. */
void count_late_handshake(const struct request *q);
/* It was refused by authentication. */
void count_refusal(enum label_auth_reason reason);

#endif
