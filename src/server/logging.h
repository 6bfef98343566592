/* server/logging.h - what the configuration says about the log.
 *
 * Nature   main thread; logging_use at the start and after each reload
 */
#ifndef SERVER_LOGGING_H
#define SERVER_LOGGING_H

#include "config/config.h"

void logging_use(const struct config *c);
/* The first line: version and process; one without a name of its own gets a random UUID. */
void logging_begin(const struct config *c);

#endif
