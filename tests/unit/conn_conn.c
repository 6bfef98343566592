/* unit/conn_conn - connections whose app store, adapter or cache is slow or away (WS-22; design §4,
 * Confirm), on one worker that the test drives turn by turn, with a clock of its own. */
#include "conn/pending.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "api/http.h"
#include "server/worker.h"
#include "support/adapter_scripted.h"
#include "support/app_scripted.h"
#include "support/cache_scripted.h"

static struct node node;
static struct worker_thread thread;
static struct loop *loops[1];

static int64_t passed_ms; /* beyond the real time */
static bool is_far, is_slow;

static int64_t test_clock(void *unused)
{
    return loop_clock_monotonic(unused) + passed_ms;
}

static int64_t wall_s(void)
{
    return 1790000000;
}

static int begin(void **state)
{
    (void)state;
    struct err e;
    struct app *app = app_create();
    app->id = arena_str(&app->memory, S("1"));
    app->key = arena_str(&app->memory, S("k"));
    app->secret = arena_str(&app->memory, S("s"));
    app->enabled = true;
    struct app_manager_options apps = {S("scripted"), &app, 1};
    struct cache_options cache = {.driver = STR("memory")};
    memset(&node, 0, sizeof node);
    app_lives_init(&node.lives);
    node.wall_s = wall_s;
    node.worker_count = 1;
    node.settings = settings_create();
    node.settings->activity_timeout_ms = 120000;
    node.settings->max_payload_bytes = 65536;
    node.settings->max_message_bytes = node.settings->max_frame_bytes = 1 << 20;
    node.settings->max_body_bytes = 1 << 20;
    node.apps = app_manager_create_with(&app_scripted, &apps, &e);
    node.cache =
        is_slow ? cache_create_with(&cache_scripted, &cache, &e) : cache_create(&cache, &e);
    struct adapter_options adapter = {.driver = STR("local")};
    node.adapter = is_far ? adapter_create_with(&adapter_scripted, &adapter, &e)
                          : adapter_create(&adapter, &e);
    assert_true(node.apps && node.cache && node.adapter);
    app_unref(&app);
    node_use(&node);
    assert_true(worker_init(&thread, &node, 0, test_clock, NULL, &e));
    loops[0] = &thread.worker.loop;
    node.registry = registry_create(1, loops, node.adapter, node.cache, 3600000);
    return 0;
}

static int begin_far(void **state)
{
    is_far = true;
    int rc = begin(state);
    is_far = false;
    return rc;
}

static int begin_far_and_slow(void **state)
{
    is_slow = true;
    int rc = begin_far(state);
    is_slow = false;
    return rc;
}

static int end(void **state)
{
    (void)state;
    worker_close_streams(&thread);
    worker_finish(&thread);
    registry_destroy(&node.registry);
    adapter_destroy(&node.adapter);
    cache_destroy(&node.cache);
    app_manager_destroy(&node.apps);
    app_lives_finish(&node.lives);
    settings_unref(&node.settings);
    node_use(NULL);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        worker_turn(&thread, 0);
}

/* Opens a connection and sends `text`; gives the client's end. */
static int say(const char *text)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_non_null(http_open(&thread.worker, fd[1], HTTP_MAIN));
    assert_int_equal(send(fd[0], text, strlen(text), 0), (ssize_t)strlen(text));
    turn();
    return fd[0];
}

static const char upgrade[] = "GET /app/k?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static bool heard(int fd, const char *what)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    return n > 0 && memmem(buffer, (size_t)n, what, strlen(what));
}

