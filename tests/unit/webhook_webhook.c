/* unit/webhook_webhook.c - from an event to the request, against a server on the same loop.
 *
 * The loop's clock and the wall clock jump as the tests say; libcurl's own does not.
 */
#include "webhook/webhook.h"

#include "base/crypto.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "support/app_scripted.h"
#include "support/http_stub.h"
#include "support/loop_owners.h"
#include "support/queue_scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { APPS = 64, PATIENCE_MS = 20000 };
static const int64_t wall_base = 1790000000123;

static struct {
    struct loop loop;
    struct queue *queue;
    struct app_manager *apps;
    struct webhooks *webhooks;
    struct http_stub stub;
    struct app *app[APPS];
    size_t app_count;
    int64_t skew, wall;
    struct stub_answer plan[STUB_REQUESTS]; /* by number of the request; status 0: plan_rest */
    struct stub_answer rest;
    const char *hang_path; /* requests to paths that begin so get no answer */
    bool fails_every_third;
    bool denies_after_first; /* private addresses, from the first request on */
} t;

static int64_t clock_of(void *ctx)
{
    (void)ctx;
    return loop_clock_monotonic(NULL) + t.skew;
}

static int64_t wall_of(void *ctx)
{
    (void)ctx;
    return t.wall;
}

static void jump(int64_t ms)
{
    t.skew += ms;
    t.wall += ms;
}

static void deny_private(void);

static struct stub_answer answer(void *ctx, const struct stub_request *r)
{
    (void)ctx;
    char path[64] = "";
    size_t i = t.stub.count - 1;
    if (t.denies_after_first)
        deny_private();
    if (sscanf(r->head, "POST %63s", path) == 1 && t.hang_path &&
        strncmp(path, t.hang_path, strlen(t.hang_path)) == 0)
        return (struct stub_answer){0};
    if (t.fails_every_third) {
        str id = http_stub_header(r, "X-Webhook-Id", NULL);
        size_t tries = 0;
        for (size_t k = 0; k < i; k++)
            tries += str_eq(http_stub_header(&t.stub.requests[k], "X-Webhook-Id", NULL), id);
        const char *number = strstr(r->body, "\"c-");
        if (tries == 0 && number && atoi(number + 3) % 3 == 0)
            return (struct stub_answer){.status = 500};
    }
    return t.plan[i].status ? t.plan[i] : t.rest;
}

static struct app *add_app(const char *id)
{
    struct app *a = app_create();
    a->id = arena_str(&a->memory, str_z(id));
    a->key = arena_str(&a->memory, str_z(arena_printf(&a->memory, "k-%s", id)));
    a->secret = arena_str(&a->memory, S("s-9f2b-orchard"));
    a->webhooks = arena_zero(&a->memory, 8 * sizeof *a->webhooks);
    return t.app[t.app_count++] = a;
}

static struct app_webhook *add_hook(struct app *a, const char *path, uint32_t events)
{
    struct app_webhook *h = &a->webhooks[a->webhook_count++];
    h->url = str_z(arena_printf(&a->memory, "http://127.0.0.1:%u%s", t.stub.port, path));
    h->events = events;
    h->retry.enabled = true;
    app_count_webhook_events(a);
    return h;
}

static const struct webhook_options defaults = {
    .batching = true,
    .batch_ms = 50,
    .batch_size = 100,
    .request_timeout_ms = 10000,
    .retry = {true, 0, 300000, 1000, 60000},
    .wall_ms = wall_of,
};

static void deny_private(void)
{
    struct webhook_options opt = defaults;
    opt.deny_private = true;
    webhooks_configure(t.webhooks, &opt);
}

static void begin(void)
{
    memset(&t, 0, sizeof t);
    t.wall = wall_base;
    t.rest.status = 200;
    assert_true(loop_init(&t.loop, &idle_owner, NULL, clock_of, NULL, NULL));
    http_stub_start(&t.stub, &t.loop, answer, NULL);
}

static void run_queue(struct webhook_options opt, const struct queue_driver *driver)
{
    struct err e = {.kind = ERR_NONE};
    struct app_manager_options apps = {.apps = t.app, .app_count = t.app_count};
    struct queue_options queue = {.driver = S("memory"), .loop = &t.loop, .failed_retention = 1000};
    t.apps = app_manager_create_with(&app_scripted, &apps, &e);
    t.queue = driver ? queue_create_with(driver, &queue, &e) : queue_create(&queue, &e);
    t.webhooks = webhooks_create(&t.loop, t.queue, t.apps, &opt, &e);
    assert_non_null(t.webhooks);
}

static void run(struct webhook_options opt)
{
    run_queue(opt, NULL);
}

static void finish(void)
{
    webhooks_destroy(&t.webhooks);
    queue_destroy(&t.queue);
    app_manager_destroy(&t.apps);
    for (size_t i = 0; i < t.app_count; i++)
        app_unref(&t.app[i]);
    http_stub_stop(&t.stub);
    loop_finish(&t.loop);
}

static void tell(str app, enum app_webhook_event kind, const char *channel)
{
    struct channel_event e = {.kind = kind, .app = app, .channel = str_z(channel), .count = 3};
    if (kind == WEBHOOK_MEMBER_ADDED || kind == WEBHOOK_MEMBER_REMOVED)
        e.user_id = S("u-7");
    webhook_tell(t.webhooks, NULL, &e);
}

