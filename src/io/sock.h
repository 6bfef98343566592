/* io/sock.h - listening sockets and accepted ones.
 *
 * Nature   system calls that do not block, but for name resolution in sock_resolve (start only)
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include <sys/socket.h>

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
/* The port the kernel chose for port 0. */
uint16_t sock_port(int fd);
/* A connected, non-blocking socket with TCP_NODELAY and TCP_USER_TIMEOUT, or -1 (errno). */
int sock_accept(int listener);

#endif
