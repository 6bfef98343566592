#include "server/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* An address that begins with @ is an abstract one. */
static bool address_of(const char *path, struct sockaddr_un *sa, socklen_t *n)
{
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof sa->sun_path || (path[0] != '/' && path[0] != '@'))
        return false;
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(sa->sun_path, path, len);
    if (path[0] == '@')
        sa->sun_path[0] = '\0';
    *n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

static void send_state(const char *text)
{
    struct sockaddr_un sa;
    socklen_t n;
    if (!address_of(getenv("NOTIFY_SOCKET"), &sa, &n))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sa, n);
    (void)sent; /* nobody listens: nobody to tell */
    close(fd);
}

void notify_ready(const char *status)
{
    char text[256];
    snprintf(text, sizeof text, "READY=1\nSTATUS=%s\nMAINPID=%ld", status, (long)getpid());
    send_state(text);
}

void notify_reloading(void)
{
    char text[96];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
    send_state(text);
}

void notify_stopping(void)
{
    send_state("STOPPING=1\nSTATUS=Draining");
}

void notify_watchdog(void)
{
    send_state("WATCHDOG=1");
}

/* Half of the deadline, as its manual advises. */
int64_t notify_watchdog_ms(void)
{
    uint64_t usec, pid;
    const char *text = getenv("WATCHDOG_USEC"), *who = getenv("WATCHDOG_PID");
    if (!text || !str_u64(str_z(text), INT64_MAX, &usec))
        return 0;
    if (who && (!str_u64(str_z(who), INT32_MAX, &pid) || pid != (uint64_t)getpid()))
        return 0;
    return usec / 2000 > 0 ? (int64_t)(usec / 2000) : 1;
}
