/* server/settings.h - the settings of workers, from the configuration.
 *
 * Nature   main thread
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "config/config.h"
#include "conn/settings.h"

/* One reference; every slice is copied. */
struct settings *settings_of(const struct config *c);

#endif
