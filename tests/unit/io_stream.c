/* unit/io_stream - TLS under a stream: cut records, full sockets, budgets, farewells, new sets. */
#include "io/stream.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "support/loop_owners.h"
#include "support/tls_peer.h"

enum { HEARD_MAX = 512 * 1024 };

static char folder[] = "/tmp/io-stream-XXXXXX";
static struct loop loop;
static struct stream_pool pool;
static int64_t now_ms;
static struct err e;

/* ---- a user that notes what it hears ---- */

struct item {
    struct stream stream;
    size_t heard;
};
static char heard[HEARD_MAX];
static size_t heard_n, calls, largest, gone_count, drained_count, echo;

static size_t on_data(struct stream *s, char *in, size_t n, bool *more)
{
    (void)more;
    calls++;
    largest = n > largest ? n : largest;
    ((struct item *)s)->heard += n;
    if (heard_n + n <= sizeof heard)
        memcpy(heard + heard_n, in, n);
    heard_n += n;
    if (echo) {
        struct frame *f = frame_of(str_of(in, n));
        stream_send(s, f);
        frame_unref(f);
    }
    return n;
}

static void on_timer(struct stream *s)
{
    stream_close(s);
}

static void on_gone(struct stream *s)
{
    (void)s;
    gone_count++;
}

static void on_full(struct stream *s)
{
    stream_drop_output(s);
}

static void on_drained(struct stream *s)
{
    (void)s;
    drained_count++;
}

static const struct stream_user user = {
    .data = on_data, .timer = on_timer, .gone = on_gone, .full = on_full, .drained = on_drained};

/* ---- the loop ---- */

static int64_t clock_now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static void turn(void)
{
    loop_turn(&loop, 0);
}

static struct tls_set *set_load(const char *name)
{
    static char cert[64], key[64];
    snprintf(cert, sizeof cert, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    struct tls_certificate c = {str_z(cert), str_z(key), STR("")};
    struct tls_options o = {&c, 1, false};
    struct tls_set *t = tls_set_load(&o, &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}

static int group_begin(void **state)
{
    (void)state;
    struct rlimit r;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    tls_peer_files("one.pem", "one.key", "one", "", NULL);
    tls_peer_files("two.pem", "two.key", "two", "", NULL);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static int begin(void **state)
{
    (void)state;
    now_ms = 1000;
    heard_n = calls = largest = gone_count = drained_count = echo = 0;
    if (!loop_init(&loop, &pool_owner, &pool, clock_now, NULL, &e))
        return -1;
    stream_pool_init(&pool, &loop, 0, sizeof(struct item));
    pool.tls = set_load("one");
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_pool_finish(&pool);
    loop_finish(&loop);
    return 0;
}

/* ---- both ends of a connection ---- */

struct ends {
    int fd; /* the client's */
    struct stream *s;
    struct tls_peer *peer;
};

static struct ends opened_with(const struct tls_peer_options *o, int buffer)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    if (buffer)
        setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    struct ends c = {fd[0], stream_open(&pool, fd[1], &user), tls_peer_create(o)};
    assert_non_null(c.s);
    stream_secure(c.s, pool.tls);
    return c;
}

static void to_server(struct ends *c)
{
    char bytes[65536];
    size_t n;
    while ((n = tls_peer_take(c->peer, bytes, sizeof bytes)) > 0)
        for (size_t sent = 0; sent < n;) {
            ssize_t took = send(c->fd, bytes + sent, n - sent, MSG_NOSIGNAL);
            if (took < 0)
                turn(); /* the socket is full: the server reads */
            else
                sent += (size_t)took;
        }
}

static void to_client(struct ends *c)
{
    char bytes[65536];
    ssize_t n;
    while ((n = recv(c->fd, bytes, sizeof bytes, 0)) > 0)
        tls_peer_give(c->peer, bytes, (size_t)n);
}

static bool shake(struct ends *c)
{
    for (int i = 0; i < 10; i++) {
        bool done = tls_peer_handshake(c->peer);
        to_server(c);
        turn();
        to_client(c);
        if (done && !c->s->handshaking)
            return true;
    }
    return false;
}

static struct ends connected(int version, int buffer)
{
    struct tls_peer_options o = {.max_version = version};
    struct ends c = opened_with(&o, buffer);
    assert_true(shake(&c));
    return c;
}

static void close_ends(struct ends *c)
{
    tls_peer_destroy(&c->peer);
    close(c->fd);
    turn();
}

static void server_says(struct stream *s, const char *bytes, size_t n)
{
    struct frame *f = frame_of(str_of(bytes, n));
    stream_send(s, f);
    frame_unref(f);
}

static void pattern(char *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(i * 7 + i / 251);
}

/* ---- tests ---- */

/* SEC-27: whatever the cuts, the same bytes come out; buffers are released in between. */
static void records_are_cut_at_each_byte(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct ends c = connected(version, 0);
        char bytes[512];
        heard_n = 0;
        size_t n = 2, said = 0;
        for (size_t cut = 1; cut < n; cut++) {
            tls_peer_write(c.peer, "first", 5);
            tls_peer_write(c.peer, "and the second", 14);
            said += 19;
            n = tls_peer_take(c.peer, bytes, sizeof bytes);
            assert_true(n > 19 && n < sizeof bytes);
            assert_int_equal(send(c.fd, bytes, cut, 0), (ssize_t)cut);
            turn();
            turn();
            assert_int_equal(send(c.fd, bytes + cut, n - cut, 0), (ssize_t)(n - cut));
            turn();
            turn(); /* OpenSSL takes no more than the record that it has begun */
            assert_int_equal(heard_n, said);
            assert_memory_equal(heard + said - 19, "firstand the second", 19);
        }
        close_ends(&c);
        assert_int_equal(pool.live, 0);
    }
}

static void handshakes_are_cut_at_each_byte(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_peer_options o = {.max_version = version};
        struct ends c = opened_with(&o, 0);
        char byte;
        bool done = false;
        for (int i = 0; i < 10 && !(done && !c.s->handshaking); i++) {
            done = tls_peer_handshake(c.peer);
            if (done)
                tls_peer_write(c.peer, "x", 1); /* close behind the last message */
            while (tls_peer_take(c.peer, &byte, 1) == 1) {
                assert_int_equal(send(c.fd, &byte, 1, 0), 1);
                turn();
            }
            to_client(&c);
        }
        turn();
        assert_true(done && heard_n >= 1);
        heard_n = 0;
        close_ends(&c);
    }
    assert_int_equal(pool.live, 0);
}

