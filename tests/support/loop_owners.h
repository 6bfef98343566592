/* support/loop_owners.h - owners of loops for tests that drive one by themselves. */
#ifndef SUPPORT_LOOP_OWNERS_H
#define SUPPORT_LOOP_OWNERS_H

#include "io/loop.h"

extern const struct loop_owner idle_owner; /* has no sockets of its own; alarms and watches run */
extern const struct loop_owner pool_owner; /* ctx: its struct stream_pool */

#endif
