/* unit/pusher_sign - authentication strings against the vectors of websocket-protocol.md §8.2 */
#include "pusher/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KEY "a1b2c3d4e5f60718293a"

struct vector {
    str channel, data, hex;
};
static const struct vector vectors[] = {
    /* A-H */
    {STR("private-orders.42"), STR(""),
     STR("22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22")},
    {STR("private-encrypted-notes"), STR(""),
     STR("f745334d4347295666fa8b1332293ecc0d6f83e27d26ebe678f43bd45e9afc1c")},
    {STR("private-cache-prices"), STR(""),
     STR("f72dfa7ee983541dcb9d724eff0dff444558b2baaa1aee9b1fee69f5c4562e64")},
    {STR("presence-room-1"), STR("{\"user_id\":\"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}"),
     STR("6796e615f3618bd27fd652d9cc3e92b9d8b0ef33940c22756e5708d8ca875ceb")},
    {STR("presence-room-1"), STR("{\"user_id\":7}"),
     STR("43cc714829a0f8d2d08f634ca7e4fe057ed0c048c2f394ef56a2cfe61cdf4630")},
    {STR("presence-room-1"),
     STR("{\"user_id\":\"7\",\"user_info\":{\"avatar\":\"https:\\/\\/x.test\\/a.png\"}}"),
     STR("fc2d9cc3035023fef1eedbe3032509e7b2da7273bfc5ec54ed5b7b146b3f2c3c")},
    {STR("presence-cache-room"),
     STR("{\"user_id\":\"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}"),
     STR("7c02d7ce9e09a0ab692177eed4e3dded350a5901604a4a4bbd9ee46cbb8cb7df")},
    {STR("presence-room-1"), STR(""),
     STR("98584330a9e076562d8bc08a1740e1a8e25876fa2bd21064e9f012dd65e43d55")},
};

static struct hmac *hmac;

static bool check(const struct vector *v, const char *auth)
{
    return sign_check_channel(hmac, S(KEY), S("8410.27461"), v->channel, v->data,
                              channel_kind(v->channel), str_z(auth));
}

/* WS-53, WS-55, WS-58: each is accepted as it is and with nothing changed */
static void ws53_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char auth[128];
        size_t n = sizeof KEY - 1;
        memcpy(auth, KEY ":", n + 1);
        memcpy(auth + n + 1, vectors[i].hex.p, 65);
        assert_true(check(&vectors[i], auth));
        for (size_t at = 0; at < n + 65; at++) {
            char kept = auth[at];
            auth[at] = kept == '0' ? '1' : '0';
            assert_false(check(&vectors[i], auth));
            auth[at] = kept;
        }
        auth[n + 64] = 0;
        assert_false(check(&vectors[i], auth)); /* one digit short */
    }
}

/* WS-57: a private channel may sign its channel_data or leave it out; presence must sign it */
static void ws57_private_with_data(void **state)
{
    (void)state;
    struct vector v = vectors[0];
    v.data = S("{\"x\":1}");
    char auth[128] = KEY ":22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22";
    assert_true(check(&v, auth));
    struct vector p = vectors[7];
    p.data = S("{\"user_id\":1}");
    char signed_without[128] =
        KEY ":98584330a9e076562d8bc08a1740e1a8e25876fa2bd21064e9f012dd65e43d55";
    assert_false(check(&p, signed_without));
}

/* WS-104: vectors I and J */
static void ws104_users(void **state)
{
    (void)state;
    assert_true(sign_check_user(
        hmac, S(KEY), S("8410.27461"), S("{\"id\":\"u-7\"}"),
        S(KEY ":c59a01e8de1c79a3daaeb966e0125f4c4db7dc7d298093d51a5916faf32e66d0")));
    assert_true(sign_check_user(
        hmac, S(KEY), S("8410.27461"),
        S("{\"id\":\"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"},\"watchlist\":[\"u-8\",\"u-9\"]"
          "}"),
        S(KEY ":f2d38f232c16a02000dafe93dae4e724150a4f74096e1a38439eb9a13f03d4b2")));
    assert_false(sign_check_user(
        hmac, S(KEY), S("8410.27462"), S("{\"id\":\"u-7\"}"),
        S(KEY ":c59a01e8de1c79a3daaeb966e0125f4c4db7dc7d298093d51a5916faf32e66d0")));
}

static int begin(void **state)
{
    (void)state;
    hmac = hmac_create(S("s3cr3t-0f-the-d3m0-app"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    hmac_destroy(&hmac);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws53_vectors),
        cmocka_unit_test(ws57_private_with_data),
        cmocka_unit_test(ws104_users),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