/* What is sent in one turn is one record, however many frames; all comes in order. */
static void frames_are_joined_into_records(void **state)
{
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    char bytes[4096], text[2048];
    for (int i = 0; i < 100; i++)
        server_says(c.s, "0123456789", 10);
    turn();
    ssize_t n = recv(c.fd, bytes, sizeof bytes, 0);
    assert_int_equal(n, 1000 + 22); /* header 5, inner type 1, tag 16 */
    tls_peer_give(c.peer, bytes, (size_t)n);
    assert_int_equal(tls_peer_read(c.peer, text, sizeof text), 1000);
    assert_true(drained_count > 0);
    close_ends(&c);
}

/* A socket that takes little: every byte arrives, once, in order, though frames are added while
 * OpenSSL holds a record, and sizes are around those of records. */
static void output_survives_full_sockets(void **state)
{
    static const size_t sizes[] = {1, 100, 16383, 16384, 16385, 5, 40000, 8192, 7, 70000};
    static char said[300000], got[300000];
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct ends c = connected(version, 4096);
        size_t n = 0, have = 0;
        bool was_blocked = false;
        pattern(said, sizeof said);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            server_says(c.s, said + n, sizes[i]);
            n += sizes[i];
            turn();
            was_blocked |= stream_is_blocked(c.s);
        }
        assert_true(was_blocked);
        for (int i = 0; i < 10000 && have < n; i++) {
            char bytes[1000];
            ssize_t came = recv(c.fd, bytes, sizeof bytes, 0);
            if (came > 0)
                tls_peer_give(c.peer, bytes, (size_t)came);
            int r = tls_peer_read(c.peer, got + have, sizeof got - have);
            assert_true(r >= 0);
            have += (size_t)r;
            turn();
        }
        assert_int_equal(have, n);
        assert_memory_equal(got, said, n);
        assert_false(stream_has_output(c.s));
        assert_int_equal(pool.unsent, 0);
        close_ends(&c);
    }
}

