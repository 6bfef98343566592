/* tests/support/fault/fault.c - a library for LD_PRELOAD that lets one call of the system fail.
 *
 * FAULT_CALL names it: accept4, recv, send, sendmsg, epoll_ctl, malloc (of 64 KiB and more), or
 * short: every send and recv moves one byte. FAULT_AT is which one fails. SIGUSR1 begins the
 * counting, SIGUSR2 ends it; before and after everything works. Source: security.md SEC-32 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

static const char *wanted = "";
static long fails_at;
static atomic_long count;
static atomic_bool is_on;

static void begin(int sig)
{
    (void)sig;
    is_on = true;
}

static void end(int sig)
{
    (void)sig;
    is_on = false;
}

__attribute__((constructor)) static void start(void)
{
    const char *call = getenv("FAULT_CALL"), *at = getenv("FAULT_AT");
    wanted = call ? call : "";
    fails_at = at ? atol(at) : 1;
    signal(SIGUSR1, begin);
    signal(SIGUSR2, end);
}

static int fails(const char *call, int code)
{
    if (!is_on || strcmp(call, wanted) != 0 || ++count != fails_at)
        return 0;
    errno = code;
    return 1;
}

static size_t shortened(size_t n)
{
    return is_on && n > 1 && strcmp(wanted, "short") == 0 ? 1 : n;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
    return fails("accept4", EMFILE) ? -1 : NEXT(accept4)(fd, a, n, flags);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    return fails("recv", ECONNRESET) ? -1 : NEXT(recv)(fd, p, shortened(n), flags);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    return fails("send", EPIPE) ? -1 : NEXT(send)(fd, p, shortened(n), flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    if (fails("sendmsg", ENOBUFS))
        return -1;
    if (m->msg_iovlen > 0 && shortened(2) == 1)
        return NEXT(send)(fd, m->msg_iov[0].iov_base, m->msg_iov[0].iov_len ? 1 : 0, flags);
    return NEXT(sendmsg)(fd, m, flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
    return op == EPOLL_CTL_ADD && fails("epoll_ctl", ENOSPC) ? -1
                                                             : NEXT(epoll_ctl)(epoll, op, fd, e);
}

extern void *__libc_malloc(size_t n);
void *malloc(size_t n)
{
    if (n >= 64 * 1024 && fails("malloc", ENOMEM))
        return NULL;
    return __libc_malloc(n);
}
