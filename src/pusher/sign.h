/* pusher/sign.h - authentication strings of channels and users.
 *
 * Nature   pure, the thread of the hmac; comparisons take the same time whatever differs
 * Source   websocket-protocol.md §8: auth is <key>:<64 lower-case hex digits>, all of it compared
 */
#ifndef PUSHER_SIGN_H
#define PUSHER_SIGN_H

#include "base/crypto.h"
#include "pusher/channel_name.h"

/* channel_data.n 0: none. Presence with data signs it; a private channel may or may not. */
bool sign_check_channel(struct hmac *h, str key, str socket_id, str channel, str channel_data,
                        struct channel_kind kind, str auth);
bool sign_check_user(struct hmac *h, str key, str socket_id, str user_data, str auth);

#endif
