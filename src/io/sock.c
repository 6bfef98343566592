#include "io/sock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

enum { BACKLOG = 4096, USER_TIMEOUT_MS = 30000 };

bool sock_resolve(str host, uint16_t port, struct sock_address *out, struct err *e)
{
    char name[256], service[8];
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_of(host.p + 1, host.n - 2);
    if (host.n == 0 || host.n >= sizeof name)
        return err_set(e, ERR_CONFIG, "host: \"%.*s\" is not an address", FMT(host));
    memcpy(name, host.p, host.n);
    name[host.n] = 0;
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    int rc = getaddrinfo(name, service, &hints, &found);
    if (rc != 0)
        return err_set(e, ERR_CONFIG, "host: cannot resolve \"%s\": %s", name, gai_strerror(rc));
    const struct addrinfo *take = found;
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        if (a->ai_family == AF_INET) {
            take = a;
            break;
        }
    memcpy(&out->sa, take->ai_addr, take->ai_addrlen);
    out->n = take->ai_addrlen;
    snprintf(out->text, sizeof out->text, take->ai_family == AF_INET6 ? "[%.45s]:%s" : "%.45s:%s",
             name, service);
    freeaddrinfo(found);
    return true;
}

int sock_listen(const struct sock_address *a, bool shared, struct err *e)
{
    int one = 1;
    int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set(e, ERR_SYSTEM, "cannot listen on %s: %s", a->text, strerror(errno));
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&a->sa, a->n) < 0 || listen(fd, BACKLOG) < 0) {
        err_set(e, ERR_SYSTEM, "cannot listen on %s: %s", a->text, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

uint16_t sock_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
        return 0;
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
    return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

int sock_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    int one = 1;
    unsigned timeout = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return fd;
}