/* What is dropped leaves no hole inside a record or a frame: what follows can still be read. */
static void dropped_output_leaves_whole_frames(void **state)
{
    static char frame[1000], got[300000];
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 4096);
    for (int i = 0; i < 200; i++) {
        memset(frame, 'a' + i % 26, sizeof frame);
        server_says(c.s, frame, sizeof frame);
        if (i % 10 == 0)
            turn();
    }
    assert_true(stream_is_blocked(c.s));
    stream_drop_output(c.s);
    memset(frame, '!', sizeof frame);
    server_says(c.s, frame, sizeof frame);
    size_t have = 0;
    for (int i = 0; i < 1000; i++) {
        turn();
        to_client(&c);
        int r = tls_peer_read(c.peer, got + have, sizeof got - have);
        assert_true(r >= 0);
        have += (size_t)r;
    }
    assert_true(have >= 2000 && have < 200000 && have % 1000 == 0);
    for (size_t i = 0; i < have; i++)
        assert_int_equal(got[i], got[i / 1000 * 1000]);
    assert_int_equal(got[have - 1], '!');
    close_ends(&c);
}

/* 400 KB at once: at most STREAM_READ a turn, and what OpenSSL has read ahead is not forgotten. */
static void input_has_a_budget(void **state)
{
    static char said[200000];
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    pattern(said, sizeof said);
    tls_peer_write(c.peer, said, sizeof said);
    to_server(&c);
    assert_true(largest <= STREAM_READ);
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(heard_n, sizeof said);
    assert_memory_equal(heard, said, sizeof said);
    close_ends(&c);
}

/* While paused nothing is heard, also of what lies inside OpenSSL; afterwards all of it. */
static void paused_input_waits(void **state)
{
    static char said[100000];
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    pattern(said, sizeof said);
    for (size_t i = 0; i < sizeof said; i += 1000)
        tls_peer_write(c.peer, said + i, 1000);
    char bytes[150000];
    size_t n = tls_peer_take(c.peer, bytes, sizeof bytes), sent = 0;
    while (sent < n) {
        ssize_t took = send(c.fd, bytes + sent, n - sent > 3000 ? 3000 : n - sent, 0);
        sent += took > 0 ? (size_t)took : 0;
        stream_resume(c.s);
        turn();
        stream_pause(c.s);
        size_t before = heard_n;
        turn();
        assert_int_equal(heard_n, before);
    }
    stream_resume(c.s);
    for (int i = 0; i < 20; i++)
        turn();
    assert_int_equal(heard_n, sizeof said);
    assert_memory_equal(heard, said, sizeof said);
    close_ends(&c);
}

/* Security R19: sixteen steps a turn, the others in their order in the next. */
static void handshakes_are_sliced(void **state)
{
    enum { N = 50 };
    static struct ends c[N];
    struct tls_peer_options o = {0};
    (void)state;
    for (int i = 0; i < N; i++) {
        c[i] = opened_with(&o, 0);
        tls_peer_handshake(c[i].peer);
        to_server(&c[i]);
    }
    for (int round = 1; round <= 4; round++) {
        int answered = 0;
        turn();
        for (int i = 0; i < N; i++) {
            char byte;
            answered += recv(c[i].fd, &byte, 1, MSG_PEEK) == 1;
        }
        assert_int_equal(answered, round * STREAM_HANDSHAKES < N ? round * STREAM_HANDSHAKES : N);
    }
    for (int i = 0; i < N; i++) {
        to_client(&c[i]);
        assert_true(shake(&c[i]));
        close_ends(&c[i]);
    }
    assert_int_equal(pool.live, 0);
}

/* Security R1: absolute, bytes do not extend it. */
static void handshakes_have_a_deadline(void **state)
{
    struct tls_peer_options o = {0};
    char byte;
    (void)state;
    struct ends c = opened_with(&o, 0), silent = opened_with(&o, 0);
    tls_peer_handshake(c.peer);
    while (now_ms < 1000 + STREAM_HANDSHAKE_MS - 100) {
        assert_int_equal(tls_peer_take(c.peer, &byte, 1), 1);
        assert_int_equal(send(c.fd, &byte, 1, 0), 1);
        now_ms += 500;
        turn();
        assert_int_equal(pool.live, 2);
    }
    now_ms = 1000 + STREAM_HANDSHAKE_MS + 1000;
    turn();
    assert_int_equal(pool.live, 0);
    assert_int_equal(gone_count, 2);
    close_ends(&c);
    close_ends(&silent);
}

