/* tests/unit/pusher_channel_name.c - kinds by prefix, and which names are allowed (WS-47 to WS-51,
 * WS-56). */
#include "pusher/channel_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MAX = 200 };
#define BAD_CHARACTERS "Channel name contains invalid characters"

/* WS-50, WS-51: anchored at the start, case-sensitive, longer prefixes first */
static void ws51_kinds(void **state)
{
    static const struct {
        str name;
        enum channel_base base;
        bool cache;
    } t[] = {
        {STR("orders"), CHANNEL_PUBLIC, false},
        {STR("cache-x"), CHANNEL_PUBLIC, true},
        {STR("cache-"), CHANNEL_PUBLIC, true},
        {STR("cache"), CHANNEL_PUBLIC, false},
        {STR("my-cache-x"), CHANNEL_PUBLIC, false},
        {STR("Cache-x"), CHANNEL_PUBLIC, false},
        {STR("private-x"), CHANNEL_PRIVATE, false},
        {STR("private-"), CHANNEL_PRIVATE, false},
        {STR("private"), CHANNEL_PUBLIC, false},
        {STR("Private-x"), CHANNEL_PUBLIC, false},
        {STR("private-cache-x"), CHANNEL_PRIVATE, true},
        {STR("private-my-cache-x"), CHANNEL_PRIVATE, false}, /* WS-56: still needs a signature */
        {STR("private-presence-x"), CHANNEL_PRIVATE, false},
        {STR("private-encrypted-x"), CHANNEL_ENCRYPTED, false},
        {STR("private-encrypted"), CHANNEL_PRIVATE, false},
        {STR("private-encrypted-cache-x"), CHANNEL_ENCRYPTED, true},
        {STR("private-cache-encrypted-x"), CHANNEL_PRIVATE, true},
        {STR("presence-x"), CHANNEL_PRESENCE, false},
        {STR("presence"), CHANNEL_PUBLIC, false},
        {STR("presence-cache-x"), CHANNEL_PRESENCE, true},
        {STR("presence-encrypted-x"), CHANNEL_PRESENCE, false},
        {STR("cache-private-x"), CHANNEL_PUBLIC, true},
        {STR("#server-to-user-7"), CHANNEL_USER, false},
        {STR("#server-to-use"), CHANNEL_PUBLIC, false},
        {STR(""), CHANNEL_PUBLIC, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        struct channel_kind k = channel_kind(t[i].name);
        bool is_signed = t[i].base == CHANNEL_PRIVATE || t[i].base == CHANNEL_PRESENCE ||
                         t[i].base == CHANNEL_ENCRYPTED;
        assert_int_equal(k.base, t[i].base);
        assert_int_equal(k.cache, t[i].cache);
        assert_int_equal(channel_needs_auth(k), is_signed);
        assert_int_equal(channel_takes_client_events(k), is_signed);
    }
}

/* WS-47, WS-48, WS-49 */
static void ws48_characters(void **state)
{
    static const str good[] = {STR("foo-bar_1234@=,.;"), STR("a"), STR("private-a;b"), STR("-")};
    static const str bad[] = {STR(""),
                              STR("a b"),
                              STR("a/b"),
                              STR("a:b"),
                              STR("a#b"),
                              STR("#"),
                              STR("#a"),
                              STR("Zo\xc3\xab"),
                              STR("a\0b"),
                              STR("a\n"),
                              STR("a*"),
                              STR("a\x7f"),
                              STR("#server-to-user")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(channel_name_check(good[i], MAX, NULL));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct err e = {0};
        assert_false(channel_name_check(bad[i], MAX, &e));
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.text, BAD_CHARACTERS);
    }
}

static void every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool allowed = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789_-=@,.;",
                                   c);
        assert_int_equal(channel_name_check(str_of(&byte, 1), MAX, NULL), allowed);
    }
}

static void ws49_length(void **state)
{
    char name[MAX + 1];
    struct err e = {0};
    (void)state;
    memset(name, 'a', sizeof name);
    assert_true(channel_name_check(str_of(name, MAX), MAX, &e));
    assert_false(channel_name_check(str_of(name, MAX + 1), MAX, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "Channel name too long. Max length is 200");
    assert_false(channel_name_check(S("abcdef"), 5, &e));
    assert_string_equal(e.text, "Channel name too long. Max length is 5");
    name[0] = ' '; /* length before characters (§7.1) */
    assert_false(channel_name_check(str_of(name, MAX + 1), MAX, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
}

/* §6.2: the id of a user's channel may hold anything, 1 to 256 bytes of it */
static void user_channels(void **state)
{
    char name[16 + CHANNEL_USER_ID_MAX + 1] = "#server-to-user-";
    struct err e = {0};
    (void)state;
    memset(name + 16, ':', sizeof name - 16);
    assert_true(channel_name_check(str_of(name, sizeof name - 1), 20, &e));
    assert_int_equal(channel_user_id(str_of(name, sizeof name - 1)).n, CHANNEL_USER_ID_MAX);
    assert_false(channel_name_check(str_of(name, sizeof name), 20, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_false(channel_name_check(str_of(name, 16), 20, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_true(str_eq(channel_user_id(S("#server-to-user-a#\xc3\xab b")), S("a#\xc3\xab b")));
    assert_int_equal(channel_user_id(S("#server")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws51_kinds),    cmocka_unit_test(ws48_characters),
        cmocka_unit_test(every_byte),    cmocka_unit_test(ws49_length),
        cmocka_unit_test(user_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
