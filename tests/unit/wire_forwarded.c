/* unit/wire_forwarded - which address is the client (SEC-23; http-api.md §12.1; security.md I7) */
#include "wire/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* "4 10.0.0.1", "6 2001:db8::1", "local", "unknown" */
static const char *text_of(const struct client_address *a)
{
    static char out[64];
    char ip[INET6_ADDRSTRLEN];
    if (a->kind == CLIENT_LOCAL || a->kind == CLIENT_UNKNOWN)
        return a->kind == CLIENT_LOCAL ? "local" : "unknown";
    inet_ntop(a->kind == CLIENT_IPV4 ? AF_INET : AF_INET6, a->bytes, ip, sizeof ip);
    snprintf(out, sizeof out, "%d %s", a->kind == CLIENT_IPV4 ? 4 : 6, ip);
    return out;
}

static void reads_one_address(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: none */
    } rows[] = {
        {"10.0.0.1", "4 10.0.0.1"},
        {"10.0.0.1:8080", "4 10.0.0.1"},
        {"2001:db8::1", "6 2001:db8::1"},
        {"[2001:db8::1]", "6 2001:db8::1"},
        {"[2001:db8::1]:443", "6 2001:db8::1"},
        {"::ffff:10.0.0.1", "4 10.0.0.1"},
        {"[::ffff:a00:1]:1", "4 10.0.0.1"},
        {"::", "6 ::"},
        {"", NULL},
        {"unknown", NULL},
        {"_hidden", NULL},
        {"10.0.0", NULL},
        {"10.0.0.256", NULL},
        {"10.0.0.1:", NULL},
        {"10.0.0.1:65536", NULL},
        {"10.0.0.1:x", NULL},
        {"10.0.0.1 ", NULL},
        {"[10.0.0.1]", NULL},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1]443", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"]", NULL},
        {"2001:db8::1%eth0", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_address a = {0};
        bool found = client_parse(str_z(rows[i].text), &a);
        if (found != (rows[i].want != NULL) || (found && strcmp(text_of(&a), rows[i].want) != 0))
            fail_msg("%s: %s", rows[i].text, found ? text_of(&a) : "none");
    }
    struct client_address a;
    assert_false(client_parse(S("10.0.0.1\0"), &a));
}

/* A row's text is the fields, "x: …" an X-Forwarded-For and "r: …" an X-Real-IP, between '|'. */
static void request_of(const char *text, struct http1_request *r)
{
    memset(r, 0, sizeof *r);
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "|");
        struct http1_header *h = &r->headers[r->header_count++];
        h->name = p[0] == 'x' ? S("X-Forwarded-For") : p[0] == 'r' ? S("x-real-ip") : S("host");
        h->value = str_of(p + 3, n - 3);
        p += n + (p[n] == '|');
    }
}

static void finds_the_entry_of_the_hop(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint32_t hops;
        const char *want; /* NULL: the peer */
    } rows[] = {
        {"", 1, NULL},
        {"x: 1.1.1.1", 1, "4 1.1.1.1"},
        {"x: 9.9.9.9, 1.1.1.1", 1, "4 1.1.1.1"},
        {"x: 9.9.9.9, 1.1.1.1", 2, "4 9.9.9.9"},
        {"x: 9.9.9.9, 1.1.1.1", 3, "4 9.9.9.9"},
        {"x: 9.9.9.9, 1.1.1.1", UINT32_MAX, "4 9.9.9.9"},
        {"x: 9.9.9.9 ,\t1.1.1.1\t, 2.2.2.2", 2, "4 1.1.1.1"},
        {"x: 9.9.9.9|h: y|x: 1.1.1.1, 2.2.2.2", 1, "4 2.2.2.2"},
        {"x: 9.9.9.9|h: y|x: 1.1.1.1, 2.2.2.2", 3, "4 9.9.9.9"},
        {"x: 9.9.9.9|x: 1.1.1.1", 2, "4 9.9.9.9"},
        {"x: 2001:db8::7, [2001:db8::8]:1", 1, "6 2001:db8::8"},
        {"x: 2001:db8::7, [2001:db8::8]:1", 2, "6 2001:db8::7"},
        {"x: ", 1, NULL},
        {"x: 9.9.9.9,", 1, NULL}, /* an empty entry is an entry: nobody else's is taken */
        {"x: 9.9.9.9,", 2, "4 9.9.9.9"},
        {"x: ,,,", 2, NULL},
        {"x: 9.9.9.9, junk", 1, NULL},
        {"x: 9.9.9.9, junk", 2, "4 9.9.9.9"},
        {"x: junk|r: 3.3.3.3", 1, "4 3.3.3.3"},
        {"r: 3.3.3.3", 1, "4 3.3.3.3"},
        {"r: 3.3.3.3|x: 1.1.1.1", 1, "4 1.1.1.1"},
        {"r: 3.3.3.3|r: 3.3.3.3", 1, NULL}, /* which one? */
        {"r: junk", 1, NULL},
    };
    static struct http1_request r;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_address a;
        request_of(rows[i].fields, &r);
        bool found = forwarded_client(&r, rows[i].hops, &a);
        if (found != (rows[i].want != NULL) || (found && strcmp(text_of(&a), rows[i].want) != 0))
            fail_msg("%s, %u hops: %s", rows[i].fields, rows[i].hops, found ? text_of(&a) : "none");
    }
}

