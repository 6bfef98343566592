/* unit/server_worker - sockets that were handed to a worker that has ended meanwhile. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late_sockets_are_closed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
