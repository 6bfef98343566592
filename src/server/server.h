/* server/server.h - the whole node: order of start and stop, signals, reload, drain.
 *
 * Nature   the main thread; it waits for signals while workers and the service thread work
 * Source   design §2, §7; websocket-protocol.md §18
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"

struct server;

/* Whether the certificates that a configuration names can be served (--check-config).
 * Errors   ERR_CONFIG, one line that names the file and what is wrong with it */
NODISCARD bool server_tls_check(const struct config *c, struct err *e);
/* Opens everything but serves nobody yet. `args` and `c` are borrowed until the destroy; a reload
 * replaces what *c holds.
 * Errors   ERR_CONFIG, ERR_SYSTEM with one line that says what to do. */
NODISCARD struct server *server_create(const struct config_args *args, struct config *c,
                                       struct err *e);
/* Serves until SIGTERM or SIGINT, then drains. Gives the exit code. */
int server_run(struct server *s);
void server_destroy(struct server **s); /* NULL is fine */

#endif