static void takes_long_lists(void **state)
{
    (void)state;
    static char text[3 + 4000 * 3 + 16] = "x: ";
    static struct http1_request r;
    size_t n = 3;
    for (int i = 0; i < 3999; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s,", i % 2 ? "" : "a");
    snprintf(text + n, sizeof text - n, "1.2.3.4");
    struct client_address a;
    request_of(text, &r);
    assert_true(forwarded_client(&r, 1, &a));
    assert_string_equal(text_of(&a), "4 1.2.3.4");
    assert_false(forwarded_client(&r, 4000, &a));
    assert_false(forwarded_client(&r, 2000, &a));
}

static void knows_peers(void **state)
{
    (void)state;
    struct sockaddr_storage sa = {.ss_family = AF_INET};
    struct client_address a;
    inet_pton(AF_INET, "10.0.0.1", &((struct sockaddr_in *)&sa)->sin_addr);
    a = client_of_peer(&sa);
    assert_string_equal(text_of(&a), "4 10.0.0.1");
    sa = (struct sockaddr_storage){.ss_family = AF_INET6};
    inet_pton(AF_INET6, "::ffff:10.0.0.1", &((struct sockaddr_in6 *)&sa)->sin6_addr);
    a = client_of_peer(&sa);
    assert_string_equal(text_of(&a), "4 10.0.0.1");
    inet_pton(AF_INET6, "2001:db8::1", &((struct sockaddr_in6 *)&sa)->sin6_addr);
    a = client_of_peer(&sa);
    assert_string_equal(text_of(&a), "6 2001:db8::1");
    sa = (struct sockaddr_storage){.ss_family = AF_UNIX};
    a = client_of_peer(&sa);
    assert_string_equal(text_of(&a), "local");
    sa = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    a = client_of_peer(&sa);
    assert_string_equal(text_of(&a), "unknown");
}

static void masks_ipv6_only(void **state)
{
    (void)state;
    static const struct {
        unsigned prefix;
        const char *want;
    } rows[] = {
        {128, "6 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
        {127, "6 2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"},
        {64, "6 2001:db8:ffff:ffff::"},
        {56, "6 2001:db8:ffff:ff00::"},
        {33, "6 2001:db8:8000::"},
        {1, "6 ::"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct client_address a;
        assert_true(client_parse(S("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), &a));
        client_mask(&a, rows[i].prefix);
        assert_string_equal(text_of(&a), rows[i].want);
    }
    struct client_address a;
    assert_true(client_parse(S("10.1.2.3"), &a));
    client_mask(&a, 1);
    assert_string_equal(text_of(&a), "4 10.1.2.3");
}

static void keys_tell_kinds_apart(void **state)
{
    (void)state;
    struct client_address four, six;
    uint8_t a[CLIENT_KEY_BYTES], b[CLIENT_KEY_BYTES];
    assert_true(client_parse(S("10.1.2.3"), &four) && client_parse(S("a01:203::"), &six));
    assert_memory_equal(four.bytes, six.bytes, sizeof four.bytes);
    assert_false(str_eq(client_key(&four, a), client_key(&six, b)));
    assert_true(str_eq(client_key(&four, a), client_key(&four, b)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_address), cmocka_unit_test(finds_the_entry_of_the_hop),
        cmocka_unit_test(takes_long_lists),  cmocka_unit_test(knows_peers),
        cmocka_unit_test(masks_ipv6_only),   cmocka_unit_test(keys_tell_kinds_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
