/* bench/loadgen.c - drives any Pusher server and says what a delivered message costs it.
 *
 * loadgen fanout|idle|connect|http HOST PORT APP_ID KEY SECRET PID N W|MODE [SECONDS]
 *   fanout   one publisher, N subscribers of a private channel, W messages of 128 bytes in flight
 *   idle     N connections; MODE none, shared (one channel for all) or own (one each)
 *   connect  N connections one after the other
 *   http     N requests in flight on as many kept-alive connections, one subscriber
 * One JSON line on standard output. See bench/run.py
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/base.h"

struct target {
    const char *host, *app_id, *key, *secret;
    int port, pid;
};
struct client {
    int fd;
    char socket_id[32];
    uint64_t skip; /* payload bytes of the frame under way */
    unsigned char head[10];
    unsigned head_n;
    bool sampled; /* its frames are timed */
};

static struct target target;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- the server's process ---- */

static uint64_t server_cpu_ns(void)
{
    char path[600];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", target.pid);
    DIR *dir = opendir(path);
    if (!dir)
        fail(path);
    for (struct dirent *d; (d = readdir(dir));) {
        unsigned long long ns;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", target.pid, d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return sum;
}

/* Private dirty pages: what the process itself has written. */
static uint64_t server_memory(void)
{
    char path[64], line[256];
    unsigned long long kb = 0, v;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", target.pid);
    FILE *f = fopen(path, "r");
    if (!f)
        fail(path);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "Private_Dirty: %llu", &v) == 1)
            kb = v;
    fclose(f);
    return kb * 1024;
}

/* ---- clients ---- */

static int dial(unsigned n)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(0x7f000001u + n / 20000); /* 127.0.0.x: ports for all */
    to.sin_port = htons((uint16_t)target.port);
    if (fd < 0 || inet_pton(AF_INET, target.host, &to.sin_addr) != 1)
        fail("socket");
    if (n >= 20000 && bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        fail("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
        if (done <= 0)
            fail("send");
        p += done;
        n -= (size_t)done;
    }
}

/* Reads until `what` has come; the rest of the bytes is looked at by nobody. */
static void expect(int fd, char *buffer, size_t size, const char *what)
{
    size_t n = 0;
    do {
        ssize_t got = n < size - 1 ? recv(fd, buffer + n, size - 1 - n, 0) : -1;
        if (got <= 0)
            fail(what);
        n += (size_t)got;
        buffer[n] = 0;
        for (size_t i = 0; i < n; i++) /* frame heads may hold zeros */
            if (!buffer[i])
                buffer[i] = ' ';
    } while (!strstr(buffer, what));
}

static void client_open(struct client *c, unsigned n)
{
    char buffer[4096];
    memset(c, 0, sizeof *c);
    c->fd = dial(n);
    int len = snprintf(buffer, sizeof buffer,
                       "GET /app/%s?protocol=7&client=bench HTTP/1.1\r\nHost: %s\r\n"
                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n",
                       target.key, target.host);
    write_all(c->fd, buffer, (size_t)len);
    expect(c->fd, buffer, sizeof buffer, "activity_timeout");
    const char *id = strstr(buffer, "socket_id");
    id += strcspn(id, "0123456789");
    size_t n_id = strspn(id, "0123456789.");
    memcpy(c->socket_id, id, n_id < 31 ? n_id : 31);
}

/* The mask is zero: allowed, and it costs the generator nothing. */
static size_t frame_write(char *out, const char *json, size_t n)
{
    size_t head = 0;
    out[head++] = (char)0x81;
    if (n < 126) {
        out[head++] = (char)(0x80 | n);
    } else {
        out[head++] = (char)(0x80 | 126);
        out[head++] = (char)(n >> 8);
        out[head++] = (char)n;
    }
    memset(out + head, 0, 4);
    memcpy(out + head + 4, json, n);
    return head + 4 + n;
}

static void client_subscribe(struct client *c, const char *channel)
{
    char json[512], out[600], auth[160] = "", hex[65] = "";
    uint8_t mac[32];
    if (strncmp(channel, "private-", 8) == 0) {
        struct hmac *h = hmac_create(str_z(target.secret));
        str parts[] = {str_z(c->socket_id), S(":"), str_z(channel)};
        hmac_sign(h, parts, 3, mac);
        hmac_destroy(&h);
        crypto_hex(mac, 32, hex);
        snprintf(auth, sizeof auth, "%s:%s", target.key, hex);
    }
    int n =
        snprintf(json, sizeof json,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"auth\":\"%s\",\"channel\":\"%s\"}}",
                 auth, channel);
    write_all(c->fd, out, frame_write(out, json, (size_t)n));
    char buffer[4096];
    expect(c->fd, buffer, sizeof buffer, "succeeded");
}

