/* unit/conn_conn - admission against an app store that is slow or away (WS-22), on one worker that
 * the test drives turn by turn. */
#include "conn/conn.h"

#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "api/http.h"
#include "server/worker.h"
#include "support/app_scripted.h"

static struct node node;
static struct worker_thread thread;
static struct loop *loops[1];

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
    node.cache = cache_create(&cache, &e);
    assert_true(node.apps && node.cache);
    app_unref(&app);
    node_use(&node);
    assert_true(worker_init(&thread, &node, 0, NULL, NULL, &e));
    loops[0] = &thread.worker.loop;
    node.registry = registry_create(1, loops, node.cache, 3600000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    worker_close_streams(&thread);
    worker_finish(&thread);
    registry_destroy(&node.registry);
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

static void ws22_store_is_away(void **state)
{
    (void)state;
    app_scripted_mode(node.apps, APP_ANSWER_FAIL);
    int fd = say(upgrade);
    assert_true(heard(fd, "{\"code\":4100,\"message\":\"App lookup failed\"}"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ws22_store_is_away, begin, end),
        cmocka_unit_test_setup_teardown(ws22_store_is_slow, begin, end),
        cmocka_unit_test_setup_teardown(r9_packets_full_of_work, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