/* MET-25: it is counted too, of nobody's app. */
static void ws22_store_is_away(void **state)
{
    (void)state;
    app_scripted_mode(node.apps, APP_ANSWER_FAIL);
    const metrics_cell *errors = metrics_app(S("unknown"))->cells.connection_errors;
    uint64_t before = errors[label_error_type_APP_VALIDATION_FAILED];
    int fd = say(upgrade);
    assert_true(heard(fd, "{\"code\":4100,\"message\":\"App lookup failed\"}"));
    assert_int_equal(errors[label_error_type_APP_VALIDATION_FAILED], before + 1);
    close(fd);
    fd = say("GET /up/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(heard(fd, "503"));
    close(fd);
    turn();
    assert_int_equal(atomic_load(&node.connections), 0);
    assert_int_equal(thread.worker.pool.live, 0);
}

static void ws22_store_is_slow(void **state)
{
    (void)state;
    app_scripted_mode(node.apps, APP_ANSWER_LATER);
    int good = say(upgrade), bad = say(upgrade), gone = say(upgrade);
    int up = say("GET /up/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(heard(good, "101 Switching") && !heard(good, "established"));
    assert_int_equal(thread.worker.parked, 3);
    close(gone);
    turn();
    assert_true(app_scripted_release(node.apps, false));
    assert_true(app_scripted_release(node.apps, true));
    assert_true(app_scripted_release(node.apps, false)); /* nobody is there any more */
    assert_false(heard(up, "200"));
    assert_true(app_scripted_release(node.apps, false));
    turn();
    assert_true(heard(good, "pusher:connection_established"));
    assert_true(heard(bad, "App lookup failed"));
    assert_true(heard(up, "X-Health-Check: OK"));
    assert_int_equal(thread.worker.parked, 0);
    assert_int_equal(atomic_load(&node.connections), 1);
    close(good);
    close(bad);
    close(up);
    turn();
    assert_int_equal(atomic_load(&node.connections), 0);
    assert_int_equal(thread.worker.pool.live, 0);
}

/* Turns until nothing more comes; gives the bytes the client heard. */
static size_t hear_all(int fd)
{
    static char buffer[1 << 16];
    size_t total = 0;
    for (int quiet = 0; quiet < 3; quiet++) {
        ssize_t n;
        turn();
        while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
            total += (size_t)n;
            quiet = 0;
        }
    }
    return total;
}

/* security.md R9: more small frames and requests in one packet than a turn may work on are kept
 * and answered in the turns that follow */
static void r9_packets_full_of_work(void **state)
{
    enum { PINGS = 10900, REQUESTS = 1800 };
    static const char request[] = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
    static char packet[PINGS * 6 + 1];
    (void)state;
    app_scripted_mode(node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    for (size_t i = 0; i < PINGS; i++)
        memcpy(packet + i * 6, "\x89\x80\1\1\1\1", 6);
    assert_int_equal(send(fd, packet, PINGS * 6, 0), PINGS * 6);
    assert_int_equal(hear_all(fd), PINGS * 2); /* a Pong each */
    close(fd);
    fd = say(request);
    size_t one = hear_all(fd);
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(packet + i * (sizeof request - 1), request, sizeof request - 1);
    assert_int_equal(send(fd, packet, REQUESTS * (sizeof request - 1), 0),
                     REQUESTS * (sizeof request - 1));
    assert_int_equal(hear_all(fd), REQUESTS * one);
    close(fd);
    turn();
}

/* SEC-2: a message that is not whole a minute after its first byte ends the connection, however
 * lively its bytes and the Pings between them are. */
static void sec2_trickled_message(void **state)
{
    static const char first[] = {0x01, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char next[] = {0x00, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char ping[] = {(char)0x89, (char)0x80, 0, 0, 0, 0};
    (void)state;
    app_scripted_mode(node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    assert_int_equal(send(fd, first, sizeof first, 0), sizeof first);
    turn();
    for (int s = 1; s < 60; s++) {
        const char *bytes = s % 2 ? next : ping;
        size_t n = s % 2 ? sizeof next : sizeof ping;
        passed_ms += 1000;
        assert_int_equal(send(fd, bytes, n, 0), (ssize_t)n);
        turn();
        assert_false(heard(fd, "\x03\xea"));
    }
    for (int i = 0; i < 4; i++) {
        passed_ms += 500;
        turn();
    }
    assert_true(heard(fd, "\x03\xeaMessage not completed in time"));
    close(fd);
    turn();
}

/* ---- Confirm (design §4): what is waited for, and for how long ---- */

static void send_text(int fd, const char *json)
{
    char frame[256];
    size_t n = strlen(json);
    assert_true(n < 126);
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | n);
    memset(frame + 2, 0, 4);
    memcpy(frame + 6, json, n);
    assert_int_equal(send(fd, frame, n + 6, 0), (ssize_t)n + 6);
    turn();
}

static int subscriber(const char *channel)
{
    char text[128];
    app_scripted_mode(node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    send_text(fd, text);
    return fd;
}

/* The wheel looks at a deadline up to two of its ticks late. */
static void time_passes(int64_t ms)
{
    passed_ms += ms;
    turn();
}

static void leave(int fd)
{
    close(fd);
    turn();
    assert_int_equal(thread.worker.pool.live, 0);
}

static void subscribe_waits_for_the_adapter(void **state)
{
    (void)state;
    int fd = subscriber("a"), gone = subscriber("b");
    assert_false(heard(fd, "subscription_succeeded"));
    close(gone);
    turn();
    assert_int_equal(adapter_scripted_unsubscribed(node.adapter), 1);
    assert_true(adapter_scripted_release(node.adapter, true));
    turn();
    assert_true(heard(fd, "subscription_succeeded"));
    assert_true(adapter_scripted_release(node.adapter, true)); /* nobody is there any more */
    leave(fd);
    assert_int_equal(adapter_scripted_unsubscribed(node.adapter), 2);
}

static void adapter_is_away(void **state)
{
    (void)state;
    int fd = subscriber("a");
    time_passes(STEP_ADAPTER_MS - 500);
    assert_false(heard(fd, "subscription_succeeded"));
    time_passes(700);
    assert_true(heard(fd, "subscription_succeeded")); /* it goes on alone */
    assert_true(adapter_scripted_release(node.adapter, true)); /* too late, and nothing happens */
    turn();
    assert_false(heard(fd, "subscription_succeeded"));
    leave(fd);
}

static void adapter_says_it_is_away(void **state)
{
    (void)state;
    int fd = subscriber("a");
    assert_true(adapter_scripted_release(node.adapter, false));
    turn();
    assert_true(heard(fd, "subscription_succeeded"));
    leave(fd);
}

static void cache_is_asked_behind_the_adapter(void **state)
{
    (void)state;
    int fd = subscriber("cache-a");
    assert_int_equal(cache_scripted_waiting(node.cache), 0);
    assert_true(adapter_scripted_release(node.adapter, true));
    assert_int_equal(cache_scripted_waiting(node.cache), 1);
    turn();
    assert_false(heard(fd, "subscription_succeeded"));
    time_passes(STEP_CACHE_MS + 200);
    assert_true(heard(fd, "pusher:cache_miss")); /* bounded wait, then a miss */
    assert_true(cache_scripted_release(node.cache, false));
    turn();
    assert_false(heard(fd, "pusher"));
    leave(fd);
}

/* One that waits holds back those behind it, in their order; both share the wait. */
static void answers_keep_their_order(void **state)
{
    char buffer[4096];
    (void)state;
    int fd = subscriber("a");
    send_text(fd, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"b\"}}");
    send_text(fd, "{\"event\":\"pusher:ping\",\"data\":{}}");
    time_passes(STEP_ADAPTER_MS + 200);
    ssize_t n = recv(fd, buffer, sizeof buffer - 1, 0);
    assert_true(n > 0);
    buffer[n] = '\0';
    for (ssize_t i = 0; i < n; i++)
        buffer[i] = buffer[i] ? buffer[i] : ' ';
    const char *a = strstr(buffer, "\"channel\":\"a\""), *b = strstr(buffer, "\"channel\":\"b\""),
               *pong = strstr(buffer, "pusher:pong");
    assert_true(a && b && pong && a < b && b < pong);
    leave(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ws22_store_is_away, begin, end),
        cmocka_unit_test_setup_teardown(ws22_store_is_slow, begin, end),
        cmocka_unit_test_setup_teardown(r9_packets_full_of_work, begin, end),
        cmocka_unit_test_setup_teardown(sec2_trickled_message, begin, end),
        cmocka_unit_test_setup_teardown(subscribe_waits_for_the_adapter, begin_far, end),
        cmocka_unit_test_setup_teardown(adapter_is_away, begin_far, end),
        cmocka_unit_test_setup_teardown(adapter_says_it_is_away, begin_far, end),
        cmocka_unit_test_setup_teardown(cache_is_asked_behind_the_adapter, begin_far_and_slow, end),
        cmocka_unit_test_setup_teardown(answers_keep_their_order, begin_far, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
