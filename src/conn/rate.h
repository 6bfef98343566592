/* conn/rate.h - a connection's message limits.
 *
 * Nature   pure; time is passed in
 * Source   websocket-protocol.md §16: fixed window, it starts with the first event after the
 *          previous one ended
 */
#ifndef CONN_RATE_H
#define CONN_RATE_H

#include "conn/conn.h"

/* Counts one; false: it is over `max` (0: no limit) in a window of window_s seconds. */
NODISCARD bool rate_take(struct rate_window *r, int64_t now_ms, uint32_t max, uint32_t window_s);

#endif
