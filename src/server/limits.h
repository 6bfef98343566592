/* server/limits.h - opens what limits clients by their address.
 *
 * Nature   main thread
 * Source   http-api.md §12.1; security.md R4
 */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include "config/config.h"
#include "conn/worker.h"

/* Fills n->api_limiter, n->connect_limiter (NULL with rate_limiter.enabled false), n->headless.
 * On false limits_close gives back what was opened. */
NODISCARD bool limits_open(struct node *n, const struct config *c, struct err *e);
/* After a reload: other numbers from the next request on. Says so if they differ from `old`. */
void limits_change(struct node *n, const struct config *old, const struct config *c);
void limits_close(struct node *n);

#endif
