/* wire/ws_encode.h - server frames as counted bytes, ready for any number of sockets.
 *
 * Nature   pure, any thread
 * Source   RFC 6455 §5.2; RFC 7692 §7.2.1; websocket-protocol.md §2.6
 */
#ifndef WIRE_WS_ENCODE_H
#define WIRE_WS_ENCODE_H

#include "io/frame.h"

enum { WS_DEFLATE_MIN = 1024 }; /* smaller messages stay uncompressed */

/* One reference; a text message in a single frame. */
struct frame *ws_text_frame(str text, bool deflate);
/* Ping, Pong or Close with at most 125 bytes. */
struct frame *ws_control_frame(unsigned opcode, str payload);
/* reason is cut to 123 bytes at a character (WS-23). */
struct frame *ws_close_frame(uint16_t code, str reason);

#endif
