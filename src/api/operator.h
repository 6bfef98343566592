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

#endif
