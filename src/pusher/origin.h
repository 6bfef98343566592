/* pusher/origin.h - patterns of allowed origins.
 *
 * Nature   pure, linear; ASCII case is ignored
 * Source   websocket-protocol.md §1.7; configuration.md §5.4
 */
#ifndef PUSHER_ORIGIN_H
#define PUSHER_ORIGIN_H

#include "base/base.h"

/* ERR_CONFIG with the reason for a pattern that can never match. */
NODISCARD bool origin_pattern_check(str pattern, struct err *e);
/* origin empty: the header is missing; only * and any match it, and "null" (security.md I6). */
bool origin_matches(str pattern, str origin);
bool origin_allowed(const str *patterns, size_t n, str origin);

#endif
