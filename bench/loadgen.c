/* bench/loadgen.c - drives any Pusher server and says what a piece of work costs it.
 *
 * loadgen SCENARIO --server HOST:PORT --app ID:KEY:SECRET --pid PID [OPTION...]
 *   fanout        one publisher sends client events to N subscribers of a private channel, W in
 *                 flight; with --rate as many a second, late or not
 *   slow          fanout, measured once with all reading and once while --stalled of them do not
 *   http-publish  signed POST /events, W in flight on as many kept-alive connections, N subscribers
 *   pingpong      N clients, each with W pusher:ping in flight
 *   connect       N connections up to pusher:connection_established, W at a time
 *   idle          N connections that do nothing; --channels none, shared (one for all), own (each)
 * One JSON line on standard output, status 0. A message lost, doubled or out of order, a refusal
 * and a closed connection end the run with status 1.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto.h"
#include "bench/client.h"
#include "bench/measure.h"

static struct {
    unsigned n, w, bytes, stalled;
    double seconds, rate;
    const char *channels;
} opt = {.n = 1000, .w = 1, .bytes = 128, .stalled = 1, .seconds = 1, .channels = "none"};

static void *alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        fail("calloc");
    return p;
}

/* ---- messages: "@<time in ns> <number> xxx..." ---- */

enum { TIME_DIGITS = 19, NUMBER_DIGITS = 10, STAMP = 1 + TIME_DIGITS + 1 + NUMBER_DIGITS };

static void data_write(char *out, uint64_t time_ns, uint64_t number)
{
    memset(out, 'x', opt.bytes);
    int n = snprintf(out, STAMP + 1, "@%019llu %010llu", (unsigned long long)time_ns,
                     (unsigned long long)number);
    out[n] = 'x'; /* not the NUL */
}

static uint64_t digits(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (uint64_t)(p[i] - '0');
    return v;
}

/* The stamp of a message, NULL for what is none. It stands where it stood the last time. */
static const uint8_t *stamp_find(const uint8_t *payload, size_t n)
{
    static size_t at;
    if (at + STAMP <= n && payload[at] == '@')
        return payload + at;
    const uint8_t *found = memmem(payload, n, "@", 1);
    if (!found || (size_t)(payload + n - found) < STAMP)
        return NULL;
    at = (size_t)(found - payload);
    return found;
}

static bool message_in_order(struct client *c, const uint8_t *payload, size_t n)
{
    const uint8_t *stamp = stamp_find(payload, n);
    if (!stamp)
        return false;
    uint64_t number = digits(stamp + 1 + TIME_DIGITS + 1, NUMBER_DIGITS);
    if (number != c->next) {
        fprintf(stderr, "loadgen: message %llu came instead of %llu\n", (unsigned long long)number,
                (unsigned long long)c->next);
        exit(1);
    }
    c->next++;
    if (c->sampled)
        latency_note(now_ns() - digits(stamp + 1, TIME_DIGITS));
    return true;
}

static bool message_any(struct client *c, const uint8_t *payload, size_t n)
{
    (void)c;
    return stamp_find(payload, n) != NULL;
}

static bool pong_any(struct client *c, const uint8_t *payload, size_t n)
{
    (void)c;
    return memmem(payload, n, "pusher:pong", 11) != NULL;
}

/* ---- fan-out ---- */

static const char fan_channel[] = "private-bench";

struct fan {
    struct client *clients, publisher;
    unsigned reading; /* the others are stalled */
    int ep;
    uint64_t sent;   /* messages */
    uint64_t owed;   /* deliveries not yet seen */
    uint64_t due_ns; /* paced: when the next message is due */
    char *out;
};

