/* unit/pusher_sign - authentication strings against the vectors of websocket-protocol.md §8.2 */
#include "pusher/sign.h"

#include <stdio.h>
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

/* WS-53: a signature opens its channel, on its socket, with its key, and nothing else */
static void ws53_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        char auth[128] = KEY ":";
        memcpy(auth + sizeof KEY, v->hex.p, 64);
        struct channel_kind kind = channel_kind(v->channel);
        assert_false(sign_check_channel(hmac, S(KEY), S("8410.27462"), v->channel, v->data, kind,
                                        str_z(auth)));
        assert_false(sign_check_channel(hmac, S("a1b2c3d4e5f60718293b"), S("8410.27461"),
                                        v->channel, v->data, kind, str_z(auth)));
        for (size_t j = 0; j < COUNT_OF(vectors); j++)
            if (!str_eq(vectors[j].channel, v->channel) || !str_eq(vectors[j].data, v->data))
                assert_false(check(&vectors[j], auth));
    }
}

/* WS-55, WS-54 */
static void ws55_forms(void **state)
{
    static const char *const bad[] = {
        KEY ":22DA9A12419BA0E26DE4ACE2150660B8C0D95F55DBD3A7F3C4DF194BFA8CDD22",
        "22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        ":22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        "other:22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        KEY ": 22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        " " KEY ":22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        KEY ":22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22 ",
        KEY "::22da9a12419ba0e26de4ace2150660b8c0d95f55dbd3a7f3c4df194bfa8cdd22",
        KEY ":",
        KEY,
        "",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(check(&vectors[0], bad[i]));
    assert_false(sign_check_channel(hmac, S(KEY), S("8410.27461"), vectors[0].channel, S(""),
                                    channel_kind(vectors[0].channel), (str){0}));
}

/* <key>:<hex> of what is signed. */
static const char *auth_of(str signed_text)
{
    static char auth[sizeof KEY + HMAC_HEX + 1];
    uint8_t mac[HMAC_BYTES];
    hmac_sign(hmac, &signed_text, 1, mac);
    memcpy(auth, KEY ":", sizeof KEY);
    crypto_hex(mac, sizeof mac, auth + sizeof KEY);
    return auth;
}

/* WS-56: names with cache- need their own signature, like any private channel */
static void ws56_cache_names(void **state)
{
    static const str names[] = {STR("private-cache-x"), STR("private-my-cache-x"),
                                STR("private-encrypted-cache-x")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct vector v = {.channel = names[i]};
        assert_true(channel_needs_auth(channel_kind(names[i])));
        assert_false(check(&v, auth_of(S("8410.27461:cache-x"))));
        assert_false(check(&v, auth_of(S("8410.27461:private-x"))));
    }
    struct vector v = {.channel = S("private-my-cache-x")};
    assert_true(check(&v, auth_of(S("8410.27461:private-my-cache-x"))));
}

/* WS-57: the data of a private channel may be signed, but not other data; an empty one is none */
static void ws57_signed_data(void **state)
{
    (void)state;
    static const str names[] = {STR("private-a"), STR("private-cache-a"),
                                STR("private-encrypted-a")};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[64];
        struct vector v = {.channel = names[i], .data = S("{\"x\":1}")};
        int n = snprintf(text, sizeof text, "8410.27461:%s:{\"x\":1}", names[i].p);
        assert_true(check(&v, auth_of(str_of(text, (size_t)n))));
        text[n - 2] = '2';
        assert_false(check(&v, auth_of(str_of(text, (size_t)n))));
    }
    struct vector v = {.channel = S("private-a")};
    assert_false(check(&v, auth_of(S("8410.27461:private-a:"))));
}

/* WS-58: the same JSON in other bytes is other data */
static void ws58_exact_bytes(void **state)
{
    static const struct {
        size_t of;
        str data;
    } t[] = {
        {3, STR("{\"user_info\":{\"name\":\"Zo\xc3\xab\"},\"user_id\":\"u-7\"}")},
        {3, STR("{\"user_id\":\"u-7\",\"user_info\":{\"name\":\"Zo\\u00eb\"}}")},
        {3, STR("{\"user_id\": \"u-7\",\"user_info\":{\"name\":\"Zo\xc3\xab\"}}")},
        {4, STR("{\"user_id\":\"7\"}")},
        {5, STR("{\"user_id\":\"7\",\"user_info\":{\"avatar\":\"https://x.test/a.png\"}}")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        char auth[128] = KEY ":";
        memcpy(auth + sizeof KEY, vectors[t[i].of].hex.p, 64);
        assert_true(check(&vectors[t[i].of], auth));
        struct vector v = {.channel = vectors[t[i].of].channel, .data = t[i].data};
        assert_false(check(&v, auth));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws53_vectors),
        cmocka_unit_test(ws53_nothing_else),
        cmocka_unit_test(ws55_forms),
        cmocka_unit_test(ws56_cache_names),
        cmocka_unit_test(ws57_private_with_data),
        cmocka_unit_test(ws57_signed_data),
        cmocka_unit_test(ws58_exact_bytes),
        cmocka_unit_test(ws104_users),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
