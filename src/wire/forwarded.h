/* wire/forwarded.h - which address is the client: the socket's peer, or whom trusted proxies name.
 *
 * Nature   pure, any thread; no allocation; linear in the fields that are looked at, from the right
 * Limits   what a head may hold (wire/http1.h)
 * Source   http-api.md §12.1; drivers.md §9.12; security.md I7 (SEC-23)
 */
#ifndef WIRE_FORWARDED_H
#define WIRE_FORWARDED_H

#include <sys/socket.h>

#include "wire/http1.h"

/* A plain value; unused bytes are 0, so that equal addresses are equal bytes. */
struct client_address {
    enum client_kind {
        CLIENT_UNKNOWN, /* the socket is broken: nobody will hear the answer */
        CLIENT_LOCAL,   /* a Unix socket's peer: all of them are one client */
        CLIENT_IPV4,
        CLIENT_IPV6,
    } kind;
    uint8_t bytes[16]; /* in network order; IPv4: the first four */
};

/* IPv6 addresses that carry an IPv4 one (::ffff:a.b.c.d) are that one, here and below. */
struct client_address client_of_peer(const struct sockaddr_storage *peer);

/* One entry of a list: an address, also in brackets, also with a port behind it. */
NODISCARD bool client_parse(str text, struct client_address *out);

/* The address that the outermost of `hops` (> 0) trusted proxies saw: of the n entries of all
 * X-Forwarded-For fields together number n - hops, counted from 0, the first if there are fewer. An
 * empty entry is an entry. Is that no address, the only X-Real-IP.
 * False: neither is one, so the peer counts. */
NODISCARD bool forwarded_client(const struct http1_request *r, uint32_t hops,
                                struct client_address *out);

/* Clears the bits of an IPv6 address behind the first `prefix`, 1..128. */
void client_mask(struct client_address *a, unsigned prefix);

enum { CLIENT_KEY_BYTES = 17 };
/* For tables: kind and address. Borrows `out`. */
str client_key(const struct client_address *a, uint8_t out[CLIENT_KEY_BYTES]);

#endif
