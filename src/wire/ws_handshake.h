/* wire/ws_handshake.h - decides about a WebSocket upgrade request and writes the answer.
 *
 * Nature   pure, any thread; no allocation but in the output buffer; slices point into the request
 * Limits   those of wire/http1.h
 * Source   RFC 6455 §4, RFC 7692 §7; websocket-protocol.md §1.3, §1.4, §2.6
 */
#ifndef WIRE_WS_HANDSHAKE_H
#define WIRE_WS_HANDSHAKE_H

#include "base/base.h"

struct buf;
struct http1_request;

struct ws_handshake {
    int status; /* 101, 400 or 426 */
    str text;   /* body of a refusal, static */

    /* 101 only */
    char accept[28];        /* Sec-WebSocket-Accept, no NUL */
    str protocol;           /* first offered subprotocol, empty: none */
    bool deflate;           /* permessage-deflate agreed, both sides without context takeover */
    int server_window_bits; /* 9..15, what we compress with; 15 without deflate */
    bool names_window_bits; /* the offer named server_max_window_bits, so the answer does */
};

enum { WS_NO_DEFLATE = 0, WS_WINDOW_LEAST = 9, WS_WINDOW_MOST = 15 }; /* bits */

/* Route and method (404, 405) are the caller's to check first. least_bits: the smallest window that
 * the caller can compress with; the first offer of permessage-deflate that lets it is taken.
 * True: *h is a 101; false: a refusal, after which the connection closes. */
bool ws_handshake_decide(const struct http1_request *r, int least_bits, struct ws_handshake *h);

/* Writes the whole answer, the body of a refusal included. False: `out` is full. */
bool ws_handshake_write(const struct ws_handshake *h, struct buf *out);

#endif
