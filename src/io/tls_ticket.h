/* io/tls_ticket.h - the keys of session tickets: one for all certificates, before and after a
 * reload.
 *
 * Nature   any thread (a leaf lock, held for a copy)
 * Limits   a key seals new tickets for TLS_TICKET_KEY_S, and opens old ones for as long again; who
 *          steals one later reads no older session of TLS 1.2
 * Source   RFC 5077 §5.5, RFC 8446 §C.4; security.md R19
 */
#ifndef IO_TLS_TICKET_H
#define IO_TLS_TICKET_H

#include <openssl/ssl.h>

#include "base/base.h"

enum { TLS_TICKET_KEY_S = 12 * 3600 };

/* Tickets of this context are sealed and opened with the keys here, and sessions are not cached. */
void tls_tickets_setup(SSL_CTX *ctx);
/* A new key from now on; the one before still opens. Comes by itself when its time is over. */
void tls_tickets_rotate(void);

#endif
