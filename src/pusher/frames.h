/* pusher/frames.h - writes the JSON text of every message that the server sends.
 *
 * Nature   pure; appends to the buffer
 * Source   websocket-protocol.md §2.1 (keys in the order event, channel, data, user_id), §2.2
 * (which data is a string and which an object)
 */
#ifndef PUSHER_FRAMES_H
#define PUSHER_FRAMES_H

#include "base/buf.h"

void frame_established(struct buf *b, str socket_id, uint32_t activity_timeout_s);
void frame_ping(struct buf *b);
void frame_pong(struct buf *b);
/* channel.n 0: no channel to name; code WIRE_NULL: null. */
void frame_error(struct buf *b, str channel, int code, str text);
void frame_subscription_error(struct buf *b, str channel, str type, str text, int status);
void frame_subscribed(struct buf *b, str channel);
/* ids and hash: the inside of the array and of the object, already escaped for a JSON string. */
void frame_subscribed_presence(struct buf *b, str channel, str ids, str hash, uint32_t count);
void frame_cache_miss(struct buf *b, str channel);
/* data: a JSON string literal, copied verbatim; user_id.n 0: none. */
void frame_event_raw(struct buf *b, str event, str channel, str data, str user_id);
void frame_signin_success(struct buf *b, str user_data);
/* online, offline: the insides of arrays of JSON strings; an empty one is left out. */
void frame_watchlist(struct buf *b, str online, str offline);

#endif
