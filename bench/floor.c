/* bench/floor.c - the yardstick: a bare send loop that no server can beat by much.
 *
 * floor PORT single|joined: takes the load generator's connections, answers what it waits for, and
 * sends each message it receives to all others with one send() per socket of one shared buffer;
 * `joined` sends what came in one wake-up together. No channels, no checks, no queues.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

enum { CONNECTIONS = 20000 };

static int fds[CONNECTIONS], count;
static char batch[1 << 20];
static size_t batch_n, ends[4096], end_count;

static const char hello[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: x\r\n\r\n\x81\x34"
    "{\"socket_id\":\"1.1\",\"activity_timeout\":120}          ";
static const char subscribed[] = "\x81\x0dsucceeded    ";

/* A masked frame (the mask is zero) becomes an unmasked one in the batch. */
static size_t frame_take(const unsigned char *p, size_t n)
{
    size_t len = p[1] & 127, head = 6;
    if (len == 126) {
        len = (size_t)p[2] << 8 | p[3];
        head = 8;
    }
    if (n < head + len)
        return 0;
    batch[batch_n++] = (char)0x81;
    if (len < 126) {
        batch[batch_n++] = (char)len;
    } else {
        batch[batch_n++] = 126;
        batch[batch_n++] = (char)(len >> 8);
        batch[batch_n++] = (char)len;
    }
    memcpy(batch + batch_n, p + head, len);
    batch_n += len;
    ends[end_count++] = batch_n;
    return head + len;
}

static void send_piece(size_t from, size_t to, int but)
{
    for (int i = 0; i < count; i++)
        if (fds[i] != but && send(fds[i], batch + from, to - from, MSG_NOSIGNAL) < 0)
            perror("floor: send");
}

static void read_from(int fd, bool joined)
{
    static unsigned char in[1 << 18];
    ssize_t n = recv(fd, in, sizeof in, 0);
    if (n <= 0)
        exit(0); /* the generator has ended */
    if (in[0] == 'G') {
        send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
        return;
    }
    if (memmem(in, (size_t)n, "pusher:subscribe", 16)) {
        send(fd, subscribed, sizeof subscribed - 1, MSG_NOSIGNAL);
        return;
    }
    batch_n = end_count = 0;
    for (size_t at = 0, used; at < (size_t)n; at += used)
        if ((used = frame_take(in + at, (size_t)n - at)) == 0)
            break;
    if (joined) {
        send_piece(0, batch_n, fd);
        return;
    }
    for (size_t i = 0; i < end_count; i++)
        send_piece(i ? ends[i - 1] : 0, ends[i], fd);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    bool joined = strcmp(argv[2], "joined") == 0;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, ep = epoll_create1(0), ls = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(ls, (struct sockaddr *)&at, sizeof at) < 0 || listen(ls, 4096) < 0) {
        perror("floor");
        return 1;
    }
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &(struct epoll_event){.events = EPOLLIN, .data.fd = ls});
    for (;;) {
        struct epoll_event ev[512];
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd != ls) {
                read_from(ev[i].data.fd, joined);
                continue;
            }
            int fd = accept(ls, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            fds[count++] = fd;
            epoll_ctl(ep, EPOLL_CTL_ADD, fd,
                      &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        }
    }
}
