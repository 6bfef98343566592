#include "client/http_client.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { KEPT_CONNECTIONS = 256 };

struct http_client {
    struct loop *loop;
    enum http_reach reach;
    int64_t fresh_until_ms; /* no kept connection is used: they were judged by another reach */
    CURLM *multi;
    struct alarm timer;
    struct http_call *calls;
    const char *proxy_http, *proxy_https, *no_proxy; /* of the environment, or NULL */
    const char *ca_file, *ca_dir;
};
struct http_call {
    struct http_client *client;
    struct http_call *next, **prev;
    CURL *easy;
    struct curl_slist *headers;
    http_fn *fn;
    void *ctx;
    struct buf body;
    size_t head_bytes;
    bool has_head;   /* of a final response, complete */
    bool is_cut;     /* the body is longer than we read */
    bool is_proxied; /* the proxy judges addresses */
    bool is_refused; /* an address was out of reach */
};
struct watch { /* one socket of libcurl */
    struct http_client *client;
    curl_socket_t fd;
    uint64_t key;
};

/* ---- addresses ---- */

static bool in_v4(uint32_t ip, uint32_t net, unsigned bits)
{
    return ip >> (32 - bits) == net >> (32 - bits);
}

static bool v4_allowed(uint32_t ip, enum http_reach reach)
{
    static const struct {
        uint32_t net;
        unsigned bits;
        enum http_reach from; /* refused from this reach on */
    } refused[] = {
        {0x00000000, 8, HTTP_HOSTS},   {0xA9FE0000, 16, HTTP_HOSTS},  {0xE0000000, 4, HTTP_HOSTS},
        {0xF0000000, 4, HTTP_HOSTS},   {0x7F000000, 8, HTTP_PUBLIC},  {0x0A000000, 8, HTTP_PUBLIC},
        {0xAC100000, 12, HTTP_PUBLIC}, {0xC0A80000, 16, HTTP_PUBLIC}, {0x64400000, 10, HTTP_PUBLIC},
        {0xC0000000, 24, HTTP_PUBLIC}, {0xC6120000, 15, HTTP_PUBLIC}};
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (reach >= refused[i].from && in_v4(ip, refused[i].net, refused[i].bits))
            return false;
    return true;
}

struct prefix6 {
    uint8_t bytes[16];
    unsigned n; /* bits */
};

static bool in_v6(const uint8_t ip[16], const struct prefix6 *p)
{
    unsigned whole = p->n / 8, rest = p->n % 8;
    return memcmp(ip, p->bytes, whole) == 0 &&
           (rest == 0 || (ip[whole] ^ p->bytes[whole]) >> (8 - rest) == 0);
}

static uint32_t v4_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool v6_allowed(const uint8_t ip[16], enum http_reach reach)
{
    static const struct prefix6 always[] = {
        {{0xFE, 0x80}, 10},
        {{0xFF}, 8},
        {{0xFD, 0, 0x0E, 0xC2, [14] = 2, [15] = 0x54}, 128}, /* fd00:ec2::254: metadata */
        {{[15] = 0x00}, 128}};
    static const struct prefix6 private_ones[] = {{{[15] = 1}, 128},
                                                  {{0xFC}, 7},
                                                  {{0xFE, 0xC0}, 10},
                                                  {{0x20, 0x01, 0, 0}, 32}, /* Teredo */
                                                  {{0, 0x64, 0xFF, 0x9B, 0, 1}, 48}};
    static const struct {
        struct prefix6 prefix;
        unsigned at; /* where the IPv4 address stands */
    } embedded[] = {{{{[10] = 0xFF, 0xFF}, 96}, 12},
                    {{{[8] = 0xFF, 0xFF}, 96}, 12},
                    {{{0, 0x64, 0xFF, 0x9B}, 96}, 12},
                    {{{0x20, 0x02}, 16}, 2},
                    {{{0}, 96}, 12}};
    static const struct prefix6 loopback = {{[15] = 1}, 128};
    if (reach == HTTP_ANYWHERE)
        return true;
    for (size_t i = 0; i < COUNT_OF(always); i++)
        if (in_v6(ip, &always[i]))
            return false;
    for (size_t i = 0; reach == HTTP_PUBLIC && i < COUNT_OF(private_ones); i++)
        if (in_v6(ip, &private_ones[i]))
            return false;
    if (in_v6(ip, &loopback))
        return true;
    for (size_t i = 0; i < COUNT_OF(embedded); i++)
        if (in_v6(ip, &embedded[i].prefix))
            return v4_allowed(v4_at(ip + embedded[i].at), reach);
    return true;
}