static void other_protocols_are_turned_away(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct tls_peer_options o = {0}, old = {.max_version = TLS1_1_VERSION};
    (void)state;
    struct ends c = opened_with(&o, 0);
    assert_int_equal(send(c.fd, request, sizeof request - 1, 0), (ssize_t)sizeof request - 1);
    turn();
    assert_int_equal(gone_count, 1);
    close_ends(&c);
    c = opened_with(&old, 0);
    assert_false(tls_peer_handshake(c.peer));
    to_server(&c);
    turn();
    to_client(&c);
    assert_false(tls_peer_handshake(c.peer));
    assert_true(tls_peer_is_refused(c.peer)); /* SEC-27: heard the alert */
    assert_int_equal(gone_count, 2);
    close_ends(&c);
    assert_int_equal(heard_n, 0);
}

/* What was queued leaves, then close_notify, then the end of TCP. */
static void ends_are_announced(void **state)
{
    char text[64];
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    server_says(c.s, "farewell", 8);
    stream_end(c.s, 1000);
    turn();
    to_client(&c);
    assert_int_equal(tls_peer_read(c.peer, text, sizeof text), 8);
    assert_int_equal(tls_peer_read(c.peer, text, sizeof text), -1);
    assert_int_equal(recv(c.fd, text, sizeof text, 0), 0);
    close_ends(&c);
    assert_int_equal(pool.live, 0);
    c = connected(TLS1_2_VERSION, 0);
    stream_close(c.s);
    to_client(&c);
    assert_int_equal(tls_peer_read(c.peer, text, sizeof text), -1);
    close_ends(&c);
}

/* Bytes and the peer's end in one read: the bytes first, then the end, though no event tells. */
static void the_end_behind_data_is_seen(void **state)
{
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    tls_peer_write(c.peer, "last words", 10);
    to_server(&c);
    tls_peer_end(c.peer);
    to_server(&c);
    for (int i = 0; i < 3; i++)
        turn();
    assert_int_equal(heard_n, 10);
    assert_int_equal(gone_count, 1);
    assert_int_equal(pool.live, 0);
    close_ends(&c);
}

/* A client that begins a message and never ends it stops our writing without making us spin. */
static void half_a_key_update_is_no_storm(void **state)
{
    char bytes[256], text[64];
    (void)state;
    struct ends c = connected(TLS1_3_VERSION, 0);
    tls_peer_key_update(c.peer);
    size_t n = tls_peer_take(c.peer, bytes, sizeof bytes);
    assert_true(n > 10);
    assert_int_equal(send(c.fd, bytes, 10, 0), 10);
    turn();
    server_says(c.s, "hello", 5);
    turn();
    assert_int_equal(send(c.fd, bytes + 10, n - 10, 0), (ssize_t)(n - 10));
    for (int i = 0; i < 3; i++)
        turn();
    to_client(&c);
    assert_int_equal(tls_peer_read(c.peer, text, sizeof text), 5);
    assert_false(c.s->want_write);
    close_ends(&c);
}

/* Design §8: certificates are swapped ten times under a thousand connections. */
static void a_thousand_sockets_outlive_ten_swaps(void **state)
{
    enum { N = 1000, SWAPS = 10 };
    static struct ends c[N];
    (void)state;
    for (int i = 0; i < N; i++)
        c[i] = connected(i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION, 0);
    for (int swap = 0; swap < SWAPS; swap++) {
        tls_set_unref(&pool.tls);
        pool.tls = set_load(swap % 2 ? "one" : "two");
        struct ends fresh = connected(0, 0);
        assert_string_equal(tls_peer_server(fresh.peer), swap % 2 ? "one" : "two");
        close_ends(&fresh);
        for (int i = 0; i < N; i++) {
            tls_peer_write(c[i].peer, "x", 1);
            to_server(&c[i]);
        }
        for (int i = 0; i < 4; i++)
            turn();
    }
    assert_int_equal(pool.live, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(((struct item *)c[i].s)->heard, SWAPS);
        assert_string_equal(tls_peer_server(c[i].peer), "one");
        close_ends(&c[i]);
    }
    turn();
    assert_int_equal(pool.live, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(records_are_cut_at_each_byte),
        TEST(handshakes_are_cut_at_each_byte),
        TEST(frames_are_joined_into_records),
        TEST(output_survives_full_sockets),
        TEST(dropped_output_leaves_whole_frames),
        TEST(input_has_a_budget),
        TEST(paused_input_waits),
        TEST(handshakes_are_sliced),
        TEST(handshakes_have_a_deadline),
        TEST(other_protocols_are_turned_away),
        TEST(ends_are_announced),
        TEST(the_end_behind_data_is_seen),
        TEST(half_a_key_update_is_no_storm),
        TEST(a_thousand_sockets_outlive_ten_swaps),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
