/* unit/api_http - an HTTP connection on a worker with a clock of our own: bodies that nobody reads,
 * deadlines, late answers of the app store (http-api.md §2, §4; security.md R1, R8, I1) */
#include "api/http.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "api/headless.h"
#include "base/crypto.h"
#include "metrics/metrics.h"
#include "server/worker.h"
#include "support/app_scripted.h"
#include "support/rate_scripted.h"

static int64_t clock_ms;
static int64_t wall_now;
static int64_t test_clock(void *unused)
{
    (void)unused;
    return clock_ms;
}
static int64_t test_wall(void)
{
    return wall_now;
}

struct rig {
    struct node node;
    struct worker_thread thread;
    struct loop *loops[1];
    struct app *app;
    int peer; /* the client's end */
    char heard[32768];
    size_t heard_n;
    bool is_closed;
};

/* The made-up app of http-api.md §3.5. */
static struct app *orchard(void)
{
    struct app *a = app_create();
    a->id = S("4711");
    a->key = S("k-orchard");
    a->secret = arena_str(&a->memory, S("s-9f2b-orchard")); /* is wiped at the end */
    a->enabled = true;
    a->max_event_name = 200;
    a->max_channel_name = 200;
    return a;
}

static struct rig *rig_create(void)
{
    struct err e;
    struct rig *r = mem_zero(sizeof *r);
    clock_ms = 1000000;
    wall_now = 1790000000;
    r->app = orchard();
    struct app_manager_options opt = {.apps = &r->app, .app_count = 1};
    r->node.apps = app_manager_create_with(&app_scripted, &opt, &e);
    assert_non_null(r->node.apps);
    r->node.adapter = adapter_create(&(struct adapter_options){.driver = STR("local")}, &e);
    assert_non_null(r->node.adapter);
    app_lives_init(&r->node.lives);
    r->node.wall_s = test_wall;
    r->node.worker_count = 1;
    r->node.settings = settings_create();
    r->node.settings->max_body_bytes = 1 << 20;
    assert_true(worker_init(&r->thread, &r->node, 0, test_clock, NULL, &e));
    r->loops[0] = &r->thread.worker.loop;
    r->node.registry = registry_create(1, r->loops, r->node.adapter, NULL, 0);
    node_use(&r->node);
    return r;
}

static void rig_connect_to(struct rig *r, enum http_kind kind)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    r->peer = pair[0];
    assert_non_null(http_open(&r->thread.worker, pair[1], kind));
}

static void rig_connect(struct rig *r)
{
    rig_connect_to(r, HTTP_MAIN);
}

static void rig_destroy(struct rig *r)
{
    close(r->peer);
    worker_close_streams(&r->thread);
    registry_destroy(&r->node.registry);
    adapter_destroy(&r->node.adapter);
    app_manager_destroy(&r->node.apps);
    rate_limiter_destroy(&r->node.api_limiter);
    rate_limiter_destroy(&r->node.connect_limiter);
    headless_destroy(&r->node.headless);
    worker_finish(&r->thread);
    app_lives_finish(&r->node.lives);
    settings_unref(&r->node.settings);
    app_unref(&r->app);
    free(r);
}

static void turns(struct rig *r)
{
    for (int i = 0; i < 6; i++)
        worker_turn(&r->thread, 0);
    for (;;) {
        ssize_t n = read(r->peer, r->heard + r->heard_n, sizeof r->heard - 1 - r->heard_n);
        r->is_closed |= n == 0;
        if (n <= 0)
            break;
        r->heard_n += (size_t)n;
    }
    r->heard[r->heard_n] = 0;
}

static void say(struct rig *r, const char *text)
{
    assert_int_equal(write(r->peer, text, strlen(text)), (ssize_t)strlen(text));
    turns(r);
}

/* In small steps, as the worker would see it. */
static void pass(struct rig *r, int64_t ms)
{
    for (int64_t end = clock_ms + ms; clock_ms < end;) {
        clock_ms += 500;
        turns(r);
    }
}

static int answers(const struct rig *r)
{
    int n = 0;
    for (const char *p = r->heard; (p = strstr(p, "HTTP/1.1 ")); p++)
        n++;
    return n;
}

static bool heard(const struct rig *r, const char *text)
{
    return strstr(r->heard, text) != NULL;
}

static void forget(struct rig *r)
{
    r->heard_n = 0;
    r->heard[0] = 0;
}

