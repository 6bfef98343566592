/* support/http_stub.c - see the header. */
#include "support/http_stub.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct stub_peer {
    struct http_stub *stub;
    struct stub_peer *next, **prev;
    int fd;
    uint64_t key;
    struct buf in;
    const char *again; /* sent for ever, as the socket takes it */
    size_t again_left;
};

static void peer_free(struct stub_peer *p)
{
    *p->prev = p->next;
    if (p->next)
        p->next->prev = p->prev;
    p->stub->open--;
    loop_unwatch(p->stub->loop, p->fd, p->key);
    close(p->fd);
    buf_finish(&p->in);
    free(p);
}

static void send_again(struct stub_peer *p)
{
    size_t n = strlen(p->again);
    while (p->again_left > 0 && send(p->fd, p->again, n, MSG_NOSIGNAL) > 0)
        p->again_left--;
}

static void reply(struct stub_peer *p, const struct stub_answer *a)
{
    struct buf out;
    if (a->status == 0)
        return;
    const char *body = a->body ? a->body : "";
    buf_init(&out, 1 << 20);
    buf_printf(&out, "HTTP/1.1 %d Whatever\r\n%s", a->status, a->headers ? a->headers : "");
    if (a->repeat == 0)
        buf_printf(&out, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        buf_printf(&out, "\r\n");
    ssize_t sent = send(p->fd, out.p, out.n, MSG_NOSIGNAL);
    (void)sent; /* who has gone does not hear it */
    buf_finish(&out);
    if (a->repeat > 0) {
        p->again = body;
        p->again_left = a->repeat;
        loop_rewatch(p->stub->loop, p->fd, EPOLLIN | EPOLLOUT, p->key);
    }
}

static bool take_request(struct stub_peer *p)
{
    struct http_stub *s = p->stub;
    char *end = p->in.n ? memmem(p->in.p, p->in.n, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return false;
    size_t head_n = (size_t)(end - p->in.p) + 4, body_n = 0;
    struct stub_request r = {.at_ms = s->loop->now_ms, .head = mem_dup(str_of(p->in.p, head_n))};
    str length = http_stub_header(&r, "Content-Length", NULL);
    if (length.n > 0)
        body_n = strtoul(length.p, NULL, 10);
    if (p->in.n < head_n + body_n) {
        free(r.head);
        return false;
    }
    r.body = mem_dup(str_of(p->in.p + head_n, body_n));
    r.body_n = body_n;
    buf_drop(&p->in, head_n + body_n);
    CHECK(s->count < STUB_REQUESTS);
    s->requests[s->count++] = r;
    struct stub_answer a = s->answer(s->ctx, &r);
    reply(p, &a);
    return true;
}

static void on_peer(void *ctx, uint32_t events)
{
    struct stub_peer *p = ctx;
    if ((events & EPOLLOUT) && p->again)
        send_again(p);
    if (!(events & ~(uint32_t)EPOLLOUT))
        return;
    char *room = buf_room(&p->in, 64 << 10);
    ssize_t n = room ? recv(p->fd, room, 64 << 10, 0) : -1;
    if (n <= 0) {
        peer_free(p);
        return;
    }
    p->in.n += (size_t)n;
    while (take_request(p))
        ;
}

static void on_accept(void *ctx, uint32_t events)
{
    (void)events;
    struct http_stub *s = ctx;
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct stub_peer *p = mem_zero(sizeof *p);
    p->stub = s;
    p->fd = fd;
    buf_init(&p->in, 16 << 20);
    p->next = s->peers;
    p->prev = &s->peers;
    if (p->next)
        p->next->prev = &p->next;
    s->peers = p;
    s->open++;
    s->open_max = s->open > s->open_max ? s->open : s->open_max;
    CHECK(loop_watch(s->loop, fd, EPOLLIN, on_peer, p, &p->key, NULL));
}

void http_stub_start(struct http_stub *s, struct loop *loop,
                     struct stub_answer (*answer)(void *, const struct stub_request *), void *ctx)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    *s = (struct http_stub){.loop = loop, .answer = answer, .ctx = ctx};
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(bind(s->listener, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(listen(s->listener, 512) == 0);
    CHECK(getsockname(s->listener, (struct sockaddr *)&a, &n) == 0);
    s->port = ntohs(a.sin_port);
    CHECK(loop_watch(loop, s->listener, EPOLLIN, on_accept, s, &s->key, NULL));
}

void http_stub_stop(struct http_stub *s)
{
    while (s->peers != NULL)
        peer_free(s->peers);
    loop_unwatch(s->loop, s->listener, s->key);
    close(s->listener);
    for (size_t i = 0; i < s->count; i++) {
        free(s->requests[i].head);
        free(s->requests[i].body);
    }
    s->count = 0;
}

str http_stub_header(const struct stub_request *r, const char *name, int *count_out)
{
    str found = S("");
    size_t n = strlen(name);
    int count = 0;
    for (const char *p = strstr(r->head, "\r\n"); p != NULL && p[2] != '\r';
         p = strstr(p + 2, "\r\n"))
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':') {
            const char *v = p + 2 + n + 1;
            v += strspn(v, " ");
            found = str_of(v, strcspn(v, "\r"));
            count++;
        }
    if (count_out)
        *count_out = count;
    return found;
}
