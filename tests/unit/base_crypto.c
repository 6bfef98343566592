/* tests/unit/base_crypto.c - signatures of the protocol (websocket-protocol §8.2), digests, text.
 */
#include "base/crypto.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define HEX(n, bytes, text)                                                                        \
    do {                                                                                           \
        char hex_[2 * (n)];                                                                        \
        crypto_hex(bytes, n, hex_);                                                                \
        assert_memory_equal(hex_, text, 2 * (n));                                                  \
    } while (0)

/* ---- HMAC ----------------------------------------------------------------------------------- */

static const struct {
    str text;
    const char *hex;
} vectors[] = {
    {STR("8410.27461:private-orders.42"),
     "22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22"},
    {STR("8410.27461:private-encrypted-notes"),
     "f745334d4347295666fa8b1332293ecc0d6f83e27d26ebe678f43bd45e9afc1c"},
    {STR("8410.27461:private-cache-prices"),
     "f72dfa7ee983541dcb9d724eff0dff444558b2baaa1aee9b1fee69f5c4562e64"},
    {STR("8410.27461:presence-room-1:{\"user_id\":\"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}"
         "}"),
     "6796e615f3618bd27fd652d9cc3e92b9d8b0ef33940c22756e5708d8ca875ceb"},
    {STR("8410.27461:presence-room-1:{\"user_id\":7}"),
     "43cc714829a0f8d2d08f634ca7e4fe057ed0c048c2f394ef56a2cfe61cdf4630"},
    {STR("8410.27461:presence-room-1:{\"user_id\":\"7\",\"user_info\":{\"avatar\":"
         "\"https:\\/\\/x.test\\/a.png\"}}"),
     "fc2d9cc3035023fef1eedbe3032509e7b2da7273bfc5ec54ed5b7b146b3f2c3c"},
    {STR("8410.27461:presence-cache-room:{\"user_id\":\"u-7\",\"user_info\":{\"name\":"
         "\"Zo\xc3\xab\"}}"),
     "7c02d7ce9e09a0ab692177eed4e3dded350a5901604a4a4bbd9ee46cbb8cb7df"},
    {STR("8410.27461:presence-room-1"),
     "98584330a9e076562d8bc08a1740e1a8e25876fa2bd21064e9f012dd65e43d55"},
    {STR("8410.27461::user::{\"id\":\"u-7\"}"),
     "c59a01e8de1c79a3daaeb966e0125f4c4db7dc7d298093d51a5916faf32e66d0"},
    {STR("8410.27461::user::{\"id\":\"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"},"
         "\"watchlist\":[\"u-8\",\"u-9\"]}"),
     "f2d38f232c16a02000dafe93dae4e724150a4f74096e1a38439eb9a13f03d4b2"},
};