static void turns(int n)
{
    while (n-- > 0)
        loop_turn(&t.loop, 1);
}

/* Until so many requests have come; nothing is done when the time is over: asserts tell. */
static void wait_requests(size_t n)
{
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    while (t.stub.count < n && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    assert_true(t.stub.count >= n);
}

static void wait_idle(void)
{
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    while (!queue_is_drained(t.queue) && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    assert_true(queue_is_drained(t.queue));
}

/* Until nothing is under way; what waits for its time may stay. */
static void settle(void)
{
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    turns(4);
    while (loop_clock_monotonic(NULL) < end) {
        struct queue_counts c = queue_count(t.queue);
        if (c.active + c.waiting == 0)
            return;
        loop_turn(&t.loop, 10);
    }
    fail_msg("requests that do not end");
}

static size_t events_in(const struct stub_request *r)
{
    size_t n = 0;
    for (const char *p = r->body; (p = strstr(p, "{\"name\":")) != NULL; p++)
        n++;
    return n;
}

static bool signed_with(const struct stub_request *r, const char *secret)
{
    uint8_t mac[HMAC_BYTES];
    char hex[HMAC_HEX];
    struct hmac *key = hmac_create(str_z(secret));
    str body = str_of(r->body, r->body_n);
    hmac_sign(key, &body, 1, mac);
    hmac_destroy(&key);
    crypto_hex(mac, sizeof mac, hex);
    return str_eq(http_stub_header(r, "X-Pusher-Signature", NULL), str_of(hex, sizeof hex));
}

static void has_header(const struct stub_request *r, const char *name, const char *value)
{
    int count;
    str v = http_stub_header(r, name, &count);
    assert_int_equal(count, 1);
    assert_int_equal(v.n, strlen(value));
    assert_memory_equal(v.p, value, v.n);
}

static str job_id(size_t request)
{
    return http_stub_header(&t.stub.requests[request], "X-Webhook-Id", NULL);
}

/* ---- requests ---- */

/* HOOK-1 */
static void hook1_worked_examples(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("orchard");
    add_hook(a, "/hooks/pusher?src=a", 0x7f);
    run(defaults);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "news");
    turns(1);
    jump(60);
    wait_requests(1);
    wait_idle();
    const struct stub_request *r = &t.stub.requests[0];
    assert_string_equal(r->body, "{\"time_ms\":1790000000123,\"events\":[{\"name\":"
                                 "\"channel_occupied\",\"channel\":\"news\"}]}");
    has_header(r, "X-Pusher-Signature",
               "35fb58e6b84523705c8e788f08857bfbd57e5b4f504186616243d986e4ff3be3");
    has_header(r, "Content-Type", "application/json");
    has_header(r, "X-Pusher-Key", "k-orchard");
    has_header(r, "Content-Length", "81");
    has_header(r, "User-Agent", "sockudo/" SOCKUDO_VERSION);
    assert_true(str_starts(str_z(r->head), S("POST /hooks/pusher?src=a HTTP/1.1\r\n")));
    assert_null(strstr(r->head, "Expect"));

    t.wall = 1790000000456;
    tell(a->id, WEBHOOK_MEMBER_ADDED, "presence-crew");
    struct channel_event e = {.kind = WEBHOOK_CLIENT_EVENT,
                              .app = a->id,
                              .channel = S("presence-crew"),
                              .event = S("client-typing"),
                              .data = S("\"{\\\"on\\\":true}\""),
                              .socket_id = S("301.42"),
                              .user_id = S("u-7")};
    webhook_tell(t.webhooks, NULL, &e);
    turns(1);
    jump(60);
    wait_requests(2);
    wait_idle();
    assert_int_equal(t.stub.requests[1].body_n, 236);
    has_header(&t.stub.requests[1], "X-Pusher-Signature",
               "8c2e7213b2da0fc2fe67a0f3f633b6d93bbe486ad5c7f0f294dc885f2affd7ca");
    assert_int_equal(METRICS_SUM_APP(a->id, webhook_events[label_webhook_event_OCCUPIED]), 1);
    finish();
}

/* HOOK-6 */
static void hook6_keeps_text_readable(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("six");
    add_hook(a, "/", 0x7f);
    run(defaults);
    struct channel_event e = {.kind = WEBHOOK_CLIENT_EVENT,
                              .app = a->id,
                              .channel = S("private-x"),
                              .event = S("client-a"),
                              .data = S("\"a\\/b \\u00e9\xC3\xA9\\n\""),
                              .socket_id = S("1.1")};
    webhook_tell(t.webhooks, NULL, &e);
    turns(1);
    jump(60);
    wait_requests(1);
    assert_non_null(strstr(t.stub.requests[0].body, "\"data\":\"a/b \xC3\xA9\xC3\xA9\\n\""));
    assert_null(strstr(t.stub.requests[0].body, "user_id"));
    assert_true(signed_with(&t.stub.requests[0], "s-9f2b-orchard"));
    wait_idle();
    finish();
}

/* A full mailbox refuses, and says so to who could tell it again. */
static void full_mailbox_refuses(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("full");
    add_hook(a, "/", 0x7f);
    run(defaults);
    struct channel_event e = {.kind = WEBHOOK_CHANNEL_VACATED, .app = a->id, .channel = S("c")};
    atomic_fetch_add(&t.loop.mailbox.count, MAILBOX_SOFT_COUNT);
    assert_false(webhook_tell(t.webhooks, NULL, &e));
    atomic_fetch_sub(&t.loop.mailbox.count, MAILBOX_SOFT_COUNT);
    assert_true(webhook_tell(t.webhooks, NULL, &e));
    turns(1);
    jump(60);
    wait_requests(1);
    wait_idle();
    finish();
}

/* HOOK-4, HOOK-9 */
static void hook4_hook9_headers_and_urls(void **state)
{
    (void)state;
    struct app_header own[] = {{S("Authorization"), S("Bearer x")}, {S("X-Empty"), S("")}};
    begin();
    struct app *a = add_app("nine");
    struct app_webhook *h = add_hook(a, "/", 0x7f);
    h->headers = own;
    h->header_count = 2;
    h->url = str_z(arena_printf(&a->memory, "http://127.0.0.1:%u", t.stub.port));
    h = add_hook(a, "/", 0x7f);
    h->url = str_z(
        arena_printf(&a->memory, "http://us%%40er:pa%%3Ass@127.0.0.1:%u/p?q=1#frag", t.stub.port));
    run(defaults);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(2);
    wait_idle();
    const struct stub_request *plain = &t.stub.requests[0], *user = &t.stub.requests[1];
    if (strstr(plain->head, "/p?q=1") != NULL) {
        plain = &t.stub.requests[1];
        user = &t.stub.requests[0];
    }
    char host[32];
    snprintf(host, sizeof host, "127.0.0.1:%u", t.stub.port);
    assert_true(str_starts(str_z(plain->head), S("POST / HTTP/1.1\r\n")));
    has_header(plain, "Authorization", "Bearer x");
    has_header(plain, "X-Empty", "");
    has_header(plain, "Host", host);
    assert_true(str_starts(str_z(user->head), S("POST /p?q=1 HTTP/1.1\r\n")));
    has_header(user, "Authorization", "Basic dXNAZXI6cGE6c3M="); /* us@er:pa:ss */
    has_header(user, "Host", host);
    finish();
}

/* HOOK-11 */
static void hook11_redirects(void **state)
{
    (void)state;
    char there[64];
    struct app_header own[] = {{S("Authorization"), S("Bearer x")}, {S("X-Own"), S("1")}};
    begin();
    struct app *a = add_app("eleven");
    struct app_webhook *h = add_hook(a, "/a", 0x7f);
    h->headers = own;
    h->header_count = 2;
    run(defaults);
    t.plan[0] = (struct stub_answer){307, "Location: /b\r\n", NULL, 0};
    snprintf(there, sizeof there, "Location: http://localhost:%u/c\r\n", t.stub.port);
    t.plan[1] = (struct stub_answer){308, there, NULL, 0};
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(3);
    wait_idle();
    const struct stub_request *r = t.stub.requests;
    assert_true(str_starts(str_z(r[1].head), S("POST /b ")));
    has_header(&r[1], "Authorization", "Bearer x");
    has_header(&r[1], "X-Own", "1");
    assert_true(str_starts(str_z(r[2].head), S("POST /c ")));
    assert_int_equal(http_stub_header(&r[2], "Authorization", NULL).n, 0); /* SEC-24 */
    assert_int_equal(http_stub_header(&r[2], "X-Own", NULL).n, 0);
    assert_string_equal(r[2].body, r[0].body);
    assert_true(signed_with(&r[2], "s-9f2b-orchard"));
    t.plan[3] = (struct stub_answer){302, "Location: /d\r\n", NULL, 0};
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(4);
    settle();
    assert_int_equal(t.stub.count, 4); /* no GET */
    assert_int_equal(queue_count(t.queue).dead, 1);
    t.rest = (struct stub_answer){307, "Location: /e\r\n", NULL, 0}; /* for ever */
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(10);
    settle();
    assert_int_equal(t.stub.count, 4 + 6);
    assert_int_equal(queue_count(t.queue).dead, 2);
    finish();
}

/* HOOK-12 */
static void hook12_endless_answers(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("twelve");
    struct app_webhook *h = add_hook(a, "/", 0x7f);
    h->request_timeout_ms = 200;
    h->retry.is_set = true;
    h->retry.enabled = false;
    run(defaults);
    static char block[16 << 10];
    memset(block, 'x', sizeof block - 1);
    t.plan[0] = (struct stub_answer){200, NULL, block, 640};
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(1);
    wait_idle();
    assert_int_equal(queue_count(t.queue).dead, 0); /* 200 is 200, the rest is cut */
    t.hang_path = "/";
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(2);
    settle();
    assert_int_equal(queue_count(t.queue).dead, 1);
    finish();
}

/* SEC-24: the address decides, whatever the name. */
static void sec24_private_addresses(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://localhost:%u/", "http://2130706433:%u/",
                                       "http://[::ffff:127.0.0.1]:%u/", "http://0x7f.1:%u/",
                                       "http://0.0.0.0:%u/"};
    begin();
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct app *a = add_app((const char *[]){"s0", "s1", "s2", "s3", "s4"}[i]);
        struct app_webhook *h = add_hook(a, "/", 0x7f);
        char *url = mem_alloc(64);
        snprintf(url, 64, urls[i], t.stub.port);
        h->url = arena_str(&a->memory, str_z(url));
        free(url);
        h->retry.is_set = true;
        h->retry.enabled = false;
    }
    struct webhook_options opt = defaults;
    opt.deny_private = true;
    run(opt);
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        tell(t.app[i]->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    while (queue_count(t.queue).dead < COUNT_OF(urls) && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    assert_int_equal(queue_count(t.queue).dead, COUNT_OF(urls));
    assert_int_equal(t.stub.open_max, 0);
    finish();
}

/* One delivery that is answered with a redirect there and is not tried again. */
static void redirected_once_to(const char *where)
{
    char location[96];
    begin();
    struct app_webhook *h = add_hook(add_app("hop"), "/", 0x7f);
    h->retry.is_set = true;
    h->retry.enabled = false;
    run(defaults);
    snprintf(location, sizeof location, "Location: http://%s:%u/\r\n", where, t.stub.port);
    t.plan[0] = (struct stub_answer){307, location, NULL, 0};
    t.denies_after_first = strcmp(where, "localhost") == 0;
    tell(t.app[0]->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(1);
    settle();
    assert_int_equal(queue_count(t.queue).dead, 1);
    assert_int_equal(t.stub.count, 1);
    assert_int_equal(t.stub.open_max, 1);
}

/* SEC-24: a redirect leads no further inside than a webhook may, whatever form the address has;
 * each hop is judged anew. */
static void sec24_redirects_inside(void **state)
{
    static struct log_recent lines[LOG_RECENT];
    static const char *const inside[] = {"169.254.169.254",          "2852039166",
                                         "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
                                         "[fd00:ec2::254]",          "localhost"};
    uint64_t total;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        redirected_once_to(inside[i]);
        assert_true(log_recent(lines, &total) > 0);
        if (strstr(lines[0].text, "the address is not allowed") == NULL)
            fail_msg("%s: %s", inside[i], lines[0].text);
        finish();
    }
}

/* ---- selection ---- */

/* HOOK-28, HOOK-29, CFG-63 */
static void hook28_hook29_each_gets_its_own(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("two");
    add_hook(a, "/same", WEBHOOK_CHANNEL_OCCUPIED);
    add_hook(a, "/same", WEBHOOK_CHANNEL_VACATED);
    run(defaults);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    tell(a->id, WEBHOOK_CHANNEL_VACATED, "c");
    tell(a->id, WEBHOOK_CACHE_MISS, "cache-c");
    turns(1);
    jump(60);
    wait_requests(2);
    wait_idle();
    assert_int_equal(t.stub.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(events_in(&t.stub.requests[i]), 1);
        assert_true(signed_with(&t.stub.requests[i], "s-9f2b-orchard"));
    }
    bool first_is_occupied = strstr(t.stub.requests[0].body, "channel_occupied") != NULL;
    assert_int_equal(strstr(t.stub.requests[1].body, "channel_occupied") != NULL,
                     !first_is_occupied);
    assert_false(str_eq(job_id(0), job_id(1)));
    finish();
}

/* HOOK-30 */
static void hook30_filters(void **state)
{
    (void)state;
    struct err e;
    begin();
    struct app *a = add_app("filter");
    struct app_webhook *h = add_hook(a, "/", 0x7f);
    h->filter.channel_prefix = S("or");
    h->filter.channel_suffix = S("2");
    h->filter.channel_pattern = pattern_create(S("^orders-\\d+$"), &e);
    run(defaults);
    static const char *const names[] = {"orders-2", "x-orders-42", "orders-12", "orders-13",
                                        "orders-22"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, names[i]);
    turns(1);
    jump(60);
    wait_requests(1);
    wait_idle();
    assert_int_equal(t.stub.count, 1);
    const char *body = t.stub.requests[0].body;
    assert_int_equal(events_in(&t.stub.requests[0]), 3);
    const char *p2 = strstr(body, "\"orders-2\""), *p12 = strstr(body, "\"orders-12\"");
    assert_true(p2 && p12 && p2 < p12 && p12 < strstr(body, "\"orders-22\""));
    finish();
}

/* security.md R17: a pattern that needs too many steps is no match, and the log tells of it */
static void r17_pattern_takes_too_long(void **state)
{
    static struct log_recent lines[LOG_RECENT];
    uint64_t before, after;
    struct err e;
    (void)state;
    begin();
    struct app *a = add_app("slow");
    struct app_webhook *h = add_hook(a, "/", WEBHOOK_CHANNEL_OCCUPIED);
    h->filter.channel_pattern = pattern_create(S("(a+)+$"), &e);
    run(defaults);
    log_recent(lines, &before);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "baaa");
    turns(1);
    jump(60);
    wait_requests(1);
    wait_idle();
    assert_int_equal(t.stub.count, 1);
    assert_int_equal(events_in(&t.stub.requests[0]), 1);
    assert_non_null(strstr(t.stub.requests[0].body, "\"baaa\""));
    assert_true(log_recent(lines, &after) > 0 && after > before);
    assert_non_null(strstr(lines[0].text, "channel_pattern takes too long"));
    finish();
}