static void fan_open(struct fan *f, bool with_slow)
{
    *f = (struct fan){.clients = alloc(opt.n, sizeof *f->clients), .reading = opt.n};
    f->out = alloc(opt.w, opt.bytes + 256);
    for (unsigned i = 0; i < opt.n; i++) {
        f->clients[i].small_input = with_slow && i < opt.stalled;
        client_open(&f->clients[i], i);
        client_subscribe(&f->clients[i], fan_channel);
        f->clients[i].sampled = i % 16 == 15;
    }
    client_open(&f->publisher, opt.n);
    client_subscribe(&f->publisher, fan_channel);
    f->ep = clients_epoll(f->clients, opt.n);
}

static void fan_close(struct fan *f)
{
    for (unsigned i = 0; i < opt.n; i++)
        client_cut(&f->clients[i]);
    client_cut(&f->publisher);
    close(f->ep);
    free(f->clients);
    free(f->out);
}

static void fan_send(struct fan *f, uint64_t time_ns)
{
    static char json[65536 + 256];
    size_t n = 0;
    for (unsigned i = 0; i < opt.w; i++) {
        int head =
            snprintf(json, sizeof json,
                     "{\"event\":\"client-bench\",\"channel\":\"%s\",\"data\":\"", fan_channel);
        data_write(json + head, time_ns, f->sent++);
        memcpy(json + head + opt.bytes, "\"}", 2);
        n += frame_write(f->out + n, json, (size_t)head + opt.bytes + 2);
    }
    write_all(f->publisher.fd, f->out, n);
    f->owed += (uint64_t)f->reading * opt.w;
}

/* Closed loop: the next burst leaves when all have the last one. */
static void fan_round_closed(struct fan *f)
{
    fan_send(f, now_ns());
    clients_await(f->ep, f->owed, message_in_order);
    f->owed = 0;
}

/* Open loop: a message is late from when it was due, not from when it was sent. */
static void fan_round_paced(struct fan *f)
{
    uint64_t due = f->due_ns ? f->due_ns : now_ns();
    do {
        uint64_t now = now_ns();
        int wait_ms = now < due ? (int)((due - now) / 1000000) : 0;
        f->owed -= clients_take(f->ep, wait_ms, message_in_order);
    } while (now_ns() < due);
    fan_send(f, due);
    f->due_ns = due + (uint64_t)(1e9 / opt.rate);
}

/* Warms up, measures; gives the deliveries between the two moments. */
static uint64_t fan_measure(struct fan *f, double warm_seconds, struct usage u[2])
{
    uint64_t begin = now_ns(), first = 0;
    bool warm = true;
    for (f->due_ns = 0;;) {
        if (warm && now_ns() - begin > (uint64_t)(warm_seconds * 1e9)) {
            warm = false;
            first = f->sent;
            latency_reset();
            u[0] = usage_now(target.pid);
        }
        if (!warm && now_ns() - u[0].wall_ns > (uint64_t)(opt.seconds * 1e9))
            break;
        if (opt.rate > 0)
            fan_round_paced(f);
        else
            fan_round_closed(f);
    }
    u[1] = usage_now(target.pid);
    clients_await(f->ep, f->owed, message_in_order);
    f->owed = 0;
    return (f->sent - first) * f->reading;
}

static void fanout(void)
{
    struct fan f;
    struct usage u[2];
    fan_open(&f, false);
    uint64_t deliveries = fan_measure(&f, 0.5, u);
    printf("{\"scenario\":\"fanout\",\"n\":%u,\"w\":%u,\"bytes\":%u,\"rate\":%g,"
           "\"deliveries_per_s\":%.0f,\"cpu_us_per_delivery\":%.4f",
           opt.n, opt.w, opt.bytes, opt.rate, (double)deliveries / usage_seconds(&u[0], &u[1]),
           usage_cpu_us(&u[0], &u[1], deliveries));
    latency_print();
    usage_print_end(&u[0], &u[1]);
    fan_close(&f);
}

/* ---- one who does not read ---- */

