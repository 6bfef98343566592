/* io/sock.h - listening sockets and accepted ones.
 *
 * Nature   system calls that do not block, but for name resolution in sock_resolve (start only)
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "base/base.h"

struct sock_address {
    struct sockaddr_storage sa;
    socklen_t n;
    char text[64]; /* host:port for messages */
};

/* host: IPv4, IPv6 with or without brackets, or a name (IPv4 preferred). Errors: ERR_CONFIG. */
NODISCARD bool sock_resolve(str host, uint16_t port, struct sock_address *out, struct err *e);
/* Non-blocking, SO_REUSEPORT if `shared`; -1 on error (ERR_SYSTEM names the address). */
NODISCARD int sock_listen(const struct sock_address *a, bool shared, struct err *e);
/* Nobody listens there, not even `shared`. No client notices the question. Errors as above. */
NODISCARD bool sock_is_free(const struct sock_address *a, struct err *e);
/* A listening Unix socket in the file system. */
struct sock_unix {
    char path[108]; /* empty: none */
    dev_t device;
    ino_t inode; /* may be used again by the next file: */
    struct timespec made;
};
/* Binds `path` with exactly `mode` (octal permission bits), never wider, then listens. The folder
 * is made with 0755 if it is missing, and left alone if it is there. What a dead process has left
 * is replaced; anything else in the place stays, and is an error. Gives the descriptor,
 * non-blocking, and *out for sock_unix_remove; -1: ERR_SYSTEM, one line */
NODISCARD int sock_listen_unix(str path, uint32_t mode, struct sock_unix *out, struct err *e);
/* Removes the file if it is still the one that was bound. */
void sock_unix_remove(struct sock_unix *u);
/* The port the kernel chose for port 0. */
uint16_t sock_port(int fd);
/* A connected, non-blocking socket, over TCP with TCP_NODELAY and TCP_USER_TIMEOUT, or -1 (errno).
 */
int sock_accept(int listener);

#endif