/* HOOK-32 */
static void hook32_no_job_for_nobody(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("nobody");
    struct app_webhook *h = add_hook(a, "/", WEBHOOK_CHANNEL_OCCUPIED);
    h->filter.channel_prefix = S("x-");
    run_queue(defaults, &queue_scripted);
    tell(a->id, WEBHOOK_CHANNEL_VACATED, "x-c");
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 0);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "x-c");
    turns(1);
    jump(60);
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 1); /* the test sees jobs */
    finish();
}

/* HOOK-33 */
static void hook33_reads_the_record_when_it_runs(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("moved");
    struct app_webhook *h = add_hook(a, "/old", 0x7f);
    run(defaults);
    t.plan[0].status = 500;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(1);
    settle();
    h->url = str_z(arena_printf(&a->memory, "http://127.0.0.1:%u/new", t.stub.port));
    a->secret = arena_str(&a->memory, S("another"));
    jump(1300);
    wait_requests(2);
    assert_true(str_starts(str_z(t.stub.requests[1].head), S("POST /new ")));
    assert_true(signed_with(&t.stub.requests[1], "another"));
    wait_idle();
    finish();
}

/* ---- batching ---- */

static size_t requests_for(struct webhook_options opt, int events)
{
    begin();
    struct app *a = add_app("batch");
    add_hook(a, "/", 0x7f);
    run(opt);
    for (int i = 0; i < events; i++) {
        char name[16];
        snprintf(name, sizeof name, "c-%02d", i);
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, name);
    }
    turns(3);
    if (opt.batching)
        jump(60);
    size_t n = 0;
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    for (size_t i = 0; n < (size_t)events && loop_clock_monotonic(NULL) < end;) {
        loop_turn(&t.loop, 10);
        for (; i < t.stub.count; i++)
            n += events_in(&t.stub.requests[i]);
    }
    assert_int_equal(n, events);
    wait_idle();
    size_t count = t.stub.count;
    for (size_t i = 0; i < count; i++) /* in order inside of each */
        for (const char *p = strstr(t.stub.requests[i].body, "\"c-"), *next; p != NULL; p = next) {
            next = strstr(p + 1, "\"c-");
            assert_true(next == NULL || atoi(next + 3) == atoi(p + 3) + 1);
        }
    finish();
    return count;
}