/* ---- frames received ---- */

enum { LATENCIES = 1 << 20 };
static uint32_t latencies[LATENCIES]; /* microseconds */
static size_t latency_count;

static void latency_note(const unsigned char *payload, size_t n)
{
    const char *at = memmem(payload, n, "@", 1);
    if (!at || latency_count == LATENCIES)
        return;
    uint64_t then = strtoull(at + 1, NULL, 10);
    latencies[latency_count++] = (uint32_t)((now_ns() - then) / 1000);
}

/* Counts the frames that begin in p[0..n) or end the open one. */
static uint64_t frames_count(struct client *c, const unsigned char *p, size_t n)
{
    uint64_t frames = 0;
    while (n) {
        if (c->skip) {
            uint64_t take = c->skip < n ? c->skip : n;
            c->skip -= take;
            p += take;
            n -= take;
            frames += c->skip == 0;
            continue;
        }
        c->head[c->head_n++] = *p++;
        n--;
        unsigned len = c->head_n > 1 ? c->head[1] & 127 : 0;
        unsigned want = len == 127 ? 10 : len == 126 ? 4 : 2;
        if (c->head_n < want)
            continue;
        c->skip = len;
        if (len >= 126)
            for (c->skip = 0, len = 2; len < want; len++)
                c->skip = c->skip << 8 | c->head[len];
        c->head_n = 0;
        if (c->sampled && n >= c->skip)
            latency_note(p, c->skip);
        frames += c->skip == 0;
    }
    return frames;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(double p)
{
    if (latency_count == 0)
        return 0;
    size_t at = (size_t)((double)latency_count * p);
    return latencies[at < latency_count ? at : latency_count - 1];
}

static int epoll_of(struct client *clients, unsigned n)
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

/* Takes what has come; gives the frames. */
static uint64_t take(int ep, int wait_ms)
{
    static unsigned char buffer[256 * 1024];
    struct epoll_event events[512];
    uint64_t frames = 0;
    int n = epoll_wait(ep, events, 512, wait_ms);
    if (n == 0)
        fail("nothing arrived in time");
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            fail("the server closed a connection");
        frames += got > 0 ? frames_count(c, buffer, (size_t)got) : 0;
    }
    return frames;
}

/* ---- scenarios ---- */

static void burst_send(struct client *publisher, unsigned w)
{
    static char out[64 * 512];
    char json[512];
    size_t n = 0;
    for (unsigned i = 0; i < w; i++) {
        /* data is a string of 128 bytes that begins with the time */
        char data[129];
        int len = snprintf(data, sizeof data, "@%llu ", (unsigned long long)now_ns());
        memset(data + len, 'x', sizeof data - 1 - (size_t)len);
        data[128] = 0;
        int size = snprintf(json, sizeof json,
                            "{\"event\":\"client-bench\",\"channel\":\"private-bench\","
                            "\"data\":\"%s\"}",
                            data);
        n += frame_write(out + n, json, (size_t)size);
    }
    write_all(publisher->fd, out, n);
}

static void fanout(unsigned n, unsigned w, double seconds)
{
    struct client *clients = calloc(n + 1, sizeof *clients), *publisher = &clients[n];
    for (unsigned i = 0; i <= n; i++) {
        client_open(&clients[i], i);
        client_subscribe(&clients[i], "private-bench");
        clients[i].sampled = i % 16 == 0;
    }
    int ep = epoll_of(clients, n);
    uint64_t frames = 0, counted = 0, cpu = 0, begin = 0, start = now_ns();
    for (uint64_t rounds = 0;; rounds++) {
        if (!begin && now_ns() - start > 500000000u) { /* warm */
            begin = now_ns();
            cpu = server_cpu_ns();
            counted = frames;
            latency_count = 0;
        }
        if (begin && now_ns() - begin > (uint64_t)(seconds * 1e9))
            break;
        burst_send(publisher, w);
        for (uint64_t want = frames + (uint64_t)n * w; frames < want;)
            frames += take(ep, 5000);
    }
    double passed = (double)(now_ns() - begin) / 1e9, messages = (double)(frames - counted);
    cpu = server_cpu_ns() - cpu;
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    printf("{\"scenario\":\"fanout\",\"n\":%u,\"w\":%u,\"deliveries_per_s\":%.0f,"
           "\"cpu_us_per_delivery\":%.4f,\"p50_us\":%u,\"p99_us\":%u}\n",
           n, w, messages / passed, (double)cpu / 1000 / messages, percentile(0.5),
           percentile(0.99));
    free(clients);
}