static void fan_stall(struct fan *f)
{
    for (unsigned i = 0; i < opt.stalled; i++)
        if (epoll_ctl(f->ep, EPOLL_CTL_DEL, f->clients[i].fd, NULL) < 0)
            fail("epoll_ctl");
    f->reading -= opt.stalled;
}

/* Sends in larger bursts until the kernel takes no more for the stalled (megabytes), so that the
 * server has to keep what is theirs. Gives up after 20 s: a server may drop or have closed. */
static void fan_fill(struct fan *f)
{
    enum { BURST = 16, GROWN = 48 * 1024 };
    uint64_t begin = now_ns(), memory = memory_of(target.pid);
    unsigned w = opt.w;
    free(f->out);
    f->out = alloc(BURST, opt.bytes + 256);
    opt.w = BURST;
    while (memory_of(target.pid) < memory + GROWN && now_ns() - begin < 20000000000u)
        for (unsigned i = 0; i < 4; i++)
            fan_round_closed(f);
    opt.w = w < BURST ? w : BURST;
}

/* Reads what lies there; a server that has closed ends the stream. */
static unsigned fan_closed_by_server(struct fan *f)
{
    static char buffer[65536];
    unsigned closed = 0;
    for (unsigned i = 0; i < opt.stalled; i++) {
        ssize_t got;
        while ((got = recv(f->clients[i].fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            usleep(200); /* gives the server time to refill */
        closed += got == 0 || errno != EAGAIN;
    }
    return closed;
}

static void slow(void)
{
    struct fan f;
    struct usage u[2];
    if (opt.stalled >= opt.n)
        fail("nobody is left to read");
    fan_open(&f, true);
    fan_measure(&f, 0.5, u);
    uint32_t p50 = latency_at(0.5), p99 = latency_at(0.99);
    uint64_t memory = memory_of(target.pid);
    fan_stall(&f);
    fan_fill(&f);
    uint64_t deliveries = fan_measure(&f, 0, u);
    printf("{\"scenario\":\"slow\",\"n\":%u,\"w\":%u,\"bytes\":%u,\"stalled\":%u,"
           "\"p50_us_before\":%u,\"p99_us_before\":%u,\"cpu_us_per_delivery\":%.4f,"
           "\"p50_ratio\":%.3f,\"p99_ratio\":%.3f,\"memory_growth\":%lld,\"closed_by_server\":%u",
           opt.n, opt.w, opt.bytes, opt.stalled, p50, p99, usage_cpu_us(&u[0], &u[1], deliveries),
           p50 ? (double)latency_at(0.5) / p50 : 0, p99 ? (double)latency_at(0.99) / p99 : 0,
           (long long)(memory_of(target.pid) - memory), fan_closed_by_server(&f));
    latency_print();
    usage_print_end(&u[0], &u[1]);
    fan_close(&f);
}

/* ---- HTTP publish ---- */

static void publish_sign(struct hmac *h, str body, char *path, size_t path_n, char *query,
                         size_t query_n)
{
    char md5_hex[33] = "", hex[HMAC_HEX + 1] = "";
    uint8_t mac[HMAC_BYTES], md5[16];
    crypto_md5(body, md5);
    crypto_hex(md5, sizeof md5, md5_hex);
    snprintf(path, path_n, "/apps/%s/events", target.app_id);
    int n = snprintf(query, query_n, "auth_key=%s&auth_timestamp=%lld&auth_version=1.0&body_md5=%s",
                     target.key, (long long)time(NULL), md5_hex);
    str parts[] = {S("POST\n"), str_z(path), S("\n"), str_of(query, (size_t)n)};
    hmac_sign(h, parts, 4, mac);
    crypto_hex(mac, sizeof mac, hex);
    snprintf(query + n, query_n - (size_t)n, "&auth_signature=%s", hex);
}

static void publish_send(struct hmac *h, int fd, uint64_t number)
{
    static char body[65536 + 256], out[65536 + 1024];
    char path[256], query[512];
    int head = snprintf(body, sizeof body, "{\"name\":\"e\",\"channel\":\"bench\",\"data\":\"");
    data_write(body + head, now_ns(), number);
    size_t body_n = (size_t)head + opt.bytes + 2;
    memcpy(body + body_n - 2, "\"}", 2);
    publish_sign(h, str_of(body, body_n), path, sizeof path, query, sizeof query);
    int n = snprintf(out, sizeof out,
                     "POST %s?%s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     path, query, target.host, target.port, body_n);
    memcpy(out + n, body, body_n);
    write_all(fd, out, (size_t)n + body_n);
}

/* Reads one answer to its end; gives whether the connection stays open. */
static bool answer_await(int fd)
{
    char in[8192];
    size_t n = 0, want = 0;
    while (!want || n < want) {
        ssize_t got = n < sizeof in - 1 ? recv(fd, in + n, sizeof in - 1 - n, 0) : 0;
        if (got <= 0)
            fail("no whole answer to a publish");
        n += (size_t)got;
        in[n] = 0;
        char *end = want ? NULL : strstr(in, "\r\n\r\n"), *length = NULL;
        if (end)
            length = strcasestr(in, "content-length:");
        if (end && (!length || strncmp(in, "HTTP/1.1 200", 12) != 0)) {
            fprintf(stderr, "loadgen: publish refused: %s\n", in);
            exit(1);
        }
        if (end)
            want = (size_t)(end + 4 - in) + strtoul(length + 15, NULL, 10);
    }
    return strcasestr(in, "connection: close") == NULL;
}

struct publishers {
    struct hmac *hmac;
    int *fds;
    uint64_t sent, reconnects;
};

static void publishers_open(struct publishers *p)
{
    *p = (struct publishers){.hmac = hmac_create(str_z(target.secret)),
                             .fds = alloc(opt.w, sizeof *p->fds)};
    for (unsigned i = 0; i < opt.w; i++)
        p->fds[i] = dial(i, false);
}

static void publishers_close(struct publishers *p)
{
    for (unsigned i = 0; i < opt.w; i++)
        close(p->fds[i]);
    hmac_destroy(&p->hmac);
    free(p->fds);
}

/* A server that closes after each answer pays for the new connection: it is part of its cost. */
static void publishers_round(struct publishers *p)
{
    for (unsigned i = 0; i < opt.w; i++)
        publish_send(p->hmac, p->fds[i], p->sent++);
    for (unsigned i = 0; i < opt.w; i++) {
        if (answer_await(p->fds[i]))
            continue;
        close(p->fds[i]);
        p->fds[i] = dial(i, false);
        p->reconnects++;
    }
}

static void http_publish(void)
{
    struct publishers p;
    struct usage u[2];
    struct client *clients = alloc(opt.n + 1, sizeof *clients);
    for (unsigned i = 0; i < opt.n; i++) {
        client_open(&clients[i], i);
        client_subscribe(&clients[i], "bench");
    }
    int ep = clients_epoll(clients, opt.n);
    publishers_open(&p);
    for (unsigned i = 0; i < 200; i++) /* warm */
        publishers_round(&p);
    clients_await(ep, p.sent * opt.n, message_any);
    uint64_t before = p.sent, delivered = 0;
    u[0] = usage_now(target.pid);
    while (now_ns() - u[0].wall_ns < (uint64_t)(opt.seconds * 1e9)) {
        publishers_round(&p);
        delivered += clients_take(ep, 0, message_any);
    }
    u[1] = usage_now(target.pid);
    uint64_t requests = p.sent - before;
    clients_await(ep, requests * opt.n - delivered, message_any);
    printf("{\"scenario\":\"http-publish\",\"n\":%u,\"w\":%u,\"bytes\":%u,\"requests_per_s\":%.0f,"
           "\"cpu_us_per_request\":%.2f,\"reconnects\":%llu",
           opt.n, opt.w, opt.bytes, (double)requests / usage_seconds(&u[0], &u[1]),
           usage_cpu_us(&u[0], &u[1], requests), (unsigned long long)p.reconnects);
    usage_print_end(&u[0], &u[1]);
    publishers_close(&p);
    free(clients);
}

/* ---- ping ---- */

static void pingpong(void)
{
    static const char ping[] = "{\"event\":\"pusher:ping\",\"data\":{}}";
    struct client *clients = alloc(opt.n, sizeof *clients);
    char *out = alloc(opt.w, sizeof ping + 16);
    size_t out_n = 0;
    struct usage u[2];
    uint64_t pings = 0;
    for (unsigned i = 0; i < opt.n; i++)
        client_open(&clients[i], i);
    for (unsigned i = 0; i < opt.w; i++)
        out_n += frame_write(out + out_n, ping, sizeof ping - 1);
    int ep = clients_epoll(clients, opt.n);
    for (unsigned round = 0;; round++) {
        if (round == 50) { /* warm */
            u[0] = usage_now(target.pid);
            latency_reset();
        }
        if (round > 50 && now_ns() - u[0].wall_ns > (uint64_t)(opt.seconds * 1e9))
            break;
        uint64_t sent_ns = now_ns();
        for (unsigned i = 0; i < opt.n; i++)
            write_all(clients[i].fd, out, out_n);
        clients_await(ep, (uint64_t)opt.n * opt.w, pong_any);
        latency_note(now_ns() - sent_ns); /* of the round, which is that of the last one */
        pings += round >= 50 ? (uint64_t)opt.n * opt.w : 0;
    }
    u[1] = usage_now(target.pid);
    printf("{\"scenario\":\"pingpong\",\"n\":%u,\"w\":%u,\"pings_per_s\":%.0f,"
           "\"cpu_us_per_ping\":%.4f",
           opt.n, opt.w, (double)pings / usage_seconds(&u[0], &u[1]),
           usage_cpu_us(&u[0], &u[1], pings));
    latency_print();
    usage_print_end(&u[0], &u[1]);
    free(out);
    free(clients);
}

/* ---- connections ---- */

static void connects_open(struct client *clients)
{
    for (unsigned i = 0; i < opt.n; i += opt.w) {
        unsigned end = i + opt.w < opt.n ? i + opt.w : opt.n;
        for (unsigned k = i; k < end; k++) {
            client_dial(&clients[k], k);
            client_upgrade(&clients[k]);
        }
        for (unsigned k = i; k < end; k++)
            client_established(&clients[k]);
    }
}

static void connects(void)
{
    struct client *clients = alloc(opt.n, sizeof *clients);
    struct usage u[3];
    u[0] = usage_now(target.pid);
    connects_open(clients);
    u[1] = usage_now(target.pid);
    for (unsigned i = 0; i < opt.n; i++)
        client_cut(&clients[i]);
    usleep(300000);
    u[2] = usage_now(target.pid);
    printf("{\"scenario\":\"connect\",\"n\":%u,\"w\":%u,\"per_s\":%.0f,"
           "\"cpu_us_per_connection\":%.2f,\"cpu_us_per_close\":%.2f",
           opt.n, opt.w, opt.n / usage_seconds(&u[0], &u[1]), usage_cpu_us(&u[0], &u[1], opt.n),
           usage_cpu_us(&u[1], &u[2], opt.n));
    usage_print_end(&u[0], &u[1]);
    free(clients);
}

static void idle_channel(char *out, size_t n, unsigned i)
{
    if (strcmp(opt.channels, "own") == 0)
        snprintf(out, n, "channel-%u", i);
    else
        snprintf(out, n, "shared");
}

static void idle(void)
{
    struct client *clients = alloc(opt.n, sizeof *clients);
    char channel[64];
    struct usage u[2];
    uint64_t before = memory_of(target.pid);
    u[0] = usage_now(target.pid);
    for (unsigned i = 0; i < opt.n; i++) {
        client_open(&clients[i], i);
        idle_channel(channel, sizeof channel, i);
        if (strcmp(opt.channels, "none") != 0)
            client_subscribe(&clients[i], channel);
    }
    usleep(300000); /* the last turn has ended */
    u[1] = usage_now(target.pid);
    uint64_t full = memory_of(target.pid);
    for (unsigned i = 0; i < opt.n; i++)
        client_cut(&clients[i]);
    sleep(1);
    printf("{\"scenario\":\"idle\",\"n\":%u,\"channels\":\"%s\",\"bytes_per_connection\":%.0f,"
           "\"bytes_per_connection_after\":%.0f,\"server_bytes\":%llu",
           opt.n, opt.channels, ((double)full - (double)before) / opt.n,
           ((double)memory_of(target.pid) - (double)before) / opt.n, (unsigned long long)full);
    usage_print_end(&u[0], &u[1]);
    free(clients);
}

/* ---- arguments ---- */

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"fanout", fanout},     {"slow", slow},        {"http-publish", http_publish},
    {"pingpong", pingpong}, {"connect", connects}, {"idle", idle},
};

static int help(void)
{
    fprintf(stderr,
            "usage: loadgen fanout|slow|http-publish|pingpong|connect|idle\n"
            "  --server HOST:PORT    IPv4 address\n"
            "  --app ID:KEY:SECRET   client events must be enabled for it\n"
            "  --pid PID             the server's process\n"
            "  -n N                  clients (1000)        -w W        in flight (1)\n"
            "  --bytes N             of a message (128)    --seconds S measured time (1)\n"
            "  --rate R              messages a second; 0: as fast as they arrive (0)\n"
            "  --stalled K           who do not read (1)   --channels none|shared|own (none)\n");
    return 2;
}

static bool server_parse(char *text)
{
    char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof target.host)
        return false;
    snprintf(target.host, sizeof target.host, "%.*s", (int)(colon - text), text);
    target.port = (int)strtol(colon + 1, NULL, 10);
    return target.port > 0;
}

static bool app_parse(char *text)
{
    target.app_id = strsep(&text, ":");
    target.key = strsep(&text, ":");
    target.secret = text;
    return target.secret != NULL;
}

static bool option_take(int c, char *value)
{
    switch (c) {
    case 's':
        return server_parse(value);
    case 'a':
        return app_parse(value);
    case 'p':
        target.pid = (int)strtol(value, NULL, 10);
        return target.pid > 0;
    case 'n':
        opt.n = (unsigned)strtoul(value, NULL, 10);
        return true;
    case 'w':
        opt.w = (unsigned)strtoul(value, NULL, 10);
        return opt.w > 0;
    case 'b':
        opt.bytes = (unsigned)strtoul(value, NULL, 10);
        return opt.bytes > STAMP && opt.bytes <= 65536;
    case 't':
        opt.seconds = strtod(value, NULL);
        return opt.seconds > 0;
    case 'r':
        opt.rate = strtod(value, NULL);
        return true;
    case 'k':
        opt.stalled = (unsigned)strtoul(value, NULL, 10);
        return true;
    case 'c':
        opt.channels = value;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"server", 1, NULL, 's'},  {"app", 1, NULL, 'a'},      {"pid", 1, NULL, 'p'},
        {"bytes", 1, NULL, 'b'},   {"rate", 1, NULL, 'r'},     {"seconds", 1, NULL, 't'},
        {"stalled", 1, NULL, 'k'}, {"channels", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "n:w:", longs, NULL)) != -1;)
        if (!option_take(c, optarg))
            return help();
    if (optind + 1 != argc || !target.port || !target.app_id || !target.pid)
        return help();
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(argv[optind], scenarios[i].name) == 0) {
            scenarios[i].run();
            return 0;
        }
    return help();
}