bool http_address_allowed(const struct sockaddr *sa, enum http_reach reach)
{
    if (sa->sa_family == AF_INET)
        return v4_allowed(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr),
                          reach);
    if (sa->sa_family == AF_INET6)
        return v6_allowed(((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr,
                          reach);
    return false;
}

/* ---- URLs and proxies ---- */

static str url_part(arena *a, CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
        return S("");
    str copy = arena_str(a, str_z(text));
    curl_free(text);
    return copy;
}

bool http_url_parse(arena *a, str url, struct http_url *out, struct err *e)
{
    CURLU *u = curl_url();
    CHECK(u != NULL);
    str z = arena_str(a, url);
    uint64_t port = 0;
    bool ok = strlen(z.p) == z.n && curl_url_set(u, CURLUPART_URL, z.p, 0) == CURLUE_OK;
    if (ok) {
        *out = (struct http_url){.host = url_part(a, u, CURLUPART_HOST, 0),
                                 .user = url_part(a, u, CURLUPART_USER, CURLU_URLDECODE),
                                 .password = url_part(a, u, CURLUPART_PASSWORD, CURLU_URLDECODE)};
        str scheme = url_part(a, u, CURLUPART_SCHEME, 0);
        out->is_https = str_eq(scheme, S("https"));
        ok = (out->is_https || str_eq(scheme, S("http"))) && out->host.n > 0 &&
             str_u64(url_part(a, u, CURLUPART_PORT, CURLU_DEFAULT_PORT), UINT16_MAX, &port);
        out->port = (uint16_t)port;
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        out->plain = url_part(a, u, CURLUPART_URL, 0);
    }
    curl_url_cleanup(u);
    return ok || err_set(e, ERR_INVALID, "no http or https URL");
}

bool http_url_same_origin(const struct http_url *a, const struct http_url *b)
{
    return a->is_https == b->is_https && a->port == b->port && str_eq_nocase(a->host, b->host);
}

static bool host_is_below(str host, str domain)
{
    if (domain.n > 0 && domain.p[0] == '.')
        domain = str_from(domain, 1);
    if (domain.n == 0 || host.n < domain.n)
        return false;
    str tail = str_from(host, host.n - domain.n);
    return str_eq_nocase(tail, domain) &&
           (tail.n == host.n || host.p[host.n - domain.n - 1] == '.');
}

bool http_no_proxy(str list, str host)
{
    if (host.n > 2 && host.p[0] == '[')
        host = str_of(host.p + 1, host.n - 2);
    for (size_t at = 0, end; at < list.n; at = end + 1) {
        for (end = at; end < list.n && list.p[end] != ',' && list.p[end] != ' ';)
            end++;
        str entry = str_of(list.p + at, end - at);
        if (str_eq(entry, S("*")) || host_is_below(host, entry))
            return true;
    }
    return false;
}

static const char *environment(const char *const names[2])
{
    for (int i = 0; i < 2; i++) {
        const char *v = getenv(names[i]);
        if (v != NULL && v[0] != '\0')
            return v;
    }
    return NULL;
}

static void read_environment(struct http_client *c)
{
    const char *all = environment((const char *const[]){"all_proxy", "ALL_PROXY"});
    c->proxy_http = environment((const char *const[]){"http_proxy", "HTTP_PROXY"});
    c->proxy_https = environment((const char *const[]){"https_proxy", "HTTPS_PROXY"});
    c->no_proxy = environment((const char *const[]){"no_proxy", "NO_PROXY"});
    c->proxy_http = c->proxy_http ? c->proxy_http : all;
    c->proxy_https = c->proxy_https ? c->proxy_https : all;
    c->ca_file = environment((const char *const[]){"SSL_CERT_FILE", "CURL_CA_BUNDLE"});
    c->ca_dir = getenv("SSL_CERT_DIR");
}

/* ---- libcurl and the loop ---- */

static void call_free(struct http_call *x)
{
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    curl_multi_remove_handle(x->client->multi, x->easy);
    curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->headers);
    buf_finish(&x->body);
    free(x);
}

static void answer_fill(struct http_call *x, CURLcode result, struct http_answer *a)
{
    long status = 0;
    curl_off_t us = 0, after = 0;
    char *redirect = NULL;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_TOTAL_TIME_T, &us);
    curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &after);
    curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &redirect);
    *a = (struct http_answer){.status = (int)status,
                              .body = buf_str(&x->body),
                              .is_complete = result == CURLE_OK && !x->is_cut,
                              .redirect = redirect ? str_z(redirect) : S(""),
                              .retry_after_s = after,
                              .duration_ms = (double)us / 1000,
                              .easy = x->easy};
    if (x->has_head || (result == CURLE_OK && status > 0))
        return;
    a->status = 0;
    /* libcurl's own sentence: its longer ones may quote the URL. */
    if (x->is_refused)
        err_set(&a->err, ERR_UNAVAILABLE, "the address is not allowed");
    else if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
        err_set(&a->err, ERR_INVALID, "%s", curl_easy_strerror(result));
    else
        err_set(&a->err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(result));
}