/* One context, all vectors, cut at each place into parts (WS-53, WS-58). */
static void test_hmac_of_the_protocol(void **state)
{
    struct hmac *h = hmac_create(S("s3cr3t-0f-the-d3m0-app"));
    uint8_t out[HMAC_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        for (size_t cut = 0; cut <= vectors[i].text.n; cut++) {
            str parts[] = {
                str_of(vectors[i].text.p, cut), {NULL, 0}, str_from(vectors[i].text, cut)};
            hmac_sign(h, parts, COUNT_OF(parts), out);
            HEX(HMAC_BYTES, out, vectors[i].hex);
        }
    hmac_destroy(&h);
    assert_null(h);
    hmac_destroy(&h);
}

static void test_hmac_of_the_documentation(void **state)
{
    struct hmac *h = hmac_create(S("7ad3773142a6692b25b8"));
    uint8_t out[HMAC_BYTES];
    (void)state;
    hmac_sign(h, (const str[]){S("1234.1234:private-foobar")}, 1, out);
    HEX(HMAC_BYTES, out, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4");
    hmac_destroy(&h);
}

/* RFC 4231 cases 2 and 6 (key longer than a block); then nothing at all. */
static void test_hmac_keys(void **state)
{
    char key[131];
    uint8_t out[HMAC_BYTES];
    (void)state;
    struct hmac *h = hmac_create(S("Jefe"));
    hmac_sign(h, (const str[]){S("what do ya want "), S("for nothing?")}, 2, out);
    HEX(HMAC_BYTES, out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_destroy(&h);
    memset(key, 0xaa, sizeof key);
    h = hmac_create(str_of(key, sizeof key));
    hmac_sign(h, (const str[]){S("Test Using Larger Than Block-Size Key - Hash Key First")}, 1,
              out);
    HEX(HMAC_BYTES, out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_destroy(&h);
    h = hmac_create((str){NULL, 0});
    for (int i = 0; i < 2; i++) {
        hmac_sign(h, NULL, 0, out);
        HEX(HMAC_BYTES, out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    }
    hmac_destroy(&h);
}

static void test_two_keys_at_a_time(void **state)
{
    struct hmac *one = hmac_create(S("s3cr3t-0f-the-d3m0-app")), *two = hmac_create(S("Jefe"));
    uint8_t a[HMAC_BYTES], b[HMAC_BYTES];
    (void)state;
    for (int i = 0; i < 3; i++) {
        hmac_sign(two, (const str[]){S("what do ya want for nothing?")}, 1, b);
        hmac_sign(one, &vectors[0].text, 1, a);
        HEX(HMAC_BYTES, a, vectors[0].hex);
        HEX(HMAC_BYTES, b, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    hmac_destroy(&one);
    hmac_destroy(&two);
}

/* ---- digests, text -------------------------------------------------------------------------- */

static void test_digests(void **state)
{
    uint8_t out[32];
    (void)state;
    for (int i = 0; i < 2; i++) {
        crypto_md5(S("abc"), out);
        HEX(16, out, "900150983cd24fb0d6963f7d28e17f72");
        crypto_md5((str){NULL, 0}, out);
        HEX(16, out, "d41d8cd98f00b204e9800998ecf8427e");
        crypto_sha1(S("abc"), out);
        HEX(20, out, "a9993e364706816aba3e25717850c26c9cd0d89d");
        crypto_sha256(S("abc"), out);
        HEX(32, out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    /* RFC 6455 §1.3 */
    char text[CRYPTO_BASE64_SIZE(20)];
    crypto_sha1(S("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), out);
    assert_int_equal(crypto_base64(str_of(out, 20), text), 28);
    assert_memory_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
}

static void *digest_elsewhere(void *arg)
{
    (void)arg;
    test_digests(NULL);
    return NULL;
}

static void test_digests_of_a_thread_that_ends(void **state)
{
    pthread_t t;
    (void)state;
    assert_int_equal(pthread_create(&t, NULL, digest_elsewhere, NULL), 0);
    pthread_join(t, NULL);
}

/* RFC 4648 §10 */
static void test_base64(void **state)
{
    static const char *const rows[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    char out[9];
    (void)state;
    for (size_t n = 0; n < COUNT_OF(rows); n++) {
        memset(out, '#', sizeof out);
        assert_int_equal(crypto_base64(str_of("foobar", n), out), CRYPTO_BASE64_SIZE(n));
        assert_memory_equal(out, rows[n], CRYPTO_BASE64_SIZE(n));
        assert_int_equal(out[CRYPTO_BASE64_SIZE(n)], '#');
    }
    assert_int_equal(crypto_base64(S("\xff\xef\xbe"), out), 4);
    assert_memory_equal(out, "/+++", 4);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal(S(""), (str){NULL, 0}));
    assert_true(crypto_equal(S("a\0b"), S("a\0b")));
    assert_false(crypto_equal(S("a\0b"), S("a\0c")));
    assert_false(crypto_equal(S("abc"), S("abcd")));
    assert_false(crypto_equal(S("abc"), S("ABC")));
}

/* ---- random bytes --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void test_random_does_not_repeat(void **state)
{
    static uint8_t got[4000][8];
    uint8_t large[1000] = {0}, zero[64] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(got); i++)
        crypto_random(got[i], 8);
    qsort(got, COUNT_OF(got), 8, by_value);
    for (size_t i = 1; i < COUNT_OF(got); i++)
        assert_true(memcmp(got[i - 1], got[i], 8) != 0);
    crypto_random(large, sizeof large);
    assert_true(memcmp(large + sizeof large - 64, zero, 64) != 0);
    crypto_random(NULL, 0);
}

static void test_random_differs_after_a_fork(void **state)
{
    uint8_t first, ours[16], theirs[16] = {0};
    int fds[2];
    (void)state;
    crypto_random(&first, 1); /* the pool is filled */
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        crypto_random(ours, sizeof ours);
        _exit(write(fds[1], ours, sizeof ours) == (ssize_t)sizeof ours ? 0 : 1);
    }
    crypto_random(ours, sizeof ours);
    assert_int_equal(read(fds[0], theirs, sizeof theirs), sizeof theirs);
    assert_true(memcmp(ours, theirs, sizeof ours) != 0);
    waitpid(child, NULL, 0);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_of_the_protocol),
        cmocka_unit_test(test_hmac_of_the_documentation),
        cmocka_unit_test(test_hmac_keys),
        cmocka_unit_test(test_two_keys_at_a_time),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_digests_of_a_thread_that_ends),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_random_does_not_repeat),
        cmocka_unit_test(test_random_differs_after_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