#define UNSIGNED_POST "POST /apps/4711/events HTTP/1.1\r\nHost: x\r\n"
#define NEXT "GET /up HTTP/1.1\r\nHost: x\r\n\r\n"
#define SIGNED_BY                                                                                  \
    "?auth_key=k-orchard&auth_timestamp=1790000000&auth_version=1.0"                               \
    "&body_md5=8e413d8a19deb151ff04331d8894fd56&auth_signature="                                   \
    "ea98a7fbb64350afbf7bab2248f880416555bb2e0490f23af671fbf08641705c"
#define A1_HEAD "POST /apps/4711/events" SIGNED_BY " HTTP/1.1\r\nHost: x\r\n"
#define A1_BODY                                                                                    \
    "{\"name\":\"ripe\",\"channels\":[\"news\",\"private-crew\"],\"data\":\"{\\\"kg\\\":12}\","    \
    "\"socket_id\":\"301.42\",\"info\":\"subscription_count\"}"

/* An answer before the body drops a small one, and the next request is read as one. */
static void small_body_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, UNSIGNED_POST "Content-Length: 10\r\n\r\n01234");
    assert_int_equal(answers(r), 1);
    assert_true(heard(r, "auth_key is missing"));
    assert_false(heard(r, "Connection: close"));
    say(r, "56789" NEXT);
    assert_int_equal(answers(r), 2);
    assert_false(r->is_closed);
    rig_destroy(r);
}

/* Once answered, a body that never comes must not be answered again: the server ended on that. */
static void dropped_body_never_comes(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, UNSIGNED_POST "Content-Length: 10\r\n\r\n01234");
    pass(r, HTTP_BODY_MS - 1000);
    assert_false(r->is_closed);
    pass(r, 2000);
    assert_true(r->is_closed);
    assert_int_equal(answers(r), 1);
    rig_destroy(r);
}

/* SEC I1: what follows an answer is never read as a request when it may be the body. */
static void unread_body_closes(void **state)
{
    (void)state;
    static const char *const fields[] = {"Transfer-Encoding: chunked\r\n\r\n",
                                         "Content-Length: 70000\r\n\r\n",
                                         "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        char text[512];
        struct rig *r = rig_create();
        rig_connect(r);
        snprintf(text, sizeof text, "%s%s%s", UNSIGNED_POST, fields[i], NEXT);
        say(r, text);
        assert_int_equal(answers(r), 1);
        assert_true(heard(r, "401 Unauthorized") && heard(r, "Connection: close"));
        assert_true(r->is_closed);
        rig_destroy(r);
    }
}

/* http-api.md §2.5: strangers cannot make us buffer a body, on unsigned routes neither. */
static void unsigned_routes_read_no_body(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, "GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    assert_int_equal(answers(r), 1);
    assert_true(heard(r, "200 OK") && heard(r, "Connection: close"));
    assert_int_equal(atomic_load(&r->node.body_bytes), 0);
    rig_destroy(r);
}

/* R1: the deadlines are absolute, bytes never extend them. */
static void slow_head(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, "GET /up HTTP/1.1\r\n");
    for (int i = 0; i < 11; i++) {
        say(r, "X: y\r\n");
        pass(r, 1000);
        if (r->is_closed)
            break;
    }
    assert_true(heard(r, "408 Request Timeout"));
    assert_true(r->is_closed);
    rig_destroy(r);
}

static void slow_body(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n{");
    assert_int_equal(atomic_load(&r->node.body_bytes), 1);
    pass(r, HTTP_BODY_MS + 1000);
    assert_true(heard(r, "408 Request Timeout"));
    assert_int_equal(atomic_load(&r->node.body_bytes), 0);
    rig_destroy(r);
}

static void idle_ends_quietly(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, NEXT);
    forget(r);
    pass(r, HTTP_IDLE_MS - 1000);
    assert_false(r->is_closed);
    pass(r, 2000);
    assert_true(r->is_closed);
    assert_int_equal(answers(r), 0);
    rig_destroy(r);
}

/* HTTP-1 A1, in one piece, byte by byte, and chunked. */
static void published(struct rig *r)
{
    assert_true(heard(r, "200 OK"));
    assert_true(heard(r, "{\"channels\":{\"news\":{\"subscription_count\":0},"
                         "\"private-crew\":{\"subscription_count\":0}}}"));
    assert_int_equal(atomic_load(&r->node.body_bytes), 0);
}

