/* unit/server_worker - sockets that were handed to a worker that has ended meanwhile; how many the
 * metrics listener may have. */
#include "server/worker.h"

#include "api/headless.h"
#include "io/sock.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 3, ACCEPTS = 2 };

static struct {
    struct node node;
    struct worker_thread threads[WORKERS];
    uint16_t port;
    int peers[WORKERS];
} t;

static void begin(void)
{
    struct err e;
    struct sock_address at;
    app_lives_init(&t.node.lives);
    t.node.settings = settings_create();
    t.node.settings->ipv6_prefix = 64;
    t.node.worker_count = WORKERS;
    t.node.headless = headless_create(100);
    node_use(&t.node);
    for (uint16_t i = 0; i < WORKERS; i++)
        assert_true(worker_init(&t.threads[i], &t.node, i, NULL, NULL, &e));
    assert_true(sock_resolve(S("127.0.0.1"), 0, &at, &e));
    int fd = sock_listen(&at, false, &e);
    assert_true(fd >= 0);
    t.port = sock_port(fd);
    assert_true(worker_listen(&t.threads[ACCEPTS], fd, HTTP_MAIN, &e));
}

/* Accepted by the busy one for `to`, which does not turn any more. */
static void connect_to(int to)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(t.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    t.peers[to] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(t.peers[to], (struct sockaddr *)&at, sizeof at), 0);
    for (int i = 0; i < WORKERS; i++)
        atomic_store(&t.threads[i].load, i == to ? 0 : 1000);
    atomic_store(&t.threads[ACCEPTS].load, 2000);
    worker_turn(&t.threads[ACCEPTS], 1000);
    assert_int_equal(t.threads[ACCEPTS].worker.pool.live, 0);
}

static void end(void)
{
    for (int i = 0; i < WORKERS; i++)
        worker_close_streams(&t.threads[i]);
    for (int i = 0; i < WORKERS; i++)
        worker_finish(&t.threads[i]);
    headless_destroy(&t.node.headless);
    app_lives_finish(&t.node.lives);
    settings_unref(&t.node.settings);
    node_use(NULL);
}

static void late_sockets_are_closed(void **state)
{
    char c;
    (void)state;
    begin();
    for (int i = 0; i < WORKERS; i++)
        if (i != ACCEPTS)
            connect_to(i);
    for (int i = 0; i < WORKERS; i++)
        t.threads[i].worker.loop.stop = true;
    end();
    for (int i = 0; i < WORKERS; i++) {
        if (i == ACCEPTS)
            continue;
        assert_int_equal(read(t.peers[i], &c, 1), 0);
        close(t.peers[i]);
    }
}

/* ---- the metrics listener ---- */

enum { HALF = 4, CLIENTS = 3 * HALF, PATIENCE = 2000 };

/* Asks and hears the answer, while nobody has more sockets than he may. */
static int asks(struct worker_thread *service, uint16_t port)
{
    static const char question[] = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[512];
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(write(fd, question, sizeof question - 1), sizeof question - 1);
    for (int i = 0; i < PATIENCE; i++) {
        worker_turn(service, 10);
        assert_in_range(service->worker.pool.live, 0, HALF);
        ssize_t n = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        if (n > 0) {
            assert_true(str_starts(str_of(answer, (size_t)n), S("HTTP/1.1 200 OK\r\n")));
            return fd;
        }
    }
    fail_msg("no answer");
    return -1;
}

/* It has half of the reserve; whoever idles there makes room for others. */
static void metrics_leave_the_reserve(void **state)
{
    static struct worker_thread service;
    struct err e;
    struct sock_address at;
    int clients[CLIENTS];
    char c;
    (void)state;
    memset(&t, 0, sizeof t);
    app_lives_init(&t.node.lives);
    t.node.settings = settings_create();
    t.node.full_fd = 1000;
    t.node.last_fd = 1000 + 2 * HALF;
    node_use(&t.node);
    assert_true(worker_init(&service, &t.node, t.node.worker_count, NULL, NULL, &e));
    assert_true(sock_resolve(S("127.0.0.1"), 0, &at, &e));
    int fd = sock_listen(&at, false, &e);
    assert_true(fd >= 0);
    assert_true(worker_listen(&service, fd, HTTP_METRICS, &e));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = asks(&service, sock_port(fd));
    assert_int_equal(recv(clients[0], &c, 1, MSG_DONTWAIT), 0);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    worker_close_streams(&service);
    worker_finish(&service);
    app_lives_finish(&t.node.lives);
    settings_unref(&t.node.settings);
    node_use(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late_sockets_are_closed),
                                       cmocka_unit_test(metrics_leave_the_reserve)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
