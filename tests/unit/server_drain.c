/* unit/server_drain - a worker closes its sockets at an even rate: no step of the drain is a burst,
 * and the last one leaves when the spread is over (design §7; issue: at most twice the even rate).
 */
#include "server/worker.h"

#include "api/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS = 1000, SPREAD_MS = 4000, STEP_MS = 10, WINDOW_MS = 100 };

static struct node node;
static struct worker_thread thread;
static int64_t clock_ms;
static int client[SOCKETS];
static bool told[SOCKETS];

static int64_t test_clock(void *unused)
{
    (void)unused;
    return clock_ms;
}

static int64_t wall_s(void)
{
    return 1790000000;
}

static int begin(void **state)
{
    (void)state;
    static struct loop *loops[1];
    struct err e;
    struct rlimit files;
    struct app *app = app_create();
    app->id = arena_str(&app->memory, S("1"));
    app->key = arena_str(&app->memory, S("k"));
    app->secret = arena_str(&app->memory, S("s"));
    app->enabled = true;
    struct app_manager_options apps = {S("memory"), &app, 1};
    struct cache_options cache = {.driver = STR("none")};
    struct adapter_options adapter = {.driver = STR("local")};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    memset(&node, 0, sizeof node);
    memset(&thread, 0, sizeof thread);
    clock_ms = 1000000;
    app_lives_init(&node.lives);
    node.wall_s = wall_s;
    node.worker_count = 1;
    node.settings = settings_create();
    node.settings->activity_timeout_ms = 120000;
    node.settings->max_payload_bytes = 65536;
    node.settings->max_message_bytes = node.settings->max_frame_bytes = 1 << 20;
    node.apps = app_manager_create(&apps, &e);
    node.cache = cache_create(&cache, &e);
    node.adapter = adapter_create(&adapter, &e);
    assert_true(node.apps && node.cache && node.adapter);
    app_unref(&app);
    node_use(&node);
    assert_true(worker_init(&thread, &node, 0, test_clock, NULL, &e));
    loops[0] = &thread.worker.loop;
    node.registry = registry_create(1, loops, node.adapter, node.cache, 3600000);
    return 0;
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

static void turns(int n)
{
    while (n-- > 0)
        worker_turn(&thread, 0);
}

/* What client i has not read yet holds this. */
static bool hears(int i, const char *what, size_t n)
{
    char text[2048];
    ssize_t got = recv(client[i], text, sizeof text, MSG_DONTWAIT);
    return got > 0 && memmem(text, (size_t)got, what, n) != NULL;
}

static void connect_all(void)
{
    static const char upgrade[] = "GET /app/k?protocol=7 HTTP/1.1\r\nHost: x\r\n"
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (int i = 0; i < SOCKETS; i++) {
        int fd[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        assert_non_null(http_open(&thread.worker, fd[1], HTTP_MAIN));
        assert_int_equal(send(fd[0], upgrade, sizeof upgrade - 1, 0), sizeof upgrade - 1);
        client[i] = fd[0];
        told[i] = false;
        turns(1);
    }
    turns(4);
    for (int i = 0; i < SOCKETS; i++)
        assert_true(hears(i, "connection_established", 22));
    assert_int_equal(atomic_load(&node.connections), SOCKETS);
}

/* How many of the clients from `first` on have heard a Close 4200 since the last look; they leave.
 */
static int newly_told(int first)
{
    int n = 0;
    for (int i = first; i < SOCKETS; i++)
        if (!told[i] && hears(i, "\x10\x68", 2)) {
            told[i] = true;
            close(client[i]);
            n++;
        }
    return n;
}

/* The most that hear it within any WINDOW_MS of a drain of `left` sockets over spread_ms. */
static int drain(int first, int64_t spread_ms)
{
    int window[WINDOW_MS / STEP_MS] = {0}, sum = 0, most = 0, all = 0, left = SOCKETS - first;
    worker_drain(&thread, spread_ms);
    turns(1);
    for (int step = 0; step * STEP_MS <= spread_ms; step++) {
        int *at = &window[step % (WINDOW_MS / STEP_MS)];
        turns(3);
        sum -= *at;
        *at = newly_told(first);
        sum += *at;
        all += *at;
        most = sum > most ? sum : most;
        clock_ms += STEP_MS;
    }
    assert_int_equal(all, left);
    turns(3);
    assert_int_equal(atomic_load(&node.connections), 0);
    return most;
}

static void no_burst(void **state)
{
    (void)state;
    connect_all();
    assert_in_range(drain(0, SPREAD_MS), 1, 2 * SOCKETS * WINDOW_MS / SPREAD_MS);
}

/* A node that was fuller once: the sockets that are left lie close together in its slots. */
static void no_burst_after_a_peak(void **state)
{
    enum { GONE = SOCKETS * 7 / 10 };
    (void)state;
    connect_all();
    for (int i = 0; i < GONE; i++)
        close(client[i]);
    turns(10);
    assert_int_equal(atomic_load(&node.connections), SOCKETS - GONE);
    int most = drain(GONE, SPREAD_MS);
    assert_in_range(most, 1, 2 * (SOCKETS - GONE) * WINDOW_MS / SPREAD_MS);
}

static void few_are_told_at_once(void **state)
{
    (void)state;
    connect_all();
    assert_int_equal(drain(0, 0), SOCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_burst, begin, end),
        cmocka_unit_test_setup_teardown(no_burst_after_a_peak, begin, end),
        cmocka_unit_test_setup_teardown(few_are_told_at_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
