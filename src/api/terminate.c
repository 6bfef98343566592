/* POST …/users/{id}/terminate_connections and /force_reconnect. Source: http-api.md §8 */
#include "api/answer.h"
#include "api/route.h"
#include "pusher/wire_error.h"

static void close_user(struct request *q, enum wire_error_id why)
{
    str user = q->segments[q->route->auth == SIGNED_APP_KEY ? 1 : 3]; /* the alias has no app */
    registry_close_user(q->worker->node->registry, &q->worker->loop, q->app->app->id, user,
                        (int)why);
    answer_json(q, S("{}"));
}

void endpoint_terminate(struct request *q)
{
    close_user(q, WIRE_TERMINATED);
}

void endpoint_force_reconnect(struct request *q)
{
    close_user(q, WIRE_FORCE_RECONNECT);
}
