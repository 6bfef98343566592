/* pusher/events.h - which command an inbound event is.
 *
 * Nature   pure
 * Source   websocket-protocol.md §2.3
 */
#ifndef PUSHER_EVENTS_H
#define PUSHER_EVENTS_H

#include "base/base.h"

enum inbound {
#define INBOUND(name, symbol) IN_##symbol,
#include "pusher/events.def"
#undef INBOUND
    IN_CLIENT, /* client-… */
    IN_OTHER,  /* ignored */
};

enum inbound inbound_of(str event);

#endif
