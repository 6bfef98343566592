/* unit/io_stream_end - how streams end under peers that read slowly or write on, and how slots are
 * given back (security.md R1, SEC-1, SEC-15; performance.md S6) */
#include "io/stream.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "support/loop_owners.h"

enum { LINGER_MS = 2000, BUFFER = 4096 };

static struct loop loop;
static struct stream_pool pool;
static int64_t now_ms;
static unsigned gone_count;

static size_t on_data(struct stream *s, char *in, size_t n, bool *more)
{
    (void)s, (void)in, (void)more;
    return n;
}
static void on_event(struct stream *s)
{
    (void)s;
}
static void on_gone(struct stream *s)
{
    (void)s;
    gone_count++;
}
static const struct stream_user user = {
    .data = on_data, .timer = on_event, .gone = on_gone, .full = on_event, .drained = on_event};

static int64_t clock_now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static int begin(void **state)
{
    struct err e;
    (void)state;
    now_ms = 1000;
    gone_count = 0;
    if (!loop_init(&loop, &pool_owner, &pool, clock_now, NULL, &e))
        return -1;
    stream_pool_init(&pool, &loop, 0, sizeof(struct stream) + 64);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_pool_finish(&pool);
    loop_finish(&loop);
    return 0;
}

static struct stream *opened(int *peer)
{
    int fd[2], size = BUFFER;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *peer = fd[0];
    struct stream *s = stream_open(&pool, fd[1], &user);
    assert_non_null(s);
    return s;
}

static void pass(int64_t ms)
{
    for (int64_t until = now_ms + ms; now_ms < until; now_ms += 500)
        loop_turn(&loop, 0);
    loop_turn(&loop, 0);
}

static void say(struct stream *s, size_t n)
{
    char *text = mem_zero(n);
    struct frame *f = frame_of(str_of(text, n));
    stream_send(s, f);
    frame_unref(f);
    free(text);
}

static size_t hear(int peer, size_t most)
{
    static char bytes[65536];
    size_t sum = 0;
    for (ssize_t n; sum < most && (n = recv(peer, bytes, sizeof bytes, 0)) > 0; sum += (size_t)n)
        loop_turn(&loop, 0);
    return sum;
}

/* Judged too slow in a walk, and then, in the same turn, all of its queue leaves: what its user
 * says at the end is still said (websocket-protocol.md §16). */
static void on_full_say(struct stream *s)
{
    stream_drop_output(s);
    say(s, 3);
    stream_end(s, LINGER_MS);
}
static const struct stream_user farewell = {
    .data = on_data, .timer = on_event, .gone = on_gone, .full = on_full_say, .drained = on_event};

static void a_late_reader_hears_the_farewell(void **state)
{
    enum { LARGE = 1 << 18 };
    static char bytes[LARGE];
    (void)state;
    int peer;
    struct stream *s = opened(&peer);
    s->user = &farewell;
    s->limited = true;
    pool.limits.max_messages = 2;
    say(s, LARGE);
    loop_turn(&loop, 0);
    say(s, LARGE);
    loop_turn(&loop, 0);
    assert_true(stream_is_blocked(s));
    say(s, 1);
    assert_int_equal(pool.dropped, 1);
    while (stream_is_blocked(s)) { /* the sockets of a turn come before its flush */
        assert_true(recv(peer, bytes, sizeof bytes, 0) > 0);
        stream_ready(&pool, (uint64_t)s->generation << 32 | s->slot, EPOLLOUT);
    }
    while (recv(peer, bytes, sizeof bytes, 0) > 0)
        ;
    pass(0);
    assert_int_equal(recv(peer, bytes, sizeof bytes, 0), 3);
    close(peer);
    pass(0);
}

/* An answer of a megabyte over a slow line takes longer than the lingering, and arrives. */
static void a_slow_reader_gets_all(void **state)
{
    enum { ALL = 1 << 20 };
    (void)state;
    int peer;
    size_t got = 0;
    struct stream *s = opened(&peer);
    say(s, ALL);
    stream_end(s, LINGER_MS);
    for (int i = 0; i < 200 && got < ALL; i++) {
        got += hear(peer, 16 * 1024);
        pass(5000);
    }
    assert_int_equal(got, ALL);
    pass(LINGER_MS + 1000);
    assert_int_equal(gone_count, 1);
    close(peer);
}

