/* unit/pusher_api_sign - request signatures against http-api.md §3.5 */
#include "pusher/api_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define AUTH "auth_key=k-orchard&auth_timestamp=1790000000&auth_version=1.0"
#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"

struct vector {
    str method, path, query, signature;
};
static const struct vector vectors[] = {
    /* A1 */
    {STR("POST"), STR("/apps/4711/events"), STR(AUTH "&body_md5=8e413d8a19deb151ff04331d8894fd56"),
     STR("ea98a7fbb64350afbf7bab2248f880416555bb2e0490f23af671fbf08641705c")},
    /* A2, HTTP-12: both ways to send the comma */
    {STR("GET"), STR("/apps/4711/channels"),
     STR(AUTH "&filter_by_prefix=presence-&info=user_count,subscription_count"),
     STR("a7e86e195e5c6174ce402e921309ec04e4ba3ea31c7ed7459e2b3afb8fb002ee")},
    {STR("GET"), STR("/apps/4711/channels"),
     STR("info=user_count%2Csubscription_count&" AUTH "&filter_by_prefix=presence-"),
     STR("a7e86e195e5c6174ce402e921309ec04e4ba3ea31c7ed7459e2b3afb8fb002ee")},
    /* A3, HTTP-10 */
    {STR("GET"), STR("/apps/4711/channels/presence-crew/users"), STR(AUTH "&body_md5=" EMPTY_MD5),
     STR("f2baa51cdff2ab0709243273bab30b00ae4e8440d8a2fa9a5cc9f6f680baab5e")},
    /* A4, HTTP-14: the path signed decoded, and as it is on the wire */
    {STR("POST"), STR("/apps/4711/users/anna%20lee/terminate_connections"),
     STR(AUTH "&body_md5=99914b932bd37a50b983c5e7c90ae93b"),
     STR("f9731495045af67ab23f48827e92acef5b915eafdfe9e6d4cf4e5b5635dd1afb")},
    {STR("POST"), STR("/apps/4711/users/anna%20lee/terminate_connections"),
     STR(AUTH "&body_md5=99914b932bd37a50b983c5e7c90ae93b"),
     STR("61e289c097e946ca2ea28b9aef353d3225f315bbfc9b41735e041fd1511b97b4")},
    /* A5 */
    {STR("POST"), STR("/apps/4711/batch_events"),
     STR(AUTH "&body_md5=2bfe04bc34cd2617b1700ec084c9245d"),
     STR("d848320c43ce5073583081a2995722cde818f6f66c7590ec089ca673aef16c70")},
    /* A6, HTTP-13 */
    {STR("GET"), STR("/apps/4711/channels"), STR(AUTH "&filter_by_prefix=a%20b&info=user_count"),
     STR("fce1da86679313d094360728215423139e8f7d4158d096fd93d8703ea98cc5cd")},
    {STR("GET"), STR("/apps/4711/channels"), STR(AUTH "&filter_by_prefix=a+b&info=user_count"),
     STR("fce1da86679313d094360728215423139e8f7d4158d096fd93d8703ea98cc5cd")},
    /* A7 */
    {STR("POST"), STR("/apps/4711/events"), STR(AUTH "&body_md5=bb16957502758425b27ee2901ea9a299"),
     STR("ccafa6ed1e3ea13f4e697af72a9c352c875e6ef77c9d106eb928600eebb5b70d")},
    /* HTTP-21: a trailing slash that was not signed */
    {STR("POST"), STR("/apps/4711/batch_events/"),
     STR(AUTH "&body_md5=2bfe04bc34cd2617b1700ec084c9245d"),
     STR("d848320c43ce5073583081a2995722cde818f6f66c7590ec089ca673aef16c70")},
    /* the signature among the parameters, in any place, and names in upper case (HTTP-15, 17) */
    {STR("POST"), STR("/apps/4711/events"),
     STR("auth_signature=x&Body_MD5=8e413d8a19deb151ff04331d8894fd56&" AUTH),
     STR("ea98a7fbb64350afbf7bab2248f880416555bb2e0490f23af671fbf08641705c")},
};

/* HTTP-1, HTTP-2 */
static void http1_vectors(void **state)
{
    (void)state;
    struct hmac *h = hmac_create(S("s-9f2b-orchard"));
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        char bad[64];
        assert_true(api_sign_check(h, v->method, v->path, v->query, v->signature));
        for (size_t at = 0; at < 64; at++) {
            memcpy(bad, v->signature.p, 64);
            bad[at] = bad[at] == 'a' ? 'b' : 'a';
            assert_false(api_sign_check(h, v->method, v->path, v->query, str_of(bad, 64)));
        }
        assert_false(api_sign_check(h, v->method, v->path, v->query, str_of(bad, 63)));
    }
    hmac_destroy(&h);
}

/* HTTP-16: repeated keys keep their order */
static void http16_arrays(void **state)
{
    arena a = {0};
    struct api_param *p;
    (void)state;
    size_t n = api_query_parse(S("X[]=2&&X[]=1&a=%zz&b&=c"), true, &a, &p);
    assert_int_equal(n, 5);
    assert_true(str_eq(p[0].key, S("x[]")) && str_eq(p[0].value, S("2")));
    assert_true(str_eq(p[1].key, S("x[]")) && str_eq(p[1].value, S("1")));
    assert_true(str_eq(p[2].value, S("%zz")));
    assert_true(str_eq(p[3].key, S("b")) && p[3].value.n == 0);
    assert_true(p[4].key.n == 0 && str_eq(p[4].value, S("c")));
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_vectors),
        cmocka_unit_test(http16_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