static void signed_publish(void **state)
{
    (void)state;
    const char *text = A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY;
    struct rig *r = rig_create();
    rig_connect(r);
    say(r, text);
    published(r);
    forget(r);
    for (const char *p = text; *p; p++)
        say(r, (char[]){*p, 0});
    published(r);
    forget(r);
    say(r, A1_HEAD "Transfer-Encoding: chunked\r\n\r\n78\r\n" A1_BODY "\r\n0\r\n\r\n");
    published(r);
    rig_destroy(r);
}

/* HTTP-5 */
static void clock_window(void **state)
{
    (void)state;
    static const struct {
        int64_t off;
        const char *want;
    } rows[] = {{600, "200 OK"}, {-600, "200 OK"}, {601, "401 "}, {-601, "401 "}};
    struct rig *r = rig_create();
    rig_connect(r);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wall_now = 1790000000 + rows[i].off;
        forget(r);
        say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY);
        assert_true(heard(r, rows[i].want));
    }
    rig_destroy(r);
}

/* The app store answers later: the request waits, what follows waits behind it. */
static void late_app(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    app_scripted_mode(r->node.apps, APP_ANSWER_LATER);
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answers(r), 0);
    pass(r, HTTP_IDLE_MS + 1000); /* the answer is ours to give */
    assert_false(r->is_closed);
    assert_true(app_scripted_release(r->node.apps, false));
    turns(r);
    published(r);
    assert_int_equal(answers(r), 2);
    rig_destroy(r);
}

/* §3.2 check 3 */
static void app_store_away(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    app_scripted_mode(r->node.apps, APP_ANSWER_LATER);
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY);
    assert_true(app_scripted_release(r->node.apps, true));
    turns(r);
    assert_true(heard(r, "503 ") && heard(r, "Retry-After: 1") && heard(r, "service_unavailable"));
    rig_destroy(r);
}

/* A connection that is gone gets no late answer. */
static void late_app_finds_nobody(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    app_scripted_mode(r->node.apps, APP_ANSWER_LATER);
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n");
    worker_close_streams(&r->thread);
    turns(r);
    assert_true(app_scripted_release(r->node.apps, false));
    turns(r);
    assert_int_equal(answers(r), 0);
    rig_destroy(r);
}

/* R8 */
static void too_many_bodies(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    atomic_store(&r->node.body_bytes, HTTP_BODIES_MAX - 10);
    rig_connect(r);
    say(r, A1_HEAD "Transfer-Encoding: chunked\r\n\r\n78\r\n" A1_BODY "\r\n0\r\n\r\n");
    assert_true(heard(r, "503 ") && heard(r, "backpressure"));
    assert_true(r->is_closed);
    assert_int_equal(atomic_load(&r->node.body_bytes), HTTP_BODIES_MAX - 10);
    rig_destroy(r);
}

/* R8: a node with little memory takes less. */
static void too_many_bodies_for_this_node(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    r->node.bodies_max = 50;
    rig_connect(r);
    say(r, A1_HEAD "Transfer-Encoding: chunked\r\n\r\n78\r\n" A1_BODY "\r\n0\r\n\r\n");
    assert_true(heard(r, "503 ") && heard(r, "backpressure"));
    assert_true(r->is_closed);
    rig_destroy(r);
}

