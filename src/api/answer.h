/* api/answer.h - writes answers: exact statuses and bodies.
 *
 * Nature   the worker's thread; each request is answered exactly once
 * Source   http-api.md §4.2, §14
 */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/request.h"

/* more: complete header fields, or empty. */
void answer(struct request *q, int status, str content_type, str body, str more);
void answer_json(struct request *q, str body); /* 200 */
/* {"error":TEXT,"code":SLUG,"status":N}; 503 carries Retry-After: 1. */
void answer_error(struct request *q, int status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);

#endif
