/* bench/floor.c - the yardstick: the system calls that the work needs, and nothing else.
 *
 * floor PORT single|joined: epoll, one thread. Answers what the load generator waits for, and sends
 * each message it receives to all other subscribers, with one send() per socket of one shared
 * buffer; `joined` sends what came in one read together. No channels, checks, queues or timers.
 * Ends when it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

enum { SUBSCRIBERS = 20000, BATCH = 1 << 20, INPUT = 1 << 18 };

static int subscribers[SUBSCRIBERS], subscriber_count;
static bool joined;
static char batch[BATCH], pongs[BATCH];
static size_t batch_n, pongs_n;

static const char hello[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: x\r\n\r\n\x81\x34"
    "{\"socket_id\":\"1.1\",\"activity_timeout\":120}          ";
static const char subscribed[] = "\x81\x20pusher:subscription_succeeded   ";
static const char pong[] = "\x81\x20{\"event\":\"pusher:pong\"}         ";
static const char accepted[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 2\r\n\r\n{}";

static void reply(int fd, const char *p, size_t n)
{
    if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        perror("floor: send");
}

static void batch_send(int but)
{
    for (int i = 0; i < subscriber_count; i++)
        if (subscribers[i] != but)
            reply(subscribers[i], batch, batch_n);
    batch_n = 0;
}

static void batch_add(const unsigned char *payload, size_t n)
{
    batch[batch_n++] = (char)0x81;
    if (n < 126) {
        batch[batch_n++] = (char)n;
    } else {
        batch[batch_n++] = 126;
        batch[batch_n++] = (char)(n >> 8);
        batch[batch_n++] = (char)n;
    }
    memcpy(batch + batch_n, payload, n);
    batch_n += n;
}

/* One masked frame; the generator's mask is zero. Gives its length, 0 for a piece of one. */
static size_t frame_take(int fd, const unsigned char *p, size_t n)
{
    if (n < 8)
        return 0;
    size_t len = p[1] & 127, head = 6;
    if (len == 126) {
        len = (size_t)p[2] << 8 | p[3];
        head = 8;
    }
    if (n < head + len)
        return 0;
    const unsigned char *payload = p + head;
    if (memmem(payload, len < 32 ? len : 32, "pusher:ping", 11)) {
        memcpy(pongs + pongs_n, pong, sizeof pong - 1);
        pongs_n += sizeof pong - 1;
    } else if (memmem(payload, len < 32 ? len : 32, "pusher:subscribe", 16)) {
        if (subscriber_count == SUBSCRIBERS)
            exit(1);
        subscribers[subscriber_count++] = fd;
        reply(fd, subscribed, sizeof subscribed - 1);
    } else {
        batch_add(payload, len);
        if (!joined)
            batch_send(fd);
    }
    return head + len;
}

static void publish(int fd, const unsigned char *in, size_t n)
{
    const unsigned char *body = memmem(in, n, "\r\n\r\n", 4);
    reply(fd, accepted, sizeof accepted - 1);
    if (body)
        batch_add(body + 4, n - (size_t)(body + 4 - in));
    batch_send(-1);
}

static void leave(int fd)
{
    close(fd);
    for (int i = subscriber_count - 1; i >= 0; i--)
        if (subscribers[i] == fd)
            subscribers[i] = subscribers[--subscriber_count];
}

/* The generator writes what is in flight at once, so frames come whole on loopback. */
static void read_from(int fd)
{
    static unsigned char in[INPUT];
    ssize_t n = recv(fd, in, sizeof in, 0);
    if (n <= 0) {
        leave(fd);
        return;
    }
    if (in[0] == 'G') {
        reply(fd, hello, sizeof hello - 1);
        return;
    }
    if (in[0] == 'P') {
        publish(fd, in, (size_t)n);
        return;
    }
    size_t at = 0, used;
    while (at < (size_t)n && (used = frame_take(fd, in + at, (size_t)n - at)) > 0)
        at += used;
    if (at < (size_t)n) {
        fprintf(stderr, "floor: a frame came in pieces\n");
        exit(1);
    }
    if (batch_n)
        batch_send(fd);
    if (pongs_n) {
        reply(fd, pongs, pongs_n);
        pongs_n = 0;
    }
}

static int listen_on(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, ls = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(ls, (struct sockaddr *)&at, sizeof at) < 0 || listen(ls, 4096) < 0) {
        perror("floor");
        exit(1);
    }
    return ls;
}

static void watch(int ep, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    joined = strcmp(argv[2], "joined") == 0;
    int one = 1, ep = epoll_create1(0), ls = listen_on((int)strtol(argv[1], NULL, 10));
    watch(ep, ls);
    for (;;) {
        struct epoll_event ev[512];
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd != ls) {
                read_from(ev[i].data.fd);
                continue;
            }
            int fd = accept(ls, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            watch(ep, fd);
        }
    }
}
