/* unit/pusher_api_sign - request signatures against http-api.md §3.5 */
#include "pusher/api_sign.h"

#include <stdio.h>
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

/* Whether a request is accepted when METHOD \n path \n query was signed as given. */
static bool accepted(str wire_path, str wire_query, str signed_path, str signed_query)
{
    struct hmac *h = hmac_create(S("s-9f2b-orchard"));
    str parts[] = {S("GET"), S("\n"), signed_path, S("\n"), signed_query};
    uint8_t mac[HMAC_BYTES];
    char hex[HMAC_HEX];
    hmac_sign(h, parts, COUNT_OF(parts), mac);
    crypto_hex(mac, sizeof mac, hex);
    bool good = api_sign_check(h, S("GET"), wire_path, wire_query, str_of(hex, sizeof hex));
    assert_false(api_sign_check(h, S("POST"), wire_path, wire_query, str_of(hex, sizeof hex)));
    hmac_destroy(&h);
    return good;
}

static void queries(void **state)
{
    static const struct {
        str wire, signed_as;
        bool good;
    } t[] = {
        /* HTTP-13: a literal + signed as it is, as a space, and neither */
        {STR("p=a+b"), STR("p=a+b"), true},
        {STR("p=a+b"), STR("p=a b"), true},
        {STR("p=a%20b"), STR("p=a b"), true},
        {STR("p=a%20b"), STR("p=a+b"), false},
        {STR("p=a%2Bb"), STR("p=a+b"), true},
        {STR("p=a%2Bb"), STR("p=a b"), false},
        {STR("p=a+b&q=c+d"), STR("p=a+b&q=c d"), false}, /* one reading for all */
        /* HTTP-15: any order on the wire; unknown parameters are part of it */
        {STR("c=3&a=1&b=2"), STR("a=1&b=2&c=3"), true},
        {STR("c=3&a=1&b=2"), STR("c=3&a=1&b=2"), false},
        {STR("a=1&unknown=x"), STR("a=1&unknown=x"), true},
        {STR("a=1&unknown=x"), STR("a=1"), false},
        {STR("ab=1&a=2"), STR("a=2&ab=1"), true},
        /* HTTP-16: arrays in the order of the request */
        {STR("X[]=2&X[]=1"), STR("x[]=2&x[]=1"), true},
        {STR("X[]=2&X[]=1"), STR("x[]=1&x[]=2"), false},
        {STR("x%5B%5D=2&x%5b%5d=1"), STR("x[]=2&x[]=1"), true},
        /* HTTP-17 */
        {STR("Info=user_count"), STR("info=user_count"), true},
        {STR("Info=user_count"), STR("Info=user_count"), false},
        /* the signature itself is never part of it, in any spelling */
        {STR("a=1&AUTH_signature=x&auth%5fsignature=y"), STR("a=1"), true},
        {STR("auth_signature=x"), STR(""), true},
        {STR("auth_signature"), STR(""), true},
        /* splitting: empty pieces, no =, more than one =, ; is text, half escapes stay */
        {STR("&&a=1&"), STR("a=1"), true},
        {STR("a"), STR("a="), true},
        {STR("=v&a=1"), STR("=v&a=1"), true},
        {STR("a=b=c"), STR("a=b=c"), true},
        {STR("a=1;b=2"), STR("a=1;b=2"), true},
        {STR("a=%zz%4&b=%"), STR("a=%zz%4&b=%"), true},
        {STR("a=%2541"), STR("a=%41"), true}, /* decoded once */
        {STR("a=%c3%AB"), STR("a=\xc3\xab"), true},
        {STR(""), STR(""), true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(accepted(S("/x"), t[i].wire, S("/x"), t[i].signed_as), t[i].good);
}

/* HTTP-14, HTTP-21: as sent, decoded, each with or without its one trailing slash */
static void paths(void **state)
{
    static const struct {
        str wire, signed_as;
        bool good;
    } t[] = {
        {STR("/a"), STR("/a"), true},           {STR("/a"), STR("/a/"), false},
        {STR("/a/"), STR("/a/"), true},         {STR("/a/"), STR("/a"), true},
        {STR("/a//"), STR("/a"), false},        {STR("/"), STR("/"), true},
        {STR("/a%20b/"), STR("/a%20b/"), true}, {STR("/a%20b/"), STR("/a%20b"), true},
        {STR("/a%20b/"), STR("/a b/"), true},   {STR("/a%20b/"), STR("/a b"), true},
        {STR("/a+b"), STR("/a b"), false}, /* + is a space in queries only */
        {STR("/A"), STR("/a"), false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(accepted(t[i].wire, S("a=b+c"), t[i].signed_as, S("a=b+c")), t[i].good);
}

/* A request with thousands of pairs is still sorted stably. */
static void many_pairs(void **state)
{
    static char wire[40000], sorted[40000];
    size_t n = 0, m = 0;
    (void)state;
    for (int i = 0; i < 4000; i++)
        n += (size_t)sprintf(wire + n, "%s%c=%d", i ? "&" : "", 'z' - i % 26, i);
    for (int key = 'a'; key <= 'z'; key++)
        for (int i = 'z' - key; i < 4000; i += 26)
            m += (size_t)sprintf(sorted + m, "%s%c=%d", m ? "&" : "", key, i);
    assert_true(accepted(S("/x"), str_of(wire, n), S("/x"), str_of(sorted, m)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_vectors), cmocka_unit_test(http16_arrays), cmocka_unit_test(queries),
        cmocka_unit_test(paths),         cmocka_unit_test(many_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
