/* unit/io_tls - sets of certificates: what is refused with which sentence, who gets which. */
#include "io/tls.h"

#include "io/tls_ticket.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "support/tls_peer.h"

static char folder[] = "/tmp/io-tls-XXXXXX";
static struct err e;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void append_file(const char *path, const char *other)
{
    char text[8192];
    FILE *in = fopen(other, "r"), *out = fopen(path, "a");
    assert_true(in && out);
    size_t n = fread(text, 1, sizeof text, in);
    assert_int_equal(fwrite(text, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static int begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    tls_peer_files("a.pem", "a.key", "a.example", "", NULL);
    tls_peer_files("b.pem", "b.key", "not-a-name.example", "DNS:b.example,DNS:*.B.example", NULL);
    tls_peer_files("c.pem", "c.key", "c.example", "DNS:x.b.example,DNS:c.example", NULL);
    tls_peer_files("d.pem", "d.key", "d.example", "", "open sesame");
    append_file("chain.pem", "a.pem");
    append_file("chain.pem", "b.pem");
    append_file("damaged.pem", "a.pem");
    write_file("text", "hello\n");
    write_file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    append_file("damaged.pem", "broken.pem");
    return mkdir("dir", 0700);
}

static int end(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

#define FILES(cert, key, pass)                                                                     \
    {                                                                                              \
        STR(cert), STR(key), STR(pass)                                                             \
    }
static const struct tls_certificate several[] = {
    FILES("a.pem", "a.key", ""),
    FILES("b.pem", "b.key", ""),
    FILES("c.pem", "c.key", ""),
    FILES("d.pem", "d.key", "open sesame"),
};

static struct tls_set *load_several(void)
{
    struct tls_options o = {several, COUNT_OF(several), false};
    struct tls_set *t = tls_set_load(&o, &e);
    if (!t)
        fail_msg("%s", e.text);
    return t;
}

/* CFG-33, CFG-34 */
static void errors_name_file_and_cause(void **state)
{
    static const struct {
        struct tls_certificate files;
        const char *said;
    } rows[] = {
        {FILES("none.pem", "a.key", ""), "cannot read \"none.pem\": No such file or directory"},
        {FILES("a.pem", "none.key", ""), "cannot read \"none.key\": No such file or directory"},
        {FILES("dir", "a.key", ""), "cannot read \"dir\": it is no regular file"},
        {FILES("/dev/zero", "a.key", ""), "cannot read \"/dev/zero\": it is no regular file"},
        {FILES("text", "a.key", ""), "\"text\" is no PEM certificate: there is none in it"},
        {FILES("broken.pem", "a.key", ""), "\"broken.pem\" is no PEM certificate: "},
        {FILES("damaged.pem", "a.key", ""),
         "\"damaged.pem\": a certificate of the chain is damage"},
        {FILES("a.key", "a.key", ""), "\"a.key\" is no PEM certificate: there is none in it"},
        {FILES("a.pem", "a.pem", ""), "\"a.pem\" is no PEM key: "},
        {FILES("a.pem", "text", ""), "\"text\" is no PEM key: "},
        {FILES("a.pem", "b.key", ""), "the key \"b.key\" does not belong to \"a.pem\""},
        {FILES("d.pem", "d.key", "open sesam"), "\"d.key\": the passphrase is wrong"},
        {FILES("d.pem", "d.key", ""), "\"d.key\": the key is encrypted and no passphrase is set"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_options o = {&rows[i].files, 1, false};
        assert_null(tls_set_load(&o, &e));
        assert_int_equal(e.kind, ERR_CONFIG);
        if (strncmp(e.text, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s\nis not\n%s", e.text, rows[i].said);
        assert_null(strchr(e.text, '\n'));
        assert_null(strstr(e.text, "sesam"));
    }
}

static void good_files_are_loaded(void **state)
{
    static const struct tls_certificate rows[] = {
        FILES("a.pem", "a.key", ""), FILES("chain.pem", "a.key", ""),
        FILES("a.pem", "a.key", "not needed"), FILES("d.pem", "d.key", "open sesame")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_options o = {&rows[i], 1, i % 2 == 1};
        struct tls_set *t = tls_set_load(&o, &e);
        assert_non_null(t);
        struct tls_set *again = tls_set_ref(t);
        tls_set_unref(&t);
        assert_null(t);
        tls_set_unref(&again);
    }
}

static void names_choose(void **state)
{
    static const struct {
        str name;
        size_t certificate;
    } rows[] = {
        {STR("a.example"), 0},
        {STR("b.example"), 1},
        {STR("B.Example"), 1},
        {STR("b.example."), 1},
        {STR("y.b.example"), 1},
        {STR("x.b.example"), 2},
        {STR("c.example"), 2},
        {STR("X.B.EXAMPLE"), 2},
        {STR("d.example"), 3},
        {STR("z.y.b.example"), 0},
        {STR("not-a-name.example"), 0},
        {STR(""), 0},
        {STR("."), 0},
        {STR(".b.example"), 0},
        {STR("*.b.example"), 0},
        {STR("example"), 0},
        {STR("b.example\0.evil"), 0},
        {STR("q.c.example"), 0},
    };
    (void)state;
    struct tls_set *t = load_several();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (tls_set_choose(t, rows[i].name) != rows[i].certificate)
            fail_msg("%.*s: %zu", FMT(rows[i].name), tls_set_choose(t, rows[i].name));
    char longest[300];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(tls_set_choose(t, str_of(longest, sizeof longest)), 0);
    tls_set_unref(&t);
}

/* ---- whole handshakes ---- */

static int pair[2];
static struct tls_session *session;
static struct tls_peer *peer;

static void move(void)
{
    char bytes[65536];
    size_t n;
    while ((n = tls_peer_take(peer, bytes, sizeof bytes)) > 0)
        assert_int_equal(send(pair[0], bytes, n, 0), (ssize_t)n);
}

static void fetch(void)
{
    char bytes[65536];
    ssize_t n;
    while ((n = recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        tls_peer_give(peer, bytes, (size_t)n);
}

/* Both ends in turn until one has failed or both are done. */
static bool connect_as(struct tls_set *t, const struct tls_peer_options *o)
{
    bool ours = false, theirs = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    session = tls_session_create(t, pair[1]);
    peer = tls_peer_create(o);
    for (int i = 0; i < 10 && !(ours && theirs); i++) {
        theirs = theirs || tls_peer_handshake(peer);
        move();
        if (!ours) {
            enum tls_step step = tls_handshake(session);
            if (step == TLS_BROKEN)
                break;
            ours = step == TLS_DONE;
        }
        fetch();
    }
    fetch();
    if (!ours)
        tls_peer_handshake(peer); /* hears the alert */
    return ours && theirs;
}

static void disconnect(void)
{
    tls_session_destroy(&session);
    tls_peer_destroy(&peer);
    close(pair[0]);
    close(pair[1]);
}

static void clients_get_their_certificate(void **state)
{
    static const struct {
        const char *name, *got;
    } rows[] = {{NULL, "a.example"},
                {"nobody.example", "a.example"},
                {"b.example", "not-a-name.example"},
                {"www.B.example", "not-a-name.example"},
                {"x.b.example", "c.example"},
                {"d.example", "d.example"}};
    (void)state;
    struct tls_set *t = load_several();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct tls_peer_options o = {.name = rows[i].name, .max_version = version};
            assert_true(connect_as(t, &o));
            assert_string_equal(tls_peer_server(peer), rows[i].got);
            assert_string_equal(tls_peer_version(peer),
                                version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
            assert_non_null(strstr(tls_peer_cipher(peer), "AES_128_GCM") ||
                                    strstr(tls_peer_cipher(peer), "AES128-GCM")
                                ? ""
                                : NULL);
            disconnect();
        }
    tls_set_unref(&t);
}

/* SEC-27 */
static void old_versions_are_refused(void **state)
{
    (void)state;
    struct tls_set *t = load_several();
    for (int version = TLS1_VERSION; version <= TLS1_1_VERSION; version++) {
        struct tls_peer_options o = {.max_version = version};
        assert_false(connect_as(t, &o));
        assert_true(tls_peer_is_refused(peer));
        disconnect();
    }
    tls_set_unref(&t);
}

static void only_http_1_1_is_spoken(void **state)
{
    (void)state;
    struct tls_set *t = load_several();
    struct tls_peer_options both = {.alpn = "\x02h2\x08http/1.1"}, none = {0},
                            two = {.alpn = "\x02h2"};
    assert_true(connect_as(t, &both));
    assert_string_equal(tls_peer_alpn(peer), "http/1.1");
    disconnect();
    assert_true(connect_as(t, &none));
    assert_string_equal(tls_peer_alpn(peer), "");
    disconnect();
    assert_false(connect_as(t, &two));
    assert_true(tls_peer_is_refused(peer));
    disconnect();
    tls_set_unref(&t);
}

/* The client's copy of a session needs the ticket, which comes behind the handshake. */
static void hear_tickets(void)
{
    char byte;
    fetch();
    assert_int_equal(tls_peer_read(peer, &byte, 1), 0);
}

static void tickets_outlive_a_reload(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_peer_options o = {.name = "b.example", .max_version = version};
        struct tls_set *t = load_several();
        assert_true(connect_as(t, &o));
        assert_false(tls_peer_was_resumed(peer));
        hear_tickets();
        tls_peer_keep_session(peer);
        disconnect();
        tls_set_unref(&t);
        t = load_several();
        assert_true(connect_as(t, &o));
        assert_true(tls_peer_was_resumed(peer));
        disconnect();
        tls_set_unref(&t);
    }
}

/* R19: a ticket of the key before is taken, an older one means a full handshake. */
static void ticket_keys_change(void **state)
{
    (void)state;
    struct tls_set *t = load_several();
    for (int i = 0; i < 6; i++) {
        struct tls_peer_options o = {.name = "b.example",
                                     .max_version = i < 3 ? TLS1_2_VERSION : TLS1_3_VERSION};
        int changes = i % 3;
        assert_true(connect_as(t, &o));
        assert_false(tls_peer_was_resumed(peer));
        hear_tickets();
        tls_peer_keep_session(peer);
        disconnect();
        for (int k = 0; k < changes; k++)
            tls_tickets_rotate();
        assert_true(connect_as(t, &o));
        assert_int_equal(tls_peer_was_resumed(peer), changes < 2);
        disconnect();
    }
    tls_set_unref(&t);
}

static enum tls_step server_reads(char *out, size_t n, size_t *got)
{
    move();
    return tls_read(session, out, n, got);
}

/* SEC-27 */
static void renegotiation_is_refused(void **state)
{
    struct tls_peer_options o = {.max_version = TLS1_2_VERSION};
    char text[64];
    size_t got;
    (void)state;
    struct tls_set *t = load_several();
    assert_true(connect_as(t, &o));
    tls_peer_renegotiate(peer);
    server_reads(text, sizeof text, &got);
    assert_int_equal(got, 0);
    fetch();
    assert_true(tls_peer_read(peer, text, sizeof text) == -2 || tls_peer_is_refused(peer));
    disconnect();
    tls_set_unref(&t);
}

/* A key update is followed; who sends nothing else is cut off, in the middle of a read. */
static void key_updates_are_bounded(void **state)
{
    struct tls_peer_options o = {.max_version = TLS1_3_VERSION};
    char text[64];
    size_t got;
    (void)state;
    struct tls_set *t = load_several();
    assert_true(connect_as(t, &o));
    for (int i = 0; i < TLS_POST_HANDSHAKE_MAX; i++)
        tls_peer_key_update(peer);
    tls_peer_write(peer, "fine", 4);
    assert_int_equal(server_reads(text, sizeof text, &got), TLS_DONE);
    assert_int_equal(got, 4);
    for (int i = 0; i < 10 * TLS_POST_HANDSHAKE_MAX; i++)
        tls_peer_key_update(peer);
    tls_peer_write(peer, "never", 5);
    server_reads(text, sizeof text, &got);
    assert_int_equal(got, 0);
    assert_int_equal(tls_read(session, text, sizeof text, &got), TLS_BROKEN);
    disconnect();
    tls_set_unref(&t);
}

static void farewells_are_said(void **state)
{
    char text[8];
    size_t got;
    (void)state;
    struct tls_set *t = load_several();
    struct tls_peer_options o = {0};
    assert_true(connect_as(t, &o));
    tls_session_destroy(&session);
    fetch();
    assert_int_equal(tls_peer_read(peer, text, sizeof text), -1);
    disconnect();
    assert_true(connect_as(t, &o));
    shutdown(pair[0], SHUT_WR); /* no close_notify: an end as well */
    assert_int_equal(tls_read(session, text, sizeof text, &got), TLS_BROKEN);
    assert_true(tls_has_input(session)); /* the end comes again */
    disconnect();
    tls_set_unref(&t);
}

static void changes_of_files_are_seen(void **state)
{
    struct tls_options o = {several, 2, false};
    uint64_t seen = 0;
    (void)state;
    assert_true(tls_files_changed(&o, &seen));
    assert_false(tls_files_changed(&o, &seen));
    assert_int_equal(rename("b.key", "b.away"), 0);
    assert_true(tls_files_changed(&o, &seen));
    assert_false(tls_files_changed(&o, &seen));
    assert_int_equal(rename("b.away", "b.key"), 0);
    assert_true(tls_files_changed(&o, &seen));
    write_file("b.new", "other content");
    assert_int_equal(rename("b.pem", "b.old"), 0);
    assert_int_equal(rename("b.new", "b.pem"), 0);
    assert_true(tls_files_changed(&o, &seen));
    assert_int_equal(rename("b.old", "b.pem"), 0);
    assert_true(tls_files_changed(&o, &seen));
    assert_false(tls_files_changed(&o, &seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_name_file_and_cause),
        cmocka_unit_test(good_files_are_loaded),
        cmocka_unit_test(names_choose),
        cmocka_unit_test(clients_get_their_certificate),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(only_http_1_1_is_spoken),
        cmocka_unit_test(tickets_outlive_a_reload),
        cmocka_unit_test(ticket_keys_change),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(key_updates_are_bounded),
        cmocka_unit_test(farewells_are_said),
        cmocka_unit_test(changes_of_files_are_seen),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
