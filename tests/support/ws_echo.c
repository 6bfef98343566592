/* tests/support/ws_echo.c - echo server on our handshake, frame and deflate code, for Autobahn.
 *
 *     ws_echo [port]        port 0 (default): chosen by the kernel; it is printed on stdout
 *
 * Text is echoed as text, binary as binary; compressed if the client offered it. Messages up to
 * 16 MiB. Any path is accepted. One thread, poll; not a server for the world. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "base/buf.h"
#include "wire/http1.h"
#include "wire/ws_frame.h"
#include "wire/ws_handshake.h"
#include "wire/ws_inflate.h"

#define MAX_PEERS 64
#define MAX_MESSAGE (16u << 20)
#define READ_SIZE 65536

struct peer {
    int fd;
    size_t scanned; /* of the request head */
    bool is_open;   /* the handshake is done */
    bool is_ending; /* nothing more is read but the end of the stream */
    bool is_shut;   /* our side of the stream is closed */
    int window_bits;
    struct ws_limits limits;
    struct ws_reader reader;
    struct buf in, out;
    size_t sent; /* of out */
};

static struct peer *peers[MAX_PEERS];
static size_t peer_count;

static void send_frame(struct peer *p, enum ws_opcode opcode, bool rsv1, str payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_frame_head(head, opcode, rsv1, payload.n);
    CHECK(buf_add(&p->out, str_of(head, n)));
    CHECK(buf_add(&p->out, payload));
}

static void send_close(struct peer *p, uint16_t code, str reason)
{
    uint8_t payload[125];
    size_t n = ws_close_payload(payload, code, reason);
    send_frame(p, WS_OP_CLOSE, false, str_of(payload, n));
    p->is_ending = true;
}

static void echo(struct peer *p, const struct ws_event *ev)
{
    enum ws_opcode opcode = ev->binary ? WS_OP_BINARY : WS_OP_TEXT;
    if (!p->limits.deflate) {
        send_frame(p, opcode, false, ev->payload);
        return;
    }
    struct buf packed;
    buf_init(&packed, 2 * (size_t)MAX_MESSAGE);
    CHECK(deflate_message(&packed, ev->payload, p->window_bits));
    send_frame(p, opcode, true, buf_str(&packed));
    buf_finish(&packed);
}

static void act(struct peer *p, const struct ws_event *ev)
{
    switch (ev->item) {
    case WS_MESSAGE:
        echo(p, ev);
        break;
    case WS_PING:
        send_frame(p, WS_OP_PONG, false, ev->payload);
        break;
    case WS_CLOSE:
        send_close(p, ev->close_code == 1005 ? 1000 : ev->close_code, S(""));
        break;
    case WS_BAD:
        send_close(p, ev->close_code, str_z(ev->why));
        break;
    case WS_MORE:
    case WS_PONG:
        break;
    }
}

static void read_frames(struct peer *p)
{
    size_t at = 0, used;
    struct ws_event ev;
    do {
        ws_read(&p->reader, &p->limits, p->in.p + at, p->in.n - at, &used, &ev);
        act(p, &ev);
        at += used;
    } while (used && !p->is_ending);
    ws_reader_release(&p->reader);
    buf_drop(&p->in, at);
}

static void read_handshake(struct peer *p)
{
    struct http1_request request;
    struct ws_handshake h;
    size_t used;
    int status;
    enum parse rc = http1_head(buf_str(&p->in), &p->scanned, &request, &used, &status);
    if (rc == PARSE_MORE)
        return;
    p->is_ending = true;
    if (rc == PARSE_BAD)
        return;
    bool is_accepted = ws_handshake_decide(&request, WS_WINDOW_LEAST, &h);
    CHECK(ws_handshake_write(&h, &p->out));
    if (!is_accepted)
        return;
    p->is_ending = false;
    p->is_open = true;
    p->window_bits = h.server_window_bits;
    p->limits = (struct ws_limits){
        .max_message = MAX_MESSAGE,
        .max_frame = MAX_MESSAGE,
        .deflate = h.deflate,
    };
    buf_drop(&p->in, used);
}

/* False: the connection is over. */
static bool on_readable(struct peer *p)
{
    char *to = buf_room(&p->in, READ_SIZE);
    CHECK(to);
    ssize_t n = read(p->fd, to, READ_SIZE);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    if (p->is_ending)
        return true;
    p->in.n += (size_t)n;
    if (!p->is_open)
        read_handshake(p);
    if (p->is_open)
        read_frames(p);
    return true;
}

static bool flush(struct peer *p)
{
    while (p->sent < p->out.n) {
        ssize_t n = write(p->fd, p->out.p + p->sent, p->out.n - p->sent);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        p->sent += (size_t)n;
    }
    buf_clear(&p->out);
    p->sent = 0;
    if (p->is_ending && !p->is_shut) {
        p->is_shut = true;
        shutdown(p->fd, SHUT_WR);
    }
    return true;
}

static void peer_add(int fd)
{
    int on = 1;
    if (peer_count == MAX_PEERS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct peer *p = mem_zero(sizeof *p);
    p->fd = fd;
    buf_init(&p->in, 4 * READ_SIZE);
    buf_init(&p->out, 8 * (size_t)MAX_MESSAGE);
    peers[peer_count++] = p;
}

static void peer_remove(size_t at)
{
    struct peer *p = peers[at];
    peers[at] = peers[--peer_count];
    close(p->fd);
    ws_reader_finish(&p->reader);
    buf_finish(&p->in);
    buf_finish(&p->out);
    free(p);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&a, &len)) {
        perror("ws_echo: cannot listen");
        exit(1);
    }
    printf("%u\n", (unsigned)ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

/* Reads only what can be answered: nothing while there is output left. */
static void turn(int listener)
{
    struct pollfd fds[MAX_PEERS + 1];
    size_t n = peer_count;
    fds[n] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = peers[i]->fd, .events = peers[i]->out.n ? POLLOUT : POLLIN};
    if (poll(fds, n + 1, -1) < 0)
        return;
    for (size_t i = n; i-- > 0;) { /* backwards: a removed one is replaced by the last */
        bool is_alive = true;
        if (fds[i].revents && fds[i].events == POLLIN)
            is_alive = on_readable(peers[i]);
        if (is_alive && fds[i].revents)
            is_alive = flush(peers[i]);
        if (!is_alive)
            peer_remove(i);
    }
    if (fds[n].revents) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            peer_add(fd);
    }
}

static volatile sig_atomic_t has_to_stop;

static void on_signal(int number)
{
    (void)number;
    has_to_stop = 1;
}

int main(int argc, char **argv)
{
    uint64_t port = 0;
    if (argc > 2 || (argc == 2 && !str_u64(str_z(argv[1]), 65535, &port))) {
        fprintf(stderr, "usage: ws_echo [port]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
    int listener = listen_on((uint16_t)port);
    while (!has_to_stop)
        turn(listener);
    while (peer_count)
        peer_remove(peer_count - 1);
    close(listener);
    ws_inflate_finish_thread();
    return 0;
}
