/* api/limit.h - limits per client address: who a request counts for, what he hears above a limit.
 *
 * Nature   the worker's thread
 * Source   http-api.md §12 (HTTP-64, HTTP-77..80); security.md R4
 */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include "api/request.h"

/* Counts the request, whose route is known; before authentication. Either q goes on, or it is
 * answered, or it waits and go_on is called later. */
void limit_head(struct request *q, void (*go_on)(struct request *q));
/* X-RateLimit-* and, on 429, Retry-After: nothing for a request that was not counted. */
void limit_fields(const struct request *q, int status, struct buf *out);
/* The peer of the connection, looked up once. */
const struct client_address *limit_peer(struct request *q);

#endif
