/* api/auth.h - is this request signed by the app it is about?
 *
 * Nature   the worker's thread; looks an app up, which may answer LATER
 * Source   http-api.md §3.2, checks in its order: 1-8 need only the head, 9 and 10 the body
 */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/request.h"

/* Checks 1-8 and that the app is enabled. q->app is set, or the request is answered, or it waits:
 * then `go_on` is called when the app store has answered and the head is accepted. */
void auth_head(struct request *q, void (*go_on)(struct request *q));
/* Checks 9 and 10. False: answered. */
NODISCARD bool auth_body(struct request *q);

#endif
