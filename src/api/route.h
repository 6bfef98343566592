/* api/route.h - which endpoint a request is for.
 *
 * Nature   pure
 * Source   http-api.md §1, §11: the raw path is split at '/', then each segment decoded
 */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/request.h"
#include "metrics/metrics.h"

enum route_auth { UNSIGNED, SIGNED_APP_ID, SIGNED_APP_KEY };
struct route {
    str method, path;
    void (*endpoint)(struct request *q);
    enum route_auth auth;
    unsigned listeners;     /* enum http_kind, of those that serve it */
    enum label_route label; /* in metrics */
};
enum route_result { ROUTE_FOUND, ROUTE_BAD_PATH, ROUTE_NOT_FOUND, ROUTE_WRONG_METHOD };

/* Fills q->segments, and q->route when the path is known (also for a wrong method). */
enum route_result route_find(struct request *q);

#define ROUTE(method, path, endpoint, auth, listeners, label) void endpoint(struct request *q);
#include "api/routes.def"
#undef ROUTE

#endif
