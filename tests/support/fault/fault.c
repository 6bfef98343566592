/* tests/support/fault/fault.c - a library for LD_PRELOAD that lets one call of the system fail.
 *
 * FAULT_CALL names it: accept4, recv, send, sendmsg, epoll_ctl, large (malloc and its kin, of 64
 * KiB and more), small (less), or short: every send and recv moves one byte. SIGUSR1 begins a
 * round; the number sent with it says which call of the round fails, 0: none. SIGUSR2 ends it and
 * says on stderr how many calls there were. Outside of rounds everything works. With -DNO_MALLOC
 * malloc is left alone, for sanitizers. Source: security.md SEC-32 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static const char *wanted = "";
static atomic_long count, fails_at;
static atomic_bool is_on;

static void begin(int sig, siginfo_t *info, void *unused)
{
    (void)sig, (void)unused;
    count = 0;
    fails_at = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;
    is_on = true;
}

static void end(int sig)
{
    char text[64];
    (void)sig;
    is_on = false;
    int n = snprintf(text, sizeof text, "fault: %ld calls, %ld was to fail\n", (long)count,
                     (long)fails_at);
    if (write(STDERR_FILENO, text, (size_t)n) < 0)
        abort();
}

__attribute__((constructor)) static void start(void)
{
    const char *call = getenv("FAULT_CALL");
    struct sigaction on = {.sa_sigaction = begin, .sa_flags = SA_SIGINFO | SA_RESTART},
                     off = {.sa_handler = end, .sa_flags = SA_RESTART};
    wanted = call ? call : "";
    sigaction(SIGUSR1, &on, NULL);
    sigaction(SIGUSR2, &off, NULL);
}

static bool fails(const char *call, int code)
{
    if (!is_on || strcmp(call, wanted) != 0 || ++count != fails_at)
        return false;
    errno = code;
    return true;
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

#ifndef NO_MALLOC
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t items, size_t n);
extern void *__libc_realloc(void *p, size_t n);

static bool memory_fails(size_t n)
{
    return is_on && fails(n >= 64 * 1024 ? "large" : "small", ENOMEM);
}

void *malloc(size_t n)
{
    return memory_fails(n) ? NULL : __libc_malloc(n);
}

void *calloc(size_t items, size_t n)
{
    return memory_fails(items * n) ? NULL : __libc_calloc(items, n);
}

void *realloc(void *p, size_t n)
{
    return memory_fails(n) ? NULL : __libc_realloc(p, n);
}
#endif
