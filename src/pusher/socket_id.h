/* pusher/socket_id.h - socket ids: <number>.<place>, each through a keyed permutation.
 *
 * Nature   pure after the first call; any thread
 * Limits   each part 0..10000000000; place holds 8 bits of worker and 24 of slot
 * Source   design §4; websocket-protocol.md §3 (never twice in a process: the number is a counter)
 */
#ifndef PUSHER_SOCKET_ID_H
#define PUSHER_SOCKET_ID_H

#include "base/base.h"

enum { SOCKET_ID_MAX = 24 };
struct socket_id { /* as printed */
    uint64_t number, place;
};

struct socket_id socket_id_make(uint64_t counter, uint16_t worker, uint32_t slot);
size_t socket_id_print(struct socket_id id, char out[SOCKET_ID_MAX]);
/* ^[0-9]+\.[0-9]+$; a part of any length is well formed (one over the maximum matches nobody). */
NODISCARD bool socket_id_parse(str s, struct socket_id *out);
/* Where the socket is, if it is ours. */
NODISCARD bool socket_id_place(struct socket_id id, uint16_t *worker, uint32_t *slot);

#endif