/* HOOK-34 */
static void hook34_batch_sizes(void **state)
{
    (void)state;
    struct webhook_options opt = defaults;
    assert_int_equal(requests_for(opt, 30), 1);
    opt.batch_size = 10;
    assert_int_equal(requests_for(opt, 30), 3);
    opt.batching = false;
    assert_int_equal(requests_for(opt, 30), 30);
}

/* HOOK-35: after the duration, not earlier. */
static void hook35_waits_its_time(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("due");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults;
    opt.batch_ms = 50000;
    run_queue(opt, &queue_scripted);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(49000);
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 0);
    jump(1000);
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 1);
    finish();
}

/* HOOK-36, HOOK-37 */
static void hook36_hook37_apart(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("one"), *b = add_app("other");
    add_hook(a, "/", 0x7f);
    add_hook(b, "/", 0x7f);
    b->secret = arena_str(&b->memory, S("b-secret"));
    run(defaults);
    for (int i = 0; i < 3; i++) {
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "news");
        tell(b->id, WEBHOOK_CHANNEL_OCCUPIED, "news");
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "private-encrypted-x");
    }
    turns(1);
    jump(60);
    wait_requests(3);
    wait_idle();
    assert_int_equal(t.stub.count, 3);
    int encrypted = 0;
    for (int i = 0; i < 3; i++) {
        const struct stub_request *r = &t.stub.requests[i];
        bool is_b = str_eq(http_stub_header(r, "X-Pusher-Key", NULL), S("k-other"));
        assert_int_equal(events_in(r), 3);
        assert_true(signed_with(r, is_b ? "b-secret" : "s-9f2b-orchard"));
        if (strstr(r->body, "private-encrypted-x")) {
            encrypted++;
            assert_null(strstr(r->body, "\"news\""));
        }
    }
    assert_int_equal(encrypted, 1);
    finish();
}