/* R1: one that takes nothing is cut, and so is one that takes a little each second. */
static void a_stalled_reader_is_cut(void **state)
{
    (void)state;
    for (int little = 0; little < 2; little++) {
        int peer;
        gone_count = 0;
        struct stream *s = opened(&peer);
        say(s, 1 << 20);
        stream_end(s, LINGER_MS);
        loop_turn(&loop, 0);
        for (int64_t t = 0; t < STREAM_STALL_MS - 1000; t += 1000) {
            char bytes[64];
            if (little)
                assert_true(recv(peer, bytes, sizeof bytes, 0) > 0);
            pass(1000);
        }
        assert_int_equal(gone_count, 0);
        pass(3000);
        assert_int_equal(gone_count, 1);
        close(peer);
    }
}

/* All has left: two seconds, or 64 KiB of what the peer still says. */
static void lingering_has_ends(void **state)
{
    (void)state;
    static char noise[16 * 1024];
    int peer;
    struct stream *s = opened(&peer);
    say(s, 100);
    stream_end(s, LINGER_MS);
    pass(LINGER_MS - 500);
    assert_int_equal(gone_count, 0);
    pass(1500);
    assert_int_equal(gone_count, 1);
    close(peer);
    s = opened(&peer);
    stream_end(s, LINGER_MS);
    for (size_t sent = 0; sent < STREAM_LINGER_DROP; sent += sizeof noise) {
        assert_int_equal(gone_count, 1);
        assert_int_equal(send(peer, noise, sizeof noise, MSG_NOSIGNAL), sizeof noise);
        loop_turn(&loop, 0);
        loop_turn(&loop, 0);
    }
    assert_int_equal(gone_count, 1);
    assert_int_equal(send(peer, noise, 1, MSG_NOSIGNAL), 1);
    loop_turn(&loop, 0);
    assert_int_equal(gone_count, 2);
    close(peer);
}

/* Chunks nobody needs are freed; a handle of before finds nobody in those that come again. */
static void trimmed_slots_forget_nobody(void **state)
{
    enum { N = 300 };
    (void)state;
    static int peers[N];
    static struct handle old[N];
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            struct handle h = stream_handle(opened(&peers[i]));
            for (int j = 0; round && j < N; j++)
                assert_false(h.slot == old[j].slot && h.generation == old[j].generation);
        }
        uint32_t chunks = pool.chunk_count;
        stream_pool_trim(&pool); /* all are in use but the rest of the last */
        for (uint32_t i = 0; i < N; i++)
            old[i] = stream_handle(stream_at(&pool, i));
        for (int i = 0; i < N; i++)
            close(peers[i]);
        for (uint32_t i = 0; i < N; i++)
            stream_close(stream_at(&pool, i));
        stream_pool_trim(&pool); /* what was freed in this turn may still be looked at */
        assert_non_null(pool.chunks[0]);
        loop_turn(&loop, 0);
        loop_turn(&loop, 0);
        loop_turn(&loop, 0);
        assert_int_equal(pool.live, 0);
        stream_pool_trim(&pool);
        for (uint32_t c = 0; c < chunks; c++)
            assert_null(pool.chunks[c]);
        for (int i = 0; i < N; i++)
            assert_null(stream_find(&pool, old[i]));
    }
}

/* One message in two encodings for sockets of both kinds by turns: still one sequence a kind. */
static void sequences_are_shared_by_kind(void **state)
{
    enum { N = 6 };
    struct stream *s[N];
    int peer[N];
    struct frame *encoded[] = {frame_of(S("plain")), frame_of(S("small"))};
    (void)state;
    for (int i = 0; i < N; i++) {
        s[i] = opened(&peer[i]);
        s[i]->deflate = i % 2;
        stream_send(s[i], encoded[i % 2]);
    }
    for (int i = 2; i < N; i++)
        assert_ptr_equal(s[i]->out, s[i - 2]->out);
    loop_turn(&loop, 0);
    for (int i = 0; i < N; i++)
        close(peer[i]);
    frame_unref(encoded[0]);
    frame_unref(encoded[1]);
    pass(0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_late_reader_hears_the_farewell), TEST(a_slow_reader_gets_all),
        TEST(a_stalled_reader_is_cut),          TEST(lingering_has_ends),
        TEST(trimmed_slots_forget_nobody),      TEST(sequences_are_shared_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
