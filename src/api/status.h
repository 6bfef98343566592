/* api/status.h - what the status page and the trace of an app share.
 *
 * Source   configuration.md §9.1; security.md I12, SEC-28; metrics.md §6.4 (what may be shown)
 */
#ifndef API_STATUS_H
#define API_STATUS_H

#include "api/request.h"

/* Nothing of it may be kept, guessed at, or framed. */
#define STATUS_FIELDS                                                                              \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"                               \
    "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
/* Of answers that are not pages. */
#define STATUS_POLICY_NONE "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"

void status_answer_json(struct request *q, str body); /* 200 */
/* A parameter of the query of an unsigned request, decoded in the request's arena. */
str status_param(struct request *q, str name);

#endif
