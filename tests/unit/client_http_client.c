/* unit/client_http_client.c - addresses, URLs and proxies are judged; requests run on the loop. */
#include "client/http_client.h"

#include "support/http_stub.h"
#include "support/loop_owners.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static bool allowed(const char *text, enum http_reach reach)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return http_address_allowed((struct sockaddr *)&v4, reach);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return http_address_allowed((struct sockaddr *)&v6, reach);
}

/* SEC-24, I8. */
static void sec24_addresses(void **state)
{
    (void)state;
    static const char *const never[] = {"0.0.0.0",
                                        "0.1.2.3",
                                        "169.254.169.254",
                                        "169.254.0.1",
                                        "224.0.0.1",
                                        "255.255.255.255",
                                        "240.0.0.1",
                                        "::",
                                        "fe80::1",
                                        "febf::1",
                                        "ff02::1",
                                        "fd00:ec2::254",
                                        "::169.254.1.1",
                                        "::ffff:0.0.0.0",
                                        "::ffff:169.254.169.254",
                                        "64:ff9b::a9fe:a9fe",
                                        "2002:a9fe:a9fe::",
                                        "::ffff:0:0.0.0.0",
                                        "::ffff:0:169.254.169.254"};
    static const char *const private_ones[] = {"127.0.0.1",
                                               "127.255.0.1",
                                               "10.0.0.1",
                                               "172.16.0.1",
                                               "172.31.255.1",
                                               "192.168.1.1",
                                               "100.64.0.1",
                                               "::1",
                                               "fc00::1",
                                               "fdff::1",
                                               "fec0::1",
                                               "::ffff:10.0.0.1",
                                               "64:ff9b::127.0.0.1",
                                               "2002:7f00:1::",
                                               "2001::1",
                                               "::127.0.0.1",
                                               "198.18.0.1",
                                               "192.0.0.8",
                                               "64:ff9b:1::a00:1"};
    static const char *const public_ones[] = {
        "8.8.8.8",   "172.32.0.1",     "172.15.0.1",      "100.128.0.1",    "192.167.1.1",
        "11.0.0.1",  "169.253.0.1",    "2606:4700::1111", "::ffff:8.8.8.8", "2001:db8::1",
        "223.0.0.1", "2002:808:808::", "64:ff9b::8.8.8.8"};
    for (size_t i = 0; i < COUNT_OF(never); i++)
        if (allowed(never[i], HTTP_HOSTS) || allowed(never[i], HTTP_PUBLIC) ||
            !allowed(never[i], HTTP_ANYWHERE))
            fail_msg("%s", never[i]);
    for (size_t i = 0; i < COUNT_OF(private_ones); i++)
        if (!allowed(private_ones[i], HTTP_HOSTS) || allowed(private_ones[i], HTTP_PUBLIC))
            fail_msg("%s", private_ones[i]);
    for (size_t i = 0; i < COUNT_OF(public_ones); i++)
        if (!allowed(public_ones[i], HTTP_HOSTS) || !allowed(public_ones[i], HTTP_PUBLIC))
            fail_msg("%s", public_ones[i]);
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    assert_false(http_address_allowed(&unix_socket, HTTP_HOSTS));
}

static void no_proxy_lists(void **state)
{
    (void)state;
    assert_true(http_no_proxy(S("*"), S("a.example")));
    assert_true(http_no_proxy(S("x, example.com"), S("example.com")));
    assert_true(http_no_proxy(S("example.com"), S("A.Example.com")));
    assert_true(http_no_proxy(S(".example.com"), S("a.example.com")));
    assert_true(http_no_proxy(S("::1,127.0.0.1"), S("[::1]")));
    assert_false(http_no_proxy(S("example.com"), S("badexample.com")));
    assert_false(http_no_proxy(S("a.example.com"), S("example.com")));
    assert_false(http_no_proxy(S(""), S("example.com")));
    assert_false(http_no_proxy(S(",, ,"), S("example.com")));
}

