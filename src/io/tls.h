/* io/tls.h - TLS of the server: certificates chosen by SNI, and the session of one socket.
 *
 * Nature   tls_set: immutable and counted, any thread; tls_set_load and tls_files_changed read
 * files and block (start, service thread). tls_session: the thread of its socket, never blocks
 * Rules    TLS 1.2 and 1.3; in 1.2 ECDHE with AES-GCM or ChaCha20 only; ALPN http/1.1; no
 *          renegotiation, no early data, no client certificates. Sessions are resumed by tickets
 *          (io/tls_ticket.h), nothing is cached here
 * Source   design §5; security.md R19, I13; dependencies.md P5
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <sys/types.h>

#include "base/base.h"

enum { TLS_RECORD = 16 * 1024, TLS_FILE_MAX = 1024 * 1024, TLS_POST_HANDSHAKE_MAX = 16 };

struct tls_certificate { /* all NUL-terminated */
    str cert_path;       /* PEM, the certificate first, then its chain */
    str key_path;        /* PEM */
    str passphrase;      /* of the key; empty: none */
};
struct tls_options {
    const struct tls_certificate *certificates; /* the first is the default */
    size_t count;                               /* at least 1 */
    bool ktls;                                  /* let the kernel encrypt, where it can */
};

struct tls_set;
/* Reads and checks all files. A key that others may read and a certificate that has expired are
 * logged as warnings.
 * Errors   ERR_CONFIG, one line that names the file and what is wrong with it */
NODISCARD struct tls_set *tls_set_load(const struct tls_options *o, struct err *e);
struct tls_set *tls_set_ref(struct tls_set *t);
void tls_set_unref(struct tls_set **t); /* NULL is fine */
/* Which certificate (place in the options) a client gets that asks for `name`. */
size_t tls_set_choose(const struct tls_set *t, str name);

/* Whether a file is another one, or has other content, than when *seen was written; *seen is
 * brought up to date. 0 at first: true. One stat per file. */
bool tls_files_changed(const struct tls_options *o, uint64_t *seen);

/* ---- one socket ---- */

enum tls_step { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_BROKEN };

struct tls_session;
/* The server's side on a connected, non-blocking descriptor, which stays the caller's. SIGPIPE must
 * be ignored. */
struct tls_session *tls_session_create(struct tls_set *set, int fd);
/* Says farewell if nothing is broken. */
void tls_session_destroy(struct tls_session **t);
enum tls_step tls_handshake(struct tls_session *t);
/* Fills at most n bytes. What stopped it: TLS_DONE: n bytes are there, or the socket should be
 * asked again by the loop; TLS_WANT_WRITE: reading goes on when the socket is writable; TLS_BROKEN:
 * end of file or error, which comes again after what was read. */
enum tls_step tls_read(struct tls_session *t, char *p, size_t n, size_t *got_out);
/* Bytes were received that tls_read has not given yet: the loop will not report them. */
bool tls_has_input(const struct tls_session *t);
/* Encrypts p[0..n). Gives how many bytes it has taken, -1 if the connection is broken. After fewer
 * than n the same bytes must come first in the next call, at least tls_held() of them. */
ssize_t tls_write(struct tls_session *t, const char *p, size_t n);
/* The last tls_write stopped because something must be read first, not for a full socket. */
bool tls_write_waits(const struct tls_session *t);
/* Bytes behind those taken that are encrypted already, but wait for the socket. */
size_t tls_held(const struct tls_session *t);
/* close_notify: nothing more will be sent. */
void tls_end(struct tls_session *t);

#endif