/* HOOK-24 */
static void hook24_cache_misses(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("miss");
    add_hook(a, "/", 0x7f);
    run(defaults);
    for (int i = 0; i < 50; i++)
        tell(a->id, WEBHOOK_CACHE_MISS, "cache-a");
    tell(a->id, WEBHOOK_CACHE_MISS, "cache-b");
    turns(1);
    jump(60);
    wait_requests(1);
    assert_int_equal(events_in(&t.stub.requests[0]), 2);
    jump(1000);
    turns(1);
    tell(a->id, WEBHOOK_CACHE_MISS, "cache-a");
    turns(1);
    jump(60);
    wait_requests(2);
    wait_idle();
    finish();
}

/* HOOK-38 */
static void hook38_end_flushes(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("end");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults;
    opt.batch_ms = 60000;
    run(opt);
    t.plan[0].status = 500;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    assert_false(webhooks_flushed(t.webhooks));
    wait_requests(1);
    jump(1300); /* a retry within two seconds is waited for */
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    while (!webhooks_flushed(t.webhooks) && loop_clock_monotonic(NULL) < end)
        loop_turn(&t.loop, 10);
    assert_true(webhooks_flushed(t.webhooks));
    assert_int_equal(t.stub.count, 2);
    tell(a->id, WEBHOOK_CHANNEL_VACATED, "c"); /* and whatever still comes goes at once */
    turns(1);
    wait_requests(3);
    wait_idle();
    finish();
}