static void urls(void **state)
{
    (void)state;
    arena a = {0};
    struct http_url u, v;
    struct err e = {.kind = ERR_NONE};
    assert_true(http_url_parse(&a, S("https://u%40:p%3A@h.example?x=1#f"), &u, &e));
    assert_true(u.is_https && u.port == 443 && str_eq(u.host, S("h.example")));
    assert_true(str_eq(u.plain, S("https://h.example/?x=1")));
    assert_true(str_eq(u.user, S("u@")) && str_eq(u.password, S("p:")));
    assert_true(http_url_parse(&a, S("https://H.example:443/other"), &v, &e));
    assert_true(http_url_same_origin(&u, &v));
    assert_true(http_url_parse(&a, S("https://h.example:444/"), &v, &e));
    assert_false(http_url_same_origin(&u, &v));
    assert_true(http_url_parse(&a, S("http://h.example:443/"), &v, &e));
    assert_false(http_url_same_origin(&u, &v));
    assert_true(http_url_parse(&a, S("http://[::1]:8/x"), &u, &e));
    assert_true(str_eq(u.host, S("[::1]")) && u.port == 8);
    static const char *const bad[] = {"", "ftp://h/", "file:///etc/passwd", "http://",
                                      "http://h:0x1/"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(http_url_parse(&a, str_z(bad[i]), &u, &e));
    assert_false(http_url_parse(&a, str_of("http://h/\0x", 11), &u, &e));
    arena_finish(&a);
}

/* ---- requests ---- */

static struct {
    struct loop loop;
    struct http_stub stub;
    struct http_client *client;
    struct stub_answer say;
    bool narrows; /* HTTP_PUBLIC from the first request on, while it is under way */
    int64_t skew;
    int answers, status;
    enum err_kind kind;
    size_t body_n;
    bool is_complete;
    char header[64];
} t;

static struct stub_answer answer(void *ctx, const struct stub_request *r)
{
    (void)ctx, (void)r;
    if (t.narrows)
        http_client_set_reach(t.client, HTTP_PUBLIC);
    return t.say;
}

static int64_t clock_of(void *ctx)
{
    (void)ctx;
    return loop_clock_monotonic(NULL) + t.skew;
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    (void)ctx;
    t.answers++;
    t.status = a->status;
    t.kind = a->err.kind;
    t.body_n = a->body.n;
    t.is_complete = a->is_complete;
    t.header[0] = '\0';
    if (a->err.kind == ERR_NONE)
        snprintf(t.header, sizeof t.header, "%.*s", FMT(http_answer_header(a, "x-here")));
}

static void begin(void)
{
    struct err e = {.kind = ERR_NONE};
    memset(&t, 0, sizeof t);
    assert_true(loop_init(&t.loop, &idle_owner, NULL, clock_of, NULL, &e));
    http_stub_start(&t.stub, &t.loop, answer, NULL);
    t.client = http_client_create(&t.loop, HTTP_HOSTS, &e);
    assert_non_null(t.client);
}

static void finish(void)
{
    http_client_destroy(&t.client);
    http_stub_stop(&t.stub);
    loop_finish(&t.loop);
}

static struct http_call *request(const char *method, str body, int64_t timeout_ms)
{
    char url[64];
    struct err e = {.kind = ERR_NONE};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/x", t.stub.port);
    struct http_request r = {
        .method = str_z(method), .url = str_z(url), .body = body, .timeout_ms = timeout_ms};
    struct http_call *x = http_send(t.client, &r, on_answer, NULL, &e);
    assert_non_null(x);
    return x;
}

static void wait_answers(int n)
{
    int64_t end = loop_clock_monotonic(NULL) + 20000;
    while (t.answers < n && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    assert_int_equal(t.answers, n);
}

static void sends_and_reuses(void **state)
{
    (void)state;
    begin();
    t.say = (struct stub_answer){201, "X-Here: yes\r\n", "hello", 0};
    for (int i = 1; i <= 5; i++) {
        request(i % 2 ? "POST" : "DELETE", str_of("a\0b", 3), 10000);
        wait_answers(i);
        assert_int_equal(t.status, 201);
        assert_int_equal(t.body_n, 5);
        assert_true(t.is_complete);
        assert_string_equal(t.header, "yes");
    }
    assert_int_equal(t.stub.open_max, 1); /* one connection for all */
    assert_int_equal(t.stub.requests[0].body_n, 3);
    assert_true(str_starts(str_z(t.stub.requests[1].head), S("DELETE /x HTTP/1.1\r\n")));
    request("GET", S(""), 10000);
    wait_answers(6);
    assert_true(str_starts(str_z(t.stub.requests[5].head), S("GET /x HTTP/1.1\r\n")));
    assert_null(strstr(t.stub.requests[5].head, "Content-Length"));
    for (int i = 0; i < 50; i++)
        request("POST", S("x"), 10000);
    wait_answers(56);
    finish();
}

static void cuts_and_gives_up(void **state)
{
    (void)state;
    static char block[16 << 10];
    memset(block, 'x', sizeof block - 1);
    begin();
    t.say = (struct stub_answer){200, NULL, block, 640};
    request("POST", S("x"), 10000);
    wait_answers(1);
    assert_int_equal(t.status, 200);
    assert_int_equal(t.body_n, HTTP_BODY_MAX);
    assert_false(t.is_complete);
    t.say = (struct stub_answer){0};
    request("POST", S("x"), 100);
    wait_answers(2);
    assert_int_equal(t.kind, ERR_UNAVAILABLE);
    t.say = (struct stub_answer){200, NULL, "x", 1}; /* a head, then nothing more */
    request("POST", S("x"), 200);
    wait_answers(3);
    assert_int_equal(t.kind, ERR_NONE);
    assert_int_equal(t.status, 200);
    assert_false(t.is_complete);
    t.say.headers = "X-Last: 1\r\n\n"; /* libcurl takes such an end too */
    request("POST", S("x"), 200);
    wait_answers(4);
    assert_int_equal(t.kind, ERR_NONE);
    assert_int_equal(t.status, 200);
    char *head = mem_alloc(HTTP_HEAD_MAX + 100);
    memset(head, 'a', HTTP_HEAD_MAX + 100);
    memcpy(head, "X-Long: ", 8);
    memcpy(head + HTTP_HEAD_MAX + 97, "\r\n", 3);
    t.say = (struct stub_answer){200, head, NULL, 0};
    request("POST", S("x"), 5000);
    wait_answers(5);
    assert_int_equal(t.kind, ERR_UNAVAILABLE);
    free(head);
    finish();
}

/* A connection that was opened under another reach is not used again. */
static void reach_changes(void **state)
{
    (void)state;
    begin();
    t.say = (struct stub_answer){200, NULL, "x", 0};
    request("POST", S("x"), 10000);
    wait_answers(1);
    http_client_set_reach(t.client, HTTP_PUBLIC);
    request("POST", S("x"), 10000);
    wait_answers(2);
    assert_int_equal(t.kind, ERR_UNAVAILABLE);
    http_client_set_reach(t.client, HTTP_HOSTS);
    request("POST", S("x"), 10000);
    wait_answers(3);
    assert_int_equal(t.status, 200);
    finish();
}

/* Nor is one that was at work then, however late that ends. */
static void reach_changes_at_work(void **state)
{
    (void)state;
    begin();
    t.narrows = true;
    t.say = (struct stub_answer){200, NULL, "x", 0};
    request("POST", S("x"), 10000);
    wait_answers(1);
    assert_int_equal(t.status, 200);
    t.skew += (HTTP_IDLE_S + 2) * 1000;
    loop_turn(&t.loop, 0);
    request("POST", S("x"), 10000);
    wait_answers(2);
    assert_int_equal(t.kind, ERR_UNAVAILABLE);
    assert_int_equal(t.stub.count, 1);
    finish();
}

static void cancels(void **state)
{
    (void)state;
    begin();
    struct http_call *x = request("POST", S("x"), 10000), *y = request("POST", S("y"), 10000);
    http_cancel(&x);
    assert_null(x);
    int64_t end = loop_clock_monotonic(NULL) + 20000;
    while (t.stub.count < 1 && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    http_cancel(&y);
    request("POST", S("z"), 10000);
    finish(); /* with one under way */
    assert_int_equal(t.answers, 0);
}

/* The kernel watches no further socket: that request may fail, others go on. */
static void survives_a_full_kernel(void **state)
{
    (void)state;
    begin();
    int poll_fd = t.loop.epoll_fd;
    t.say = (struct stub_answer){200, NULL, "x", 0};
    request("POST", S("x"), 300);
    t.loop.epoll_fd = -1;
    for (int i = 0; i < 3; i++)
        loop_turn(&t.loop, 0);
    t.loop.epoll_fd = poll_fd;
    wait_answers(1); /* whatever it is */
    request("POST", S("x"), 10000);
    wait_answers(2);
    assert_int_equal(t.status, 200);
    finish();
}

static void refuses_what_cannot_be_sent(void **state)
{
    (void)state;
    begin();
    struct http_header bad[] = {{S("A\r\nB"), S("x")}, {S("A"), S("x\nB: y")}, {S(""), S("x")}};
    struct err e = {.kind = ERR_NONE};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct http_request r = {.method = S("POST"),
                                 .url = S("http://127.0.0.1:1/"),
                                 .headers = &bad[i],
                                 .header_count = 1,
                                 .timeout_ms = 100};
        assert_null(http_send(t.client, &r, on_answer, NULL, &e));
        assert_int_equal(e.kind, ERR_INVALID);
    }
    struct http_request r = {.method = S("POST"), .url = S("gopher://h/"), .timeout_ms = 100};
    assert_null(http_send(t.client, &r, on_answer, NULL, &e));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sec24_addresses),
                                       cmocka_unit_test(no_proxy_lists),
                                       cmocka_unit_test(urls),
                                       cmocka_unit_test(sends_and_reuses),
                                       cmocka_unit_test(cuts_and_gives_up),
                                       cmocka_unit_test(reach_changes),
                                       cmocka_unit_test(reach_changes_at_work),
                                       cmocka_unit_test(cancels),
                                       cmocka_unit_test(survives_a_full_kernel),
                                       cmocka_unit_test(refuses_what_cannot_be_sent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
