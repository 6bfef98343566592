/* pusher/channel_name.h - kinds of channels by prefix, and which names are allowed.
 *
 * Nature   pure
 * Source   websocket-protocol.md §6: tests are anchored at the start and case-sensitive
 */
#ifndef PUSHER_CHANNEL_NAME_H
#define PUSHER_CHANNEL_NAME_H

#include "base/base.h"

enum { CHANNEL_USER_ID_MAX = 256 };
enum channel_base {
    CHANNEL_PUBLIC,
    CHANNEL_PRIVATE,
    CHANNEL_PRESENCE,
    CHANNEL_ENCRYPTED, /* private, payload opaque */
    CHANNEL_USER,      /* #server-to-user-<id> */
};
struct channel_kind {
    enum channel_base base;
    bool cache;
};

struct channel_kind channel_kind(str name);
bool channel_needs_auth(
    struct channel_kind k); /* a signature; CHANNEL_USER has a rule of its own */
bool channel_takes_client_events(struct channel_kind k);
/* The <id> of #server-to-user-<id>. */
str channel_user_id(str name);
/* ERR_LIMIT too long, ERR_INVALID anything else; the sentences are those of §6.2 without their
 * prefix. */
NODISCARD bool channel_name_check(str name, size_t max_bytes, struct err *e);

#endif
