/* pusher/member.h - channel_data of presence channels and user_data of sign-ins.
 *
 * Nature   pure; slices point into the input or the arena
 * Limits   ids 1..256 bytes; a watch list keeps the first 100 ids
 * Source   websocket-protocol.md §9.1, §14.1, §14.5
 */
#ifndef PUSHER_MEMBER_H
#define PUSHER_MEMBER_H

#include "base/arena.h"
#include "base/limits.h"
#include "pusher/wire_error.h"

struct member_data {
    str user_id;   /* of an integer its literal digits */
    str user_info; /* JSON text; {} if absent or null */
};
/* max_info_bytes 0: no limit; max_kb is what the error names. */
NODISCARD bool member_parse(str channel_data, size_t max_info_bytes, unsigned max_kb, arena *a,
                            struct member_data *out, struct wire_error *e);

struct user_data {
    str id, user_info; /* user_info: JSON text, {} if absent */
    str *watchlist;    /* each id once, in order */
    size_t watch_count;
    bool watch_truncated; /* there were more than WATCHLIST_MAX */
};
NODISCARD bool user_data_parse(str user_data, arena *a, struct user_data *out,
                               struct wire_error *e);

#endif
