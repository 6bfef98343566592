#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "bench/measure.h"

enum { INPUT = 256 * 1024, PER_ADDRESS = 20000 };

struct target target;
static uint8_t input[INPUT];

/* ---- sockets ---- */

int dial(unsigned number, bool small_input)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1, small = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PER_ADDRESS);
    to.sin_port = htons((uint16_t)target.port);
    if (fd < 0 || inet_pton(AF_INET, target.host, &to.sin_addr) != 1)
        fail("socket");
    if (small_input)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (number >= PER_ADDRESS && bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        fail("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            fail("send");
        p += done;
        n -= (size_t)done;
    }
}

/* ---- frames ---- */

/* The mask is zero: allowed, and it costs the generator nothing. */
size_t frame_write(char *out, const char *json, size_t n)
{
    size_t head = 0;
    out[head++] = (char)0x81;
    if (n < 126) {
        out[head++] = (char)(0x80 | n);
    } else if (n < 65536) {
        out[head++] = (char)(0x80 | 126);
        out[head++] = (char)(n >> 8);
        out[head++] = (char)n;
    } else {
        out[head++] = (char)(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            out[head++] = (char)((uint64_t)n >> shift);
    }
    memset(out + head, 0, 4);
    memcpy(out + head + 4, json, n);
    return head + 4 + n;
}

/* Gives the length of the first frame's head, and its payload's in *len; 0: incomplete. */
static size_t frame_head(const uint8_t *p, size_t n, size_t *len)
{
    if (n < 2)
        return 0;
    size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    if (n < head)
        return 0;
    *len = p[1];
    if (head > 2)
        *len = 0;
    for (size_t i = 2; i < head; i++)
        *len = *len << 8 | p[i];
    if (head + *len > INPUT)
        fail("a frame too long");
    return n < head + *len ? 0 : head;
}

static void rest_keep(struct client *c, const uint8_t *p, size_t n)
{
    c->rest_n = n;
    if (n == 0)
        return;
    c->rest = malloc(n);
    if (!c->rest)
        fail("malloc");
    memcpy(c->rest, p, n);
}

/* Puts what is left of the last read in front of the buffer. */
static size_t rest_put(struct client *c)
{
    size_t n = c->rest_n;
    if (n == 0)
        return 0;
    memcpy(input, c->rest, n);
    free(c->rest);
    c->rest = NULL;
    c->rest_n = 0;
    return n;
}

static uint64_t frames_take(struct client *c, const uint8_t *p, size_t n, payload_fn *fn)
{
    uint64_t counted = 0;
    size_t len = 0, head;
    while ((head = frame_head(p, n, &len)) > 0) {
        if ((p[0] & 15) == 8) {
            fprintf(stderr, "loadgen: closed with code %d\n",
                    len > 1 ? p[head] << 8 | p[head + 1] : 0);
            exit(1);
        }
        counted += fn(c, p + head, len);
        p += head + len;
        n -= head + len;
    }
    rest_keep(c, p, n);
    return counted;
}

static uint64_t client_take(struct client *c, payload_fn *fn)
{
    size_t n = rest_put(c);
    ssize_t got = recv(c->fd, input + n, sizeof input - n, 0);
    if (got == 0) {
        errno = 0;
        fail("the server closed a connection");
    }
    if (got < 0 && errno != EAGAIN)
        fail("recv");
    return frames_take(c, input, n + (got > 0 ? (size_t)got : 0), fn);
}

/* ---- opening ---- */

static const char *awaited;

static bool payload_is_awaited(struct client *c, const uint8_t *payload, size_t n)
{
    if (memmem(payload, n, "pusher:error", 12) || memmem(payload, n, "subscription_error", 18)) {
        fprintf(stderr, "loadgen: refused: %.*s\n", (int)n, (const char *)payload);
        exit(1);
    }
    const char *id = memmem(payload, n, "socket_id", 9);
    if (id) {
        char text[64] = "";
        size_t left = n - (size_t)(id - (const char *)payload);
        memcpy(text, id, left < sizeof text - 1 ? left : sizeof text - 1);
        id = text + strcspn(text, "0123456789");
        snprintf(c->socket_id, sizeof c->socket_id, "%.*s", (int)strspn(id, "0123456789."), id);
    }
    return memmem(payload, n, awaited, strlen(awaited)) != NULL;
}

static void client_await(struct client *c, const char *text)
{
    uint64_t found = 0;
    awaited = text;
    if (c->rest_n) { /* may be whole: it came with the answer to the upgrade */
        size_t n = rest_put(c);
        found = frames_take(c, input, n, payload_is_awaited);
    }
    while (!found)
        found = client_take(c, payload_is_awaited);
}

void client_dial(struct client *c, unsigned number)
{
    bool small_input = c->small_input;
    *c = (struct client){.small_input = small_input};
    c->fd = dial(number, small_input);
}

void client_upgrade(struct client *c)
{
    char out[512];
    int n = snprintf(out, sizeof out,
                     "GET /app/%s?protocol=7&client=bench&version=1.0 HTTP/1.1\r\nHost: %s:%d\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     target.key, target.host, target.port);
    write_all(c->fd, out, (size_t)n);
}

void client_established(struct client *c)
{
    size_t n = 0;
    const uint8_t *end = NULL;
    while (!end) {
        ssize_t got = n < 8192 ? recv(c->fd, input + n, 8192 - n, 0) : 0;
        if (got <= 0)
            fail("no answer to the upgrade");
        n += (size_t)got;
        end = memmem(input, n, "\r\n\r\n", 4);
    }
    if (memcmp(input, "HTTP/1.1 101", 12) != 0) {
        errno = 0;
        fail("the upgrade was refused");
    }
    end += 4;
    rest_keep(c, end, n - (size_t)(end - input));
    client_await(c, "activity_timeout");
}

void client_open(struct client *c, unsigned number)
{
    client_dial(c, number);
    client_upgrade(c);
    client_established(c);
}

static void subscription_sign(const struct client *c, const char *channel, char hex[65])
{
    uint8_t mac[HMAC_BYTES];
    struct hmac *h = hmac_create(str_z(target.secret));
    str parts[] = {str_z(c->socket_id), S(":"), str_z(channel)};
    hmac_sign(h, parts, 3, mac);
    hmac_destroy(&h);
    crypto_hex(mac, sizeof mac, hex);
    hex[HMAC_HEX] = 0;
}

void client_subscribe(struct client *c, const char *channel)
{
    char json[512], out[600], auth[256] = "", hex[65];
    if (strncmp(channel, "private-", 8) == 0) {
        subscription_sign(c, channel, hex);
        snprintf(auth, sizeof auth, "\"auth\":\"%s:%s\",", target.key, hex);
    }
    int n =
        snprintf(json, sizeof json,
                 "{\"event\":\"pusher:subscribe\",\"data\":{%s\"channel\":\"%s\"}}", auth, channel);
    write_all(c->fd, out, frame_write(out, json, (size_t)n));
    client_await(c, "subscription_succeeded");
}

void client_cut(struct client *c)
{
    struct linger cut = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
    close(c->fd);
    free(c->rest);
    c->rest = NULL;
    c->rest_n = 0;
}

/* ---- many ---- */

int clients_epoll(struct client *clients, unsigned n)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &clients[i]};
        fcntl(clients[i].fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, clients[i].fd, &ev) < 0)
            fail("epoll_ctl");
    }
    return ep;
}

uint64_t clients_take(int ep, int wait_ms, payload_fn *fn)
{
    struct epoll_event events[512];
    uint64_t counted = 0;
    int n = epoll_wait(ep, events, 512, wait_ms);
    for (int i = 0; i < n; i++)
        counted += client_take(events[i].data.ptr, fn);
    return counted;
}

void clients_await(int ep, uint64_t want, payload_fn *fn)
{
    uint64_t last = now_ns();
    for (uint64_t have = 0, got; have < want; have += got) {
        got = clients_take(ep, 1000, fn);
        uint64_t now = now_ns();
        if (got)
            last = now;
        else if (now - last > 5000000000u) {
            errno = 0;
            fail("messages were lost: none came for 5 s");
        }
    }
}
