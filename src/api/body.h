/* api/body.h - the JSON body of a request.
 *
 * Source   http-api.md §4.3
 */
#ifndef API_BODY_H
#define API_BODY_H

#include "api/request.h"
#include "base/json.h"

/* The body as an object. False: answered with 400. */
NODISCARD bool body_object(struct request *q, struct json *out);

#endif
