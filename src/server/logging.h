/* server/logging.h - what the configuration says about the log.
 *
 * Nature   main thread; at the start and after each reload
 */
#ifndef SERVER_LOGGING_H
#define SERVER_LOGGING_H

#include "config/config.h"

void logging_use(const struct config *c);

#endif
