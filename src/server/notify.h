/* server/notify.h - tells the service manager what this process is doing.
 *
 * Nature   main thread; one datagram to $NOTIFY_SOCKET, nothing without it
 * Source   sd_notify(3), sd_watchdog_enabled(3): the protocol of systemd
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include "base/base.h"

void notify_ready(const char *status);
void notify_reloading(void); /* then notify_ready again */
void notify_stopping(void);
void notify_watchdog(void);
/* How often notify_watchdog must come, in ms; 0: nobody watches. */
int64_t notify_watchdog_ms(void);

#endif