static void bounded_and_never_stuck(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("full");
    add_hook(a, "/", 0x7f);
    run_queue(defaults, &queue_scripted);
    uint64_t before = METRICS_SUM_NODE(webhook_events_dropped[label_drop_reason_BUFFER_FULL]);
    for (int i = 0; i < WEBHOOK_WAITING + 500; i++) {
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
        if (i % 100 == 99)
            turns(1);
    }
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 1); /* one push at a time */
    assert_int_equal(
        METRICS_SUM_NODE(webhook_events_dropped[label_drop_reason_BUFFER_FULL]) - before, 500);
    assert_true(queue_scripted_release(t.queue, true)); /* refused: kept, tried a second later */
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 0);
    for (int n = 0; n < WEBHOOK_WAITING / 100; n++) {
        if (queue_scripted_waiting(t.queue) == 0)
            jump(1000);
        turns(2);
        assert_int_equal(queue_scripted_waiting(t.queue), 1);
        assert_true(queue_scripted_release(t.queue, false));
    }
    turns(2);
    assert_int_equal(queue_scripted_waiting(t.queue), 0);
    assert_int_equal(queue_count(t.queue).waiting, WEBHOOK_WAITING / 100);
    finish();
}

/* ---- delivery ---- */

/* HOOK-39 */
static void hook39_three_attempts(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("retry");
    add_hook(a, "/", 0x7f);
    run(defaults);
    for (int i = 0; i < 3; i++)
        t.plan[i].status = 500;
    for (int i = 0; i < 5; i++)
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, (const char *[]){"a", "b", "c", "d", "e"}[i]);
    turns(1);
    jump(60);
    for (size_t n = 1; n <= 3; n++) {
        wait_requests(n);
        settle();
        int64_t wait = 1000 << (n - 1);
        jump(wait * 7 / 10); /* at least 80 % of it */
        turns(3);
        assert_int_equal(t.stub.count, n);
        jump(wait * 6 / 10);
    }
    wait_requests(4);
    wait_idle();
    assert_int_equal(t.stub.count, 4);
    for (int i = 1; i < 4; i++) {
        assert_string_equal(t.stub.requests[i].body, t.stub.requests[0].body); /* HOOK-7 */
        assert_true(str_eq(job_id((size_t)i), job_id(0)));                     /* HOOK-8 */
        assert_true(signed_with(&t.stub.requests[i], "s-9f2b-orchard"));
    }
    assert_int_equal(events_in(&t.stub.requests[3]), 5);
    finish();
}

/* HOOK-40 */
static void hook40_final_and_postponed(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("forty");
    add_hook(a, "/", 0x7f);
    run(defaults);
    t.plan[0].status = 400;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(1);
    settle();
    assert_int_equal(queue_count(t.queue).dead, 1);
    t.plan[1] = (struct stub_answer){429, "Retry-After: 5\r\n", NULL, 0};
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(2);
    settle();
    jump(4900);
    turns(3);
    assert_int_equal(t.stub.count, 2);
    jump(200);
    wait_requests(3);
    wait_idle();
    finish();
}

/* HOOK-41 */
static void hook41_budget_ends(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("budget");
    add_hook(a, "/", 0x7f);
    run(defaults);
    t.rest.status = 503;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    int64_t first = t.wall, last = 0;
    for (int s = 0; s < 330 && queue_count(t.queue).dead == 0; s++) {
        size_t before = t.stub.count;
        settle();
        if (t.stub.count > before)
            last = t.wall;
        jump(1000);
    }
    settle();
    assert_int_equal(queue_count(t.queue).dead, 1);
    assert_true(last - first <= 300000);
    assert_in_range(t.stub.count, 9, 11);
    finish();
}

/* HOOK-43, HOOK-44 */
static void hook43_hook44_only_who_failed(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("some");
    add_hook(a, "/good", 0x7f);
    struct app_webhook *once = add_hook(a, "/once", 0x7f);
    struct app_webhook *twice = add_hook(a, "/twice", 0x7f);
    once->retry.is_set = twice->retry.is_set = true;
    once->retry.enabled = false;
    twice->retry.max_attempts = 2;
    run(defaults);
    t.rest.status = 200;
    for (int i = 0; i < 3; i++)
        t.plan[i].status = 0;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    t.rest.status = 500;
    jump(60);
    wait_requests(3);
    settle();
    t.rest.status = 200;
    /* all three failed; "once" is dead, the others come again */
    assert_int_equal(queue_count(t.queue).dead, 1);
    t.rest.status = 500;
    jump(1300);
    wait_requests(5);
    settle();
    assert_int_equal(queue_count(t.queue).dead, 2);
    t.rest.status = 200;
    jump(2600);
    wait_requests(6);
    wait_idle();
    assert_true(str_starts(str_z(t.stub.requests[5].head), S("POST /good ")));
    assert_int_equal(t.stub.count, 6);
    finish();
}