/* R8: who only declares a large body takes nothing from the others. */
static void declared_bodies_are_free(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    int idle[3];
    r->node.settings->max_body_bytes = HTTP_BODIES_MAX;
    for (int i = 0; i < 3; i++) {
        rig_connect(r);
        idle[i] = r->peer;
        say(r, A1_HEAD "Content-Length: 200000000\r\n\r\n{");
    }
    assert_int_equal(answers(r), 0);
    assert_int_equal(atomic_load(&r->node.body_bytes), 3);
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n{");
    say(r, A1_BODY + 1);
    assert_true(heard(r, "200 OK"));
    for (int i = 0; i < 3; i++)
        close(idle[i]);
    turns(r);
    assert_int_equal(atomic_load(&r->node.body_bytes), 0);
    rig_destroy(r);
}

/* R8: what has come counts, and no longer when its connection is gone. */
static void received_bodies_too_many(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    r->node.bodies_max = 50;
    rig_connect(r);
    int first = r->peer;
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n{        {        {        {        ");
    assert_int_equal(atomic_load(&r->node.body_bytes), 36);
    rig_connect(r);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n{        {        ");
    assert_true(heard(r, "503 ") && heard(r, "backpressure"));
    assert_true(r->is_closed);
    assert_int_equal(atomic_load(&r->node.body_bytes), 36);
    close(first);
    turns(r);
    assert_int_equal(atomic_load(&r->node.body_bytes), 0);
    rig_destroy(r);
}

/* ---- limits per address ---- */

static const struct rate_answer pass_one = {
    .is_allowed = true, .limit = 3, .remaining = 2, .reset_s = 60};
static const struct rate_answer pass_none = {.limit = 3, .reset_s = 17};

static struct rate_limiter *scripted(bool fail_closed)
{
    struct err e;
    struct rate_limiter_options opt = {.limit = {3, 60000}, .fail_closed = fail_closed};
    struct rate_limiter *l = rate_limiter_create_with(&rate_scripted, &opt, &e);
    assert_non_null(l);
    return l;
}

static struct rig *limited_rig(bool fail_closed)
{
    struct rig *r = rig_create();
    struct settings *set = r->node.settings;
    set->ipv6_prefix = 64;
    set->activity_timeout_ms = 120000;
    set->max_payload_bytes = set->max_message_bytes = set->max_frame_bytes = 1 << 16;
    r->node.api_limiter = scripted(fail_closed);
    r->node.connect_limiter = scripted(fail_closed);
    rig_connect(r);
    return r;
}

/* Limiter and app store answer later, one after the other. */
static void late_limit(void **state)
{
    (void)state;
    struct rig *r = limited_rig(false);
    app_scripted_mode(r->node.apps, APP_ANSWER_LATER);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_false(app_scripted_release(r->node.apps, false)); /* not asked before the limiter */
    pass(r, HTTP_IDLE_MS + 1000);
    assert_true(rate_scripted_release(r->node.api_limiter, &pass_one));
    turns(r);
    assert_int_equal(answers(r), 0);
    assert_true(app_scripted_release(r->node.apps, false));
    turns(r);
    published(r);
    assert_true(heard(r, "X-RateLimit-Remaining: 2\r\n"));
    assert_int_equal(answers(r), 2);
    rig_destroy(r);
}

static void late_refusal(void **state)
{
    (void)state;
    struct rig *r = limited_rig(false);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rate_scripted_release(r->node.api_limiter, &pass_none));
    turns(r);
    assert_true(heard(r, "429 ") && heard(r, "Retry-After: 17\r\n"));
    assert_int_equal(answers(r), 2); /* the body was dropped, what follows is served */
    rig_destroy(r);
}

static void late_limit_finds_nobody(void **state)
{
    (void)state;
    struct rig *r = limited_rig(false);
    say(r, A1_HEAD "Content-Length: 120\r\n\r\n");
    worker_close_streams(&r->thread);
    turns(r);
    assert_true(rate_scripted_release(r->node.api_limiter, &pass_one));
    turns(r);
    assert_int_equal(answers(r), 0);
    rig_destroy(r);
}

#define UPGRADE                                                                                    \
    "GET /app/k-orchard HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"      \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* The app store answers an upgrade at once or later, and the connection is read again after it. */
static void late_upgrade(void **state)
{
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        struct rig *r = limited_rig(false);
        app_scripted_mode(r->node.apps, is_late ? APP_ANSWER_LATER : APP_ANSWER_NOW);
        say(r, UPGRADE);
        assert_false(heard(r, "101 "));
        assert_true(rate_scripted_release(r->node.connect_limiter, &pass_one));
        turns(r);
        assert_true(heard(r, "101 "));
        assert_int_equal(app_scripted_release(r->node.apps, false), is_late);
        turns(r);
        assert_true(heard(r, "connection_established"));
        say(r, "\x81\x99\x01\x01\x01\x01zz"); /* a frame that is no Pusher message */
        for (int i = 0; i < 23; i++)
            say(r, "z");
        assert_true(heard(r, "pusher:error"));
        rig_destroy(r);
    }
}

static void late_upgrade_refused(void **state)
{
    (void)state;
    struct rig *r = limited_rig(false);
    say(r, UPGRADE "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rate_scripted_release(r->node.connect_limiter, &pass_none));
    turns(r);
    assert_true(heard(r, "429 "));
    assert_int_equal(answers(r), 1); /* security I2 */
    rig_destroy(r);
}

/* MET-21 */
static void limits_are_counted(void **state)
{
    (void)state;
    enum { API = label_limiter_type_API, CONNECT = label_limiter_type_WEBSOCKET };
    uint64_t checks = METRICS_SUM_APP(S("global"), rate_limit_checks[API]);
    uint64_t refusals = METRICS_SUM_APP(S("global"), rate_limit_triggered[API]);
    uint64_t connects = METRICS_SUM_APP(S("global"), rate_limit_checks[CONNECT]);
    struct rig *r = limited_rig(false);
    for (int i = 0; i < 3; i++) {
        say(r, "GET /apps/4711/channels HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(rate_scripted_release(r->node.api_limiter, i < 2 ? &pass_one : &pass_none));
        turns(r);
    }
    assert_int_equal(METRICS_SUM_APP(S("global"), rate_limit_checks[API]), checks + 3);
    assert_int_equal(METRICS_SUM_APP(S("global"), rate_limit_triggered[API]), refusals + 1);
    say(r, UPGRADE);
    assert_true(rate_scripted_release(r->node.connect_limiter, &pass_one));
    turns(r);
    assert_int_equal(METRICS_SUM_APP(S("global"), rate_limit_checks[CONNECT]), connects + 1);
    rig_destroy(r);
}

/* HTTP-80 */
static void limiter_away(void **state)
{
    (void)state;
    struct rate_answer lost = {0};
    err_set(&lost.err, ERR_UNAVAILABLE, "store is away");
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        struct rig *r = limited_rig(is_closed);
        say(r, A1_HEAD "Content-Length: 120\r\n\r\n" A1_BODY);
        assert_true(rate_scripted_release(r->node.api_limiter, &lost));
        turns(r);
        assert_true(heard(r, is_closed ? "503 " : "200 "));
        assert_int_equal(heard(r, "X-RateLimit-Remaining: 2\r\n"), !is_closed);
        rig_destroy(r);
    }
}

/* R4: the oldest of too many goes, unless its head comes at once. */
static void too_many_without_head(void **state)
{
    (void)state;
    for (int is_quick = 0; is_quick < 2; is_quick++) {
        struct rig *r = rig_create();
        int second;
        r->node.settings->ipv6_prefix = 64;
        r->node.headless = headless_create(1);
        rig_connect(r);
        second = r->peer;
        rig_connect(r); /* takes the place of the first */
        int first = second;
        second = r->peer;
        r->peer = first;
        turns(r);
        assert_false(r->is_closed);
        say(r, is_quick ? "GET /live HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /live HT");
        pass(r, HTTP_SPARE_MS + 1000);
        assert_int_equal(r->is_closed, !is_quick);
        assert_int_equal(answers(r), is_quick);
        close(first);
        r->peer = second;
        r->is_closed = false;
        say(r, "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(answers(r), is_quick + 1);
        rig_destroy(r);
    }
}

static void leave(struct stream *s, void *ctx)
{
    (void)ctx;
    http_leave_if_idle(s);
}

/* The drain ends connections between two requests at once; one that has just come is heard. */
static void leaves_when_idle(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect(r);
    turns(r);
    stream_each(&r->thread.worker.pool, leave, NULL);
    turns(r);
    assert_false(r->is_closed);
    say(r, "GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(answers(r), 1);
    assert_false(r->is_closed);
    stream_each(&r->thread.worker.pool, leave, NULL);
    turns(r);
    assert_true(r->is_closed);
    close(r->peer);
    rig_connect(r);
    r->is_closed = false;
    stream_each(&r->thread.worker.pool, leave, NULL);
    pass(r, HTTP_SPARE_MS + 1000);
    assert_true(r->is_closed);
    rig_destroy(r);
}

/* A signed request with that body, in pieces that a socket takes. */
static void publish(struct rig *r, const char *path, str body)
{
    char text[512], query[200], hex[HMAC_HEX];
    uint8_t md5[16], mac[HMAC_BYTES];
    crypto_md5(body, md5);
    crypto_hex(md5, sizeof md5, hex);
    snprintf(query, sizeof query,
             "auth_key=k-orchard&auth_timestamp=1790000000&auth_version=1.0&body_md5=%.32s", hex);
    snprintf(text, sizeof text, "POST\n%s\n%s", path, query);
    struct hmac *key = hmac_create(S("s-9f2b-orchard"));
    str signed_text = str_z(text);
    hmac_sign(key, &signed_text, 1, mac);
    hmac_destroy(&key);
    crypto_hex(mac, sizeof mac, hex);
    snprintf(text, sizeof text,
             "POST %s?%s&auth_signature=%.64s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
             path, query, hex, body.n);
    say(r, text);
    while (body.n > 0) {
        ssize_t n = write(r->peer, body.p, body.n < 65536 ? body.n : 65536);
        body = str_from(body, n > 0 ? (size_t)n : 0);
        turns(r);
    }
}

/* The largest allocation, as told by the sanitizer under which the unit tests run. */
static size_t largest;

static void allocated(const volatile void *p, size_t n)
{
    (void)p;
    largest = n > largest ? n : largest;
}
static void freed(const volatile void *p)
{
    (void)p;
}
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                              void (*)(const volatile void *))
    __attribute__((weak));

/* What a batch takes goes by its bytes, not by its commas. */
static void batch_of_commas(void **state)
{
    (void)state;
    enum { ELEMENTS = 500000, BODY_MAX = 1 << 20 };
    struct rig *r = rig_create();
    struct buf body;
    buf_init(&body, BODY_MAX);
    buf_add(&body, S("{\"batch\":[1"));
    for (int i = 1; i < ELEMENTS; i++)
        buf_add(&body, S(",1"));
    buf_add(&body, S("]}"));
    rig_connect(r);
    if (__sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(allocated, freed);
    largest = 0;
    publish(r, "/apps/4711/batch_events", buf_str(&body));
    assert_in_range(largest, 0, 4 * BODY_MAX);
    assert_true(heard(r, "HTTP/1.1 400 "));
    assert_true(heard(r, "batch[0]: Event must be a JSON object"));
    buf_finish(&body);
    rig_destroy(r);
}

/* Elements as short as they can be, each with room. */
static void batch_of_short_ones(void **state)
{
    (void)state;
    enum { ELEMENTS = 1000 };
    struct rig *r = rig_create();
    struct buf body;
    buf_init(&body, 1 << 20);
    for (int i = 0; i < ELEMENTS; i++)
        buf_add(&body, i ? S(",{\"name\":\"a\",\"channel\":\"b\"}")
                         : S("{\"batch\":[{\"name\":\"a\",\"channel\":\"b\"}"));
    rig_connect(r);
    buf_add(&body, S("]}"));
    publish(r, "/apps/4711/batch_events", buf_str(&body));
    assert_true(heard(r, "HTTP/1.1 200 OK\r\n"));
    forget(r);
    body.n -= 2;
    buf_add(&body, S(",1]}"));
    publish(r, "/apps/4711/batch_events", buf_str(&body));
    assert_true(heard(r, "batch[1000]: Event must be a JSON object"));
    buf_finish(&body);
    rig_destroy(r);
}

/* HTTP/1.0 needs no Host, but nobody can be sent elsewhere without one. */
static void redirect_without_host(void **state)
{
    (void)state;
    struct rig *r = rig_create();
    rig_connect_to(r, HTTP_REDIRECT);
    say(r, "GET / HTTP/1.0\r\n\r\n");
    assert_true(heard(r, "HTTP/1.1 400 Bad Request\r\n"));
    assert_true(heard(r, "Host is not valid"));
    rig_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_of_commas),
        cmocka_unit_test(batch_of_short_ones),
        cmocka_unit_test(redirect_without_host),
        cmocka_unit_test(small_body_is_dropped),
        cmocka_unit_test(dropped_body_never_comes),
        cmocka_unit_test(unread_body_closes),
        cmocka_unit_test(unsigned_routes_read_no_body),
        cmocka_unit_test(slow_head),
        cmocka_unit_test(slow_body),
        cmocka_unit_test(idle_ends_quietly),
        cmocka_unit_test(signed_publish),
        cmocka_unit_test(clock_window),
        cmocka_unit_test(late_app),
        cmocka_unit_test(app_store_away),
        cmocka_unit_test(late_app_finds_nobody),
        cmocka_unit_test(too_many_bodies),
        cmocka_unit_test(too_many_bodies_for_this_node),
        cmocka_unit_test(declared_bodies_are_free),
        cmocka_unit_test(received_bodies_too_many),
        cmocka_unit_test(late_limit),
        cmocka_unit_test(late_refusal),
        cmocka_unit_test(late_limit_finds_nobody),
        cmocka_unit_test(late_upgrade),
        cmocka_unit_test(late_upgrade_refused),
        cmocka_unit_test(limits_are_counted),
        cmocka_unit_test(limiter_away),
        cmocka_unit_test(too_many_without_head),
        cmocka_unit_test(leaves_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
