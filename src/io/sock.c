#include "io/sock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"

enum { BACKLOG = 4096 };

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

static int bound(const struct sock_address *a, bool shared, bool listens, struct err *e)
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
    if (bind(fd, (const struct sockaddr *)&a->sa, a->n) < 0 ||
        (listens && listen(fd, BACKLOG) < 0)) {
        err_set(e, ERR_SYSTEM, "cannot listen on %s: %s", a->text, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

int sock_listen(const struct sock_address *a, bool shared, struct err *e)
{
    return bound(a, shared, true, e);
}

bool sock_is_free(const struct sock_address *a, struct err *e)
{
    int fd = bound(a, false, false, e); /* who listened would take clients and reset them */
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* ---- Unix sockets ---- */

static bool folder_make(const char *path, struct err *e)
{
    char folder[sizeof((struct sock_unix *)0)->path];
    const char *slash = strrchr(path, '/');
    struct stat st;
    if (!slash || slash == path)
        return true;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    if (stat(folder, &st) == 0)
        return S_ISDIR(st.st_mode) ||
               err_set(e, ERR_SYSTEM, "cannot listen on %s: %s is no folder", path, folder);
    if (mkdir(folder, 0755) < 0 || chmod(folder, 0755) < 0) /* whatever the umask says */
        return err_set(e, ERR_SYSTEM, "cannot make the folder %s: %s", folder, strerror(errno));
    return true;
}

/* Nobody listens on the socket at this address: it was left behind. */
static bool is_stale(const struct sockaddr_un *at, struct err *e)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)at, sizeof *at);
    int cause = errno;
    if (fd >= 0)
        close(fd);
    if (rc < 0 && cause == ECONNREFUSED)
        return true;
    if (rc == 0 || cause == EAGAIN || cause == EINPROGRESS)
        return err_set(e, ERR_SYSTEM, "cannot listen on %s: another process listens there",
                       at->sun_path);
    return err_set(e, ERR_SYSTEM, "cannot listen on %s: what is there cannot be asked: %s",
                   at->sun_path, strerror(cause));
}

static bool place_clear(const struct sockaddr_un *at, struct err *e)
{
    struct stat st;
    const char *path = at->sun_path;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ||
               err_set(e, ERR_SYSTEM, "cannot listen on %s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_SYSTEM, "cannot listen on %s: something that is no socket is there",
                       path);
    if (!is_stale(at, e))
        return false;
    if (unlink(path) < 0)
        return err_set(e, ERR_SYSTEM, "cannot remove the old socket %s: %s", path, strerror(errno));
    return true;
}

/* The descriptor's mode is the most that bind gives the file; the umask may have taken from it. */
static bool unix_bind(int fd, const struct sockaddr_un *at, uint32_t mode, struct sock_unix *out)
{
    struct stat st;
    if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)at, sizeof *at) < 0)
        return false;
    if (lstat(at->sun_path, &st) == 0) {
        memcpy(out->path, at->sun_path, sizeof out->path);
        out->device = st.st_dev;
        out->inode = st.st_ino;
        out->made = st.st_mtim;
    }
    return chmod(at->sun_path, mode) == 0 && listen(fd, BACKLOG) == 0;
}

int sock_listen_unix(str path, uint32_t mode, struct sock_unix *out, struct err *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    _Static_assert(sizeof at.sun_path == sizeof out->path, "a path fits");
    *out = (struct sock_unix){.path = ""};
    if (path.n == 0 || path.n >= sizeof at.sun_path || memchr(path.p, 0, path.n)) {
        err_set(e, ERR_SYSTEM, "cannot listen on %.*s: a socket's path has 1 to %zu bytes",
                FMT(path), sizeof at.sun_path - 1);
        return -1;
    }
    memcpy(at.sun_path, path.p, path.n);
    if (!folder_make(at.sun_path, e) || !place_clear(&at, e))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && unix_bind(fd, &at, mode, out))
        return fd;
    err_set(e, ERR_SYSTEM, "cannot listen on %s: %s", at.sun_path, strerror(errno));
    sock_unix_remove(out);
    if (fd >= 0)
        close(fd);
    return -1;
}

void sock_unix_remove(struct sock_unix *u)
{
    struct stat st;
    if (u->path[0] && lstat(u->path, &st) == 0 && st.st_dev == u->device && st.st_ino == u->inode &&
        st.st_mtim.tv_sec == u->made.tv_sec && st.st_mtim.tv_nsec == u->made.tv_nsec)
        unlink(u->path);
    u->path[0] = 0;
}

/* ---- accepted sockets ---- */

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
    struct sockaddr peer; /* cut: only the family counts */
    socklen_t n = sizeof peer;
    int fd = accept4(listener, &peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || peer.sa_family == AF_UNIX)
        return fd;
    int one = 1;
    unsigned timeout = SOCK_USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return fd;
}