static void idle(unsigned n, const char *mode)
{
    struct client *clients = calloc(n, sizeof *clients);
    uint64_t before = server_memory();
    for (unsigned i = 0; i < n; i++) {
        char channel[64] = "shared";
        client_open(&clients[i], i);
        if (strcmp(mode, "own") == 0)
            snprintf(channel, sizeof channel, "channel-%u", i);
        if (strcmp(mode, "none") != 0)
            client_subscribe(&clients[i], channel);
    }
    usleep(300000); /* the last turn of the server's workers has ended */
    uint64_t bytes = server_memory() - before;
    printf("{\"scenario\":\"idle\",\"n\":%u,\"mode\":\"%s\",\"bytes_per_connection\":%.0f}\n", n,
           mode, (double)bytes / n);
    free(clients);
}

static void connects(unsigned n)
{
    uint64_t cpu = server_cpu_ns(), begin = now_ns();
    for (unsigned i = 0; i < n; i++) {
        struct client c;
        client_open(&c, i);
        struct linger cut = {1, 0};
        setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &cut, sizeof cut);
        close(c.fd);
    }
    double passed = (double)(now_ns() - begin) / 1e9;
    printf("{\"scenario\":\"connect\",\"n\":%u,\"per_s\":%.0f,\"cpu_us_per_connection\":%.2f}\n", n,
           n / passed, (double)(server_cpu_ns() - cpu) / 1000 / n);
}

static void publish_send(struct hmac *h, int fd)
{
    static const char body[] =
        "{\"name\":\"e\",\"channel\":\"bench\",\"data\":\"0123456789abcdef01234"
        "56789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567"
        "89abcdef0123456789abcdef0123456789abcdef\"}";
    char query[256], hex[65] = "", md5_hex[33] = "", path[128], out[1024];
    uint8_t mac[32], md5[16];
    crypto_md5(str_of(body, sizeof body - 1), md5);
    crypto_hex(md5, 16, md5_hex);
    snprintf(path, sizeof path, "/apps/%s/events", target.app_id);
    snprintf(query, sizeof query, "auth_key=%s&auth_timestamp=%lld&auth_version=1.0&body_md5=%s",
             target.key, (long long)time(NULL), md5_hex);
    str parts[] = {S("POST\n"), str_z(path), S("\n"), str_z(query)};
    hmac_sign(h, parts, 4, mac);
    crypto_hex(mac, 32, hex);
    int n = snprintf(out, sizeof out,
                     "POST %s?%s&auth_signature=%s HTTP/1.1\r\nHost: bench\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     path, query, hex, sizeof body - 1, body);
    write_all(fd, out, (size_t)n);
}

static void http(unsigned n, double seconds)
{
    struct client subscriber;
    char buffer[4096];
    int *fds = calloc(n, sizeof *fds);
    struct hmac *h = hmac_create(str_z(target.secret));
    client_open(&subscriber, 0);
    client_subscribe(&subscriber, "bench");
    for (unsigned i = 0; i < n; i++)
        fds[i] = dial(i + 1);
    uint64_t cpu = server_cpu_ns(), begin = now_ns(), requests = 0;
    while (now_ns() - begin < (uint64_t)(seconds * 1e9)) {
        for (unsigned i = 0; i < n; i++)
            publish_send(h, fds[i]);
        for (unsigned i = 0; i < n; i++)
            expect(fds[i], buffer, sizeof buffer, "200 OK");
        requests += n;
        while (recv(subscriber.fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
            ;
    }
    double passed = (double)(now_ns() - begin) / 1e9;
    printf("{\"scenario\":\"http\",\"n\":%u,\"requests_per_s\":%.0f,\"cpu_us_per_request\":%.2f}\n",
           n, (double)requests / passed, (double)(server_cpu_ns() - cpu) / 1000 / (double)requests);
    hmac_destroy(&h);
    free(fds);
}

int main(int argc, char **argv)
{
    if (argc < 10) {
        fprintf(stderr, "usage: loadgen fanout|idle|connect|http HOST PORT APP_ID KEY SECRET PID N "
                        "W|MODE [SECONDS]\n");
        return 2;
    }
    target = (struct target){argv[2], argv[4], argv[5], argv[6], atoi(argv[3]), atoi(argv[7])};
    unsigned n = (unsigned)atoi(argv[8]);
    double seconds = argc > 10 ? atof(argv[10]) : 1.0;
    if (strcmp(argv[1], "fanout") == 0)
        fanout(n, (unsigned)atoi(argv[9]), seconds);
    else if (strcmp(argv[1], "idle") == 0)
        idle(n, argv[9]);
    else if (strcmp(argv[1], "connect") == 0)
        connects(n);
    else if (strcmp(argv[1], "http") == 0)
        http(n, seconds);
    else
        return 2;
    return 0;
}
