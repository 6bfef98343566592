/* support/tls_peer.h - certificates in files, and the client's end of a TLS connection.
 *
 * Nature   the client never touches a socket: what it wants to send is taken from it, what has come
 *          is given to it, so that a test cuts the bytes wherever it likes
 */
#ifndef SUPPORT_TLS_PEER_H
#define SUPPORT_TLS_PEER_H

#include "base/base.h"

/* A self-signed P-256 certificate and its key. names: "DNS:a.example,DNS:*.b.example", empty: no
 * alternative name. passphrase NULL: the key is not encrypted. */
void tls_peer_files(const char *cert_path, const char *key_path, const char *common_name,
                    const char *names, const char *passphrase);

struct tls_peer;
struct tls_peer_options {
    const char *name; /* SNI; NULL: none */
    const char *alpn; /* in wire form; NULL: none */
    int max_version;  /* TLS1_2_VERSION …; 0: the newest */
};
struct tls_peer *tls_peer_create(const struct tls_peer_options *o);
void tls_peer_destroy(struct tls_peer **p);
/* Goes on with the handshake. True: done. */
bool tls_peer_handshake(struct tls_peer *p);
/* Bytes for the server; at most n. */
size_t tls_peer_take(struct tls_peer *p, char *out, size_t n);
void tls_peer_give(struct tls_peer *p, const char *in, size_t n);
/* Application data. tls_peer_read: 0: nothing is there, -1: the server's close_notify, -2: error.
 */
void tls_peer_write(struct tls_peer *p, const char *in, size_t n);
int tls_peer_read(struct tls_peer *p, char *out, size_t n);
/* Says close_notify. */
void tls_peer_end(struct tls_peer *p);
void tls_peer_key_update(struct tls_peer *p);
/* Whether asking for a new handshake was answered with no_renegotiation or worse. */
bool tls_peer_renegotiate(struct tls_peer *p);
bool tls_peer_is_refused(const struct tls_peer *p);
/* Common name of the server's certificate, the protocol, and the chosen ALPN ("" if none). */
const char *tls_peer_server(const struct tls_peer *p);
const char *tls_peer_version(const struct tls_peer *p);
const char *tls_peer_alpn(const struct tls_peer *p);
const char *tls_peer_cipher(const struct tls_peer *p);
bool tls_peer_was_resumed(const struct tls_peer *p);
/* The next tls_peer_create resumes this one's session, if the server gave a ticket. */
void tls_peer_keep_session(struct tls_peer *p);

#endif