/* HOOK-42 */
static void hook42_hanging_endpoints(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof id, "hang%02d", i);
        add_hook(add_app(id), "/hang", 0x7f);
    }
    struct app *good = add_app("healthy");
    add_hook(good, "/good", 0x7f);
    struct webhook_options opt = defaults;
    opt.batching = false;
    run(opt);
    t.hang_path = "/hang";
    for (int n = 0; n < 20; n++)
        for (int i = 0; i < 30; i++)
            tell(t.app[i]->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    do
        turns(200);
    while (queue_count(t.queue).waiting > 0);
    size_t hanging = t.stub.count;
    assert_in_range(hanging, 30, 99); /* each has some, nobody has all */
    for (int i = 0; i < 200; i++)
        tell(good->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    wait_requests(hanging + 200); /* the others have not even timed out */
    for (size_t i = hanging; i < hanging + 200; i++)
        assert_true(str_starts(str_z(t.stub.requests[i].head), S("POST /good ")));
    finish();
}

/* After five failures in a row one at a time, until one succeeds; nobody is lost. */
static void circuit(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("circuit");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults;
    opt.batching = false;
    run(opt);
    t.rest.status = 500;
    for (int i = 0; i < 12; i++)
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    settle();
    wait_requests(12);
    settle();
    t.hang_path = "/";
    size_t before = t.stub.count;
    jump(1300);
    wait_requests(before + 1);
    turns(20);
    assert_int_equal(t.stub.count, before + 1);
    finish();
}

/* Without time for a second attempt an endpoint that failed is still asked: it may be back. */
static void comes_back_without_a_budget(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("nobudget");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults;
    opt.retry.max_elapsed_ms = 0;
    run(opt);
    t.rest.status = 500;
    for (size_t i = 1; i <= 7; i++) {
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
        turns(1);
        jump(60);
        wait_requests(i);
        settle();
    }
    t.rest.status = 200;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    wait_requests(8);
    wait_idle();
    assert_int_equal(queue_count(t.queue).dead, 7);
    finish();
}

/* A job that fails under one order and passes under the other holds up nobody afterwards. */
static void order_is_switched(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("switched");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults, ordered = defaults;
    opt.batching = ordered.batching = false;
    ordered.ordered = true;
    run(ordered);
    t.rest.status = 500;
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c-0");
    wait_requests(1);
    settle();
    webhooks_configure(t.webhooks, &opt);
    t.rest.status = 200;
    jump(1300);
    wait_requests(2);
    wait_idle();
    webhooks_configure(t.webhooks, &ordered);
    tell(a->id, WEBHOOK_CHANNEL_VACATED, "c-0");
    wait_requests(3);
    wait_idle();
    finish();
}

/* HOOK-46 */
static void hook46_ordered(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("ordered");
    add_hook(a, "/", 0x7f);
    struct webhook_options opt = defaults;
    opt.batching = false;
    opt.ordered = true;
    run(opt);
    t.fails_every_third = true;
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "c-%d", i);
        tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, name);
    }
    int64_t end = loop_clock_monotonic(NULL) + PATIENCE_MS;
    turns(2);
    while (!queue_is_drained(t.queue) && loop_clock_monotonic(NULL) < end) {
        loop_turn(&t.loop, 1);
        struct queue_counts c = queue_count(t.queue);
        if (c.active + c.waiting == 0 && c.delayed > 0)
            jump(1300);
    }
    assert_int_equal(t.stub.count, 100 + 34);
    int at = -1;
    for (size_t i = 0; i < t.stub.count; i++) {
        int n = atoi(strstr(t.stub.requests[i].body, "\"c-") + 3);
        assert_true(n == at + 1 || (n == at && n % 3 == 0));
        at = n;
    }
    assert_int_equal(at, 99);
    finish();
}

/* ---- the store and the queue ---- */

static void store_is_slow_or_away(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("slow");
    add_hook(a, "/", 0x7f);
    run(defaults);
    app_scripted_mode(t.apps, APP_ANSWER_FAIL);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    turns(2);
    app_scripted_mode(t.apps, APP_ANSWER_LATER);
    jump(1000);
    turns(2);
    assert_true(app_scripted_release(t.apps, false)); /* the collector's question */
    turns(2);
    assert_true(app_scripted_release(t.apps, true)); /* the job's: no result, tried again */
    turns(2);
    assert_int_equal(queue_count(t.queue).delayed, 1);
    jump(1300);
    turns(2);
    assert_true(app_scripted_release(t.apps, false));
    wait_requests(1);
    wait_idle();
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    turns(2);
    finish(); /* with a question under way */
}

static void push_json(const char *text)
{
    struct err e;
    assert_int_equal(queue_push(t.queue, str_z(text), &e, NULL, NULL), DONE);
}

