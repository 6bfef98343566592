/* server/protect.h - keeps others on the machine out of the process.
 *
 * Nature   main thread, once, before secrets travel
 * Source   security.md I11, §4 (SEC-29)
 */
#ifndef SERVER_PROTECT_H
#define SERVER_PROTECT_H

#include "base/base.h"

/* Unless is_debug: no core file, and nobody of the same user reads memory or environment in /proc.
 * That covers every copy of a secret, also those of libraries, so there is no arena for them that a
 * core file leaves out. Warns about a start as root. */
void protect_process(bool is_debug);

#endif
