/* tests/unit/base_hash.c - pairs cannot be confused, seeds matter, keyed hashes are stable. */
#include "base/hash.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void test_bytes(void **state)
{
    static char text[2000];
    (void)state;
    assert_true(hash_bytes(S("channel")) == hash_bytes(S("channel")));
    assert_true(hash_bytes(S("channel")) != hash_bytes(S("channem")));
    assert_true(hash_bytes((str){NULL, 0}) == hash_bytes(S("")));
    for (size_t n = 1; n < sizeof text; n++) /* every length class of XXH3 */
        assert_true(hash_bytes(str_of(text, n)) != hash_bytes(str_of(text, n - 1)));
}

static void test_pairs(void **state)
{
    (void)state;
    assert_true(hash_two(S("ab"), S("c")) != hash_two(S("a"), S("bc")));
    assert_true(hash_two(S("a"), S("")) != hash_two(S(""), S("a")));
    assert_true(hash_two(S("a"), S("b")) != hash_two(S("b"), S("a")));
    assert_true(hash_two(S("a"), S("b")) == hash_two(S("a"), S("b")));
    assert_true(hash_keyed(1, S("ab"), S("c")) != hash_keyed(1, S("a"), S("bc")));
    assert_true(hash_keyed(1, S("a"), S("b")) != hash_keyed(1, S("b"), S("a")));
    assert_true(hash_keyed(1, S("a"), S("b")) != hash_keyed(2, S("a"), S("b")));
}

/* All nodes of a cluster compute it: this number must never change. */
static void test_keyed_is_stable(void **state)
{
    (void)state;
    assert_true(hash_keyed(42, S("app"), S("presence-room")) == 0x00a6a8a2f5a9d5b3u);
}

/* Names spread over partitions: none of 1,024 gets far more than its share of 65,536. */
static void test_spread(void **state)
{
    static unsigned counts[1024];
    (void)state;
    for (unsigned i = 0; i < 65536; i++)
        counts[hash_keyed(7, S("app"), str_of(&i, sizeof i)) % 1024]++;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        assert_in_range(counts[i], 16, 128);
}

/* The secret belongs to the process that made it: a fork keeps it, all threads share it. */
static void *hash_elsewhere(void *out)
{
    *(uint64_t *)out = hash_bytes(S("x"));
    return NULL;
}

static void test_threads_agree(void **state)
{
    pthread_t t[4];
    uint64_t got[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hash_elsewhere, &got[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        assert_true(got[i] == hash_bytes(S("x")));
    }
}

/* Forks before the first hash make their own secrets. Runs first. */
static uint64_t hash_of_new_process(void)
{
    int fds[2];
    uint64_t h = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        h = hash_bytes(S("x"));
        _exit(write(fds[1], &h, sizeof h) == (ssize_t)sizeof h ? 0 : 1);
    }
    assert_int_equal(read(fds[0], &h, sizeof h), sizeof h);
    waitpid(child, NULL, 0);
    close(fds[0]);
    close(fds[1]);
    return h;
}

static void test_processes_differ(void **state)
{
    (void)state;
    assert_true(hash_of_new_process() != hash_of_new_process());
}

/* SEC-16: names that lie in one of 1,024 partitions without the key lie in all of them with it. */
static void test_names_cannot_be_aimed(void **state)
{
    enum { NAMES = 20000, PARTITIONS = 1024 };
    static unsigned hits[PARTITIONS];
    unsigned made = 0, most = 0;
    (void)state;
    for (unsigned i = 0; made < NAMES; i++) {
        char name[24];
        str s = str_of(name, (size_t)snprintf(name, sizeof name, "room-%u", i));
        if (hash_keyed(0, S("app"), s) % PARTITIONS != 7)
            continue;
        made++;
        unsigned n = ++hits[hash_keyed(0x9e3779b97f4a7c15u, S("app"), s) % PARTITIONS];
        most = n > most ? n : most;
    }
    assert_true(most < 4 * NAMES / PARTITIONS); /* 20 each; random names reach about 40 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes_differ),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_keyed_is_stable),
        cmocka_unit_test(test_names_cannot_be_aimed),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
