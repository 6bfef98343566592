/* unit/server_drain - a worker closes its sockets at an even rate: no step of the drain is a burst,
 * and the last one leaves when the spread is over (design §7; issue: at most twice the even rate).
 */
#include "support/test_node.h"

#include "api/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS = 1000, SPREAD_MS = 4000, STEP_MS = 10, WINDOW_MS = 100 };

static struct test_node rig;
static int64_t clock_ms;
static int client[SOCKETS];
static bool told[SOCKETS];

static int64_t test_clock(void *unused)
{
    (void)unused;
    return clock_ms;
}

static int begin(void **state)
{
    (void)state;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    clock_ms = 1000000;
    test_node_open(
        &rig, &(struct test_node_options){.workers = 1, .clock = test_clock, .app = test_app()});
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_node_close(&rig);
    return 0;
}

static void turns(int n)
{
    while (n-- > 0)
        worker_turn(&rig.threads[0], 0);
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
        assert_non_null(http_open(&rig.threads[0].worker, fd[1], HTTP_MAIN));
        assert_int_equal(send(fd[0], upgrade, sizeof upgrade - 1, 0), sizeof upgrade - 1);
        client[i] = fd[0];
        told[i] = false;
        turns(1);
    }
    turns(4);
    for (int i = 0; i < SOCKETS; i++)
        assert_true(hears(i, "connection_established", 22));
    assert_int_equal(atomic_load(&rig.node.connections), SOCKETS);
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
    worker_drain(&rig.threads[0], spread_ms);
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
    assert_int_equal(atomic_load(&rig.node.connections), 0);
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
    assert_int_equal(atomic_load(&rig.node.connections), SOCKETS - GONE);
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
