/* api/operator.h - who may see what only the operator should: /stats, /status, /admin.
 *
 * Source   configuration.md §9.1 (http_api.usage_token); security.md I12, SEC-28
 */
#ifndef API_OPERATOR_H
#define API_OPERATOR_H

#include "api/request.h"

/* With http_api.usage_token: who sends it as bearer token. Without: loopback peers of the metrics
 * listener that are no browser of a foreign page and no proxy. False: the request is answered. */
NODISCARD bool operator_is_allowed(struct request *q);

/* The same, and http_api.status_enabled. */
NODISCARD bool operator_may_see_data(struct request *q);
/* The page itself, which is no secret: with a token anybody gets it, as a browser that opens a page
 * sends none. */
NODISCARD bool operator_may_see_page(struct request *q);
/* /admin: a page never asks for it, so even with a token none of another site may. */
NODISCARD bool operator_may_act(struct request *q);

#endif
