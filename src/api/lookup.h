/* api/lookup.h - asks the app store for an endpoint that is not signed.
 *
 * Nature   the worker's thread; `found` runs at once, or in a later turn, and must answer
 */
#ifndef API_LOOKUP_H
#define API_LOOKUP_H

#include "api/request.h"

/* found borrows the answer. A store that takes longer than health_check_timeout_ms is away. */
void lookup_app(struct request *q, str app_id,
                void (*found)(struct request *q, const struct app_answer *a));
/* The store has taken too long. */
void lookup_give_up(struct request *q);

#endif