/* SEC-25, I3: other producers' jobs. DRV-91: one without `webhook` is for all of them. */
static void foreign_jobs(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("foreign");
    add_hook(a, "/1", WEBHOOK_CHANNEL_OCCUPIED);
    add_hook(a, "/2", WEBHOOK_CHANNEL_OCCUPIED);
    add_hook(a, "/3", WEBHOOK_MEMBER_ADDED);
    run(defaults);
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"app_id\":\"foreign\"}",
        "{\"app_id\":1,\"payload\":{}}",
        "{\"app_id\":\"foreign\",\"payload\":{\"time_ms\":-1,\"events\":[]}}",
        "{\"app_id\":\"foreign\",\"payload\":{\"time_ms\":1,\"events\":{}}}",
        "{\"app_id\":\"foreign\",\"payload\":{\"time_ms\":1,\"events\":[]},\"webhook\":-1}"};
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        push_json(broken[i]);
    settle();
    assert_int_equal(queue_count(t.queue).dead, COUNT_OF(broken));
    push_json("{\"app_id\":\"foreign\",\"payload\":{\"time_ms\":1,\"events\":[]},\"webhook\":99}");
    push_json("{\"app_id\":\"nobody\",\"payload\":{\"time_ms\":1,\"events\":[{}]}}");
    push_json("{\"app_id\":\"foreign\",\"payload\":{\"time_ms\":1,\"events\":[1,{},\"x\"]}}");
    settle();
    assert_int_equal(queue_count(t.queue).dead, COUNT_OF(broken));
    assert_int_equal(t.stub.count, 0);
    push_json("{\"app_key\":\"k\",\"app_id\":\"foreign\",\"app_secret\":\"wrong\",\"payload\":{"
              "\"time_ms\":1760000000000,\"events\":[ {\"name\" : \"channel_occupied\","
              "\"channel\":\"news\"}]},\"original_signature\":\"x\",\"job_id\":\"a\\r\\nb\"}");
    wait_requests(2);
    wait_idle();
    for (int i = 0; i < 2; i++) {
        assert_true(signed_with(&t.stub.requests[i], "s-9f2b-orchard"));
        has_header(&t.stub.requests[i], "X-Pusher-Key", "k-foreign");
        assert_string_equal(t.stub.requests[i].body,
                            "{\"time_ms\":1760000000000,\"events\":[{\"name\":"
                            "\"channel_occupied\",\"channel\":\"news\"}]}");
    }
    assert_false(str_eq(job_id(0), job_id(1)));
    finish();
}

/* HOOK-47 */
static void hook47_none(void **state)
{
    (void)state;
    begin();
    struct app *a = add_app("none");
    add_hook(a, "/", 0x7f);
    struct err e = {.kind = ERR_NONE};
    struct app_manager_options apps = {.apps = t.app, .app_count = t.app_count};
    struct queue_options queue = {.driver = S("none"), .loop = &t.loop};
    t.apps = app_manager_create_with(&app_scripted, &apps, &e);
    t.queue = queue_create(&queue, &e);
    t.webhooks = webhooks_create(&t.loop, t.queue, t.apps, &defaults, &e);
    tell(a->id, WEBHOOK_CHANNEL_OCCUPIED, "c");
    turns(1);
    jump(60);
    turns(3);
    assert_int_equal(t.stub.count, 0);
    assert_true(webhooks_flushed(t.webhooks));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sec24_redirects_inside), /* first: its lines are limited */
        cmocka_unit_test(hook1_worked_examples),
        cmocka_unit_test(hook6_keeps_text_readable),
        cmocka_unit_test(full_mailbox_refuses),
        cmocka_unit_test(hook4_hook9_headers_and_urls),
        cmocka_unit_test(hook11_redirects),
        cmocka_unit_test(hook12_endless_answers),
        cmocka_unit_test(sec24_private_addresses),
        cmocka_unit_test(hook28_hook29_each_gets_its_own),
        cmocka_unit_test(hook30_filters),
        cmocka_unit_test(r17_pattern_takes_too_long),
        cmocka_unit_test(hook32_no_job_for_nobody),
        cmocka_unit_test(hook33_reads_the_record_when_it_runs),
        cmocka_unit_test(hook34_batch_sizes),
        cmocka_unit_test(hook35_waits_its_time),
        cmocka_unit_test(hook36_hook37_apart),
        cmocka_unit_test(hook24_cache_misses),
        cmocka_unit_test(hook38_end_flushes),
        cmocka_unit_test(bounded_and_never_stuck),
        cmocka_unit_test(hook39_three_attempts),
        cmocka_unit_test(hook40_final_and_postponed),
        cmocka_unit_test(hook41_budget_ends),
        cmocka_unit_test(hook43_hook44_only_who_failed),
        cmocka_unit_test(hook42_hanging_endpoints),
        cmocka_unit_test(circuit),
        cmocka_unit_test(comes_back_without_a_budget),
        cmocka_unit_test(order_is_switched),
        cmocka_unit_test(hook46_ordered),
        cmocka_unit_test(store_is_slow_or_away),
        cmocka_unit_test(foreign_jobs),
        cmocka_unit_test(hook47_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