/* A callback may send and cancel: the list of messages is asked anew each time. */
static void finish_done(struct http_client *c)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct http_call *x = NULL;
        struct http_answer a;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
        answer_fill(x, m->data.result, &a);
        x->fn(x->ctx, &a);
        call_free(x);
    }
}

static void act(struct http_client *c, curl_socket_t fd, int what)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(c->multi, fd, what, &running);
    CHECK(rc == CURLM_OK);
    finish_done(c);
}

static void on_events(void *ctx, uint32_t events)
{
    const struct watch *w = ctx;
    int what = 0;
    if (events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    act(w->client, w->fd, what);
}

static void watch_end(struct watch *w)
{
    loop_unwatch(w->client->loop, w->fd, w->key);
    curl_multi_assign(w->client->multi, w->fd, NULL);
    free(w);
}

/* Without room in the kernel for one more watch the request runs into its timeout: what libcurl
 * does with an error is to give up all of them, for ever. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    (void)easy;
    struct http_client *c = ctx;
    struct watch *w = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL)
            watch_end(w);
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (w != NULL) {
        loop_rewatch(c->loop, fd, events, w->key);
        return 0;
    }
    w = mem_alloc(sizeof *w);
    *w = (struct watch){.client = c, .fd = fd};
    if (!loop_watch(c->loop, fd, events, on_events, w, &w->key, NULL)) {
        free(w);
        return 0;
    }
    curl_multi_assign(c->multi, fd, w);
    return 0;
}

/* 0 ms is the next turn, not the next millisecond (P13). */
static int on_timer_change(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct http_client *c = ctx;
    if (ms < 0)
        alarm_stop(&c->loop->alarms, &c->timer);
    else
        loop_alarm(c->loop, &c->timer, c->loop->now_ms + ms);
    return 0;
}

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void init_library(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

struct http_client *http_client_create(struct loop *loop, enum http_reach reach, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    struct http_client *c = mem_zero(sizeof *c);
    c->loop = loop;
    c->reach = reach;
    c->timer = (struct alarm){.fn = on_timer, .ctx = c};
    c->multi = curl_multi_init();
    if (c->multi == NULL) {
        err_set(e, ERR_SYSTEM, "cannot start libcurl");
        free(c);
        return NULL;
    }
    read_environment(c);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return c;
}

void http_client_destroy(struct http_client **c)
{
    struct http_client *gone = *c;
    *c = NULL;
    if (gone == NULL)
        return;
    while (gone->calls != NULL)
        call_free(gone->calls);
    curl_multi_cleanup(gone->multi);
    alarm_stop(&gone->loop->alarms, &gone->timer);
    free(gone);
}

/* Connections that are kept now are too old for another use when the time is over; those that are
 * at work would be younger, so they are not kept. */
void http_client_set_reach(struct http_client *c, enum http_reach reach)
{
    if (reach == c->reach)
        return;
    c->reach = reach;
    c->fresh_until_ms = c->loop->now_ms + (HTTP_IDLE_S + 1) * 1000;
    for (struct http_call *x = c->calls; x != NULL; x = x->next)
        curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* ---- one request ---- */

static size_t on_head(char *p, size_t size, size_t n, void *ctx)
{
    struct http_call *x = ctx;
    long status = 0;
    x->head_bytes += size * n;
    if (x->head_bytes > HTTP_HEAD_MAX)
        return 0;
    bool is_empty = n > 0 && p[0] == (n == 1 ? '\n' : '\r'); /* libcurl takes LF alone too */
    if (is_empty && n <= 2) {
        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        x->has_head = status >= 200;
    }
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct http_call *x = ctx;
    size_t room = HTTP_BODY_MAX - x->body.n;
    x->is_cut = size * n > room;
    buf_add(&x->body, str_of(p, x->is_cut ? room : size * n));
    return x->is_cut ? 0 : size * n; /* 0 ends the transfer */
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *x = ctx;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        (!x->is_proxied && !http_address_allowed(&a->addr, x->client->reach))) {
        x->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

static bool is_one_line(str s)
{
    return memchr(s.p, '\r', s.n) == NULL && memchr(s.p, '\n', s.n) == NULL &&
           memchr(s.p, '\0', s.n) == NULL;
}

static bool add_header(struct http_call *x, str name, str value)
{
    struct buf line;
    buf_init(&line, HTTP_HEAD_MAX);
    /* "Name;" is libcurl's way to say that it has no value; "Name:" would remove it. */
    if (value.n == 0)
        buf_printf(&line, "%.*s;", FMT(name));
    else
        buf_printf(&line, "%.*s: %.*s", FMT(name), FMT(value));
    bool ok = is_one_line(name) && is_one_line(value) && name.n > 0 && buf_char(&line, '\0');
    struct curl_slist *longer = ok ? curl_slist_append(x->headers, line.p) : NULL;
    if (longer != NULL)
        x->headers = longer;
    buf_finish(&line);
    return longer != NULL;
}

static bool add_headers(struct http_call *x, const struct http_request *r)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (!add_header(x, r->headers[i].name, r->headers[i].value))
            return false;
    struct curl_slist *longer = curl_slist_append(x->headers, "Expect:");
    x->headers = longer ? longer : x->headers;
    return curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers) == CURLE_OK;
}

static void set_proxy(struct http_call *x, const struct http_url *url)
{
    const struct http_client *c = x->client;
    const char *proxy = url->is_https ? c->proxy_https : c->proxy_http;
    if (proxy != NULL && c->no_proxy != NULL && http_no_proxy(str_z(c->no_proxy), url->host))
        proxy = NULL;
    x->is_proxied = proxy != NULL;
    curl_easy_setopt(x->easy, CURLOPT_PROXY, proxy ? proxy : ""); /* "": whatever curl would find */
    curl_easy_setopt(x->easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(x->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_rules(struct http_call *x)
{
    const struct http_client *c = x->client;
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a stuck name look-up */
    curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x->easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(x->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(x->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(x->easy, CURLOPT_MAXAGE_CONN, (long)HTTP_IDLE_S);
    curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, c->loop->now_ms < c->fresh_until_ms ? 1L : 0L);
    curl_easy_setopt(x->easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    if (c->ca_file != NULL)
        curl_easy_setopt(x->easy, CURLOPT_CAINFO, c->ca_file);
    if (c->ca_dir != NULL)
        curl_easy_setopt(x->easy, CURLOPT_CAPATH, c->ca_dir);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
}

static bool set_request(struct http_call *x, const struct http_request *r, struct err *e)
{
    arena a = {0};
    struct http_url url;
    if (!http_url_parse(&a, r->url, &url, e)) {
        arena_finish(&a);
        return false;
    }
    set_rules(x);
    set_proxy(x, &url);
    bool has_body = !str_eq(r->method, S("GET")) && !str_eq(r->method, S("HEAD"));
    bool ok = add_headers(x, r) && curl_easy_setopt(x->easy, CURLOPT_URL, url.plain.p) == CURLE_OK;
    if (has_body)
        ok = ok &&
             curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n) ==
                 CURLE_OK &&
             curl_easy_setopt(x->easy, CURLOPT_COPYPOSTFIELDS, r->body.n ? r->body.p : "") ==
                 CURLE_OK;
    if (!str_eq(r->method, S("GET")) && !str_eq(r->method, S("POST")))
        ok = ok && curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, arena_str(&a, r->method).p) ==
                       CURLE_OK;
    curl_easy_setopt(x->easy, CURLOPT_NOBODY, str_eq(r->method, S("HEAD")) ? 1L : 0L);
    curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
    curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->timeout_ms);
    arena_finish(&a);
    return ok || err_set(e, ERR_INVALID, "a request that cannot be sent");
}

struct http_call *http_send(struct http_client *c, const struct http_request *request, http_fn *fn,
                            void *ctx, struct err *e)
{
    struct http_call *x = mem_zero(sizeof *x);
    *x = (struct http_call){.client = c, .fn = fn, .ctx = ctx, .easy = curl_easy_init()};
    CHECK(x->easy != NULL);
    buf_init(&x->body, HTTP_BODY_MAX);
    x->next = c->calls;
    x->prev = &c->calls;
    if (x->next)
        x->next->prev = &x->next;
    c->calls = x;
    if (!set_request(x, request, e)) {
        call_free(x);
        return NULL;
    }
    CHECK(curl_multi_add_handle(c->multi, x->easy) == CURLM_OK);
    return x;
}

void http_cancel(struct http_call **call)
{
    struct http_call *gone = *call;
    *call = NULL;
    if (gone != NULL)
        call_free(gone);
}

str http_answer_header(const struct http_answer *a, const char *name)
{
    struct curl_header *h;
    if (curl_easy_header(a->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return S("");
    return str_z(h->value);
}
