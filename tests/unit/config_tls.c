/* unit/config_tls - ssl.*: certificates of the file in order, and what is refused. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/config-tls-XXXXXX";
static struct config c;
static struct config_report r;
static struct err e;
static struct config_args args = {.config_path = "given.json"};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    write_file("a.pem", "");
    write_file("a.key", "");
    return 0;
}

static int end(void **state)
{
    (void)state;
    config_report_finish(&r);
    unlink("a.pem");
    unlink("a.key");
    unlink("given.json");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static bool load(const char *text)
{
    static char *none[] = {NULL};
    config_report_finish(&r);
    write_file("given.json", text);
    return config_load(&args, none, &c, &r, &e);
}

static size_t said(const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < r.count; i++)
        n += strstr(r.messages[i].text, part) != NULL;
    return n;
}

#define SSL(rest)                                                                                  \
    "{\"ssl\":{\"enabled\":true,\"cert_path\":\"a.pem\",\"key_path\":\"a.key\"" rest "}}"
#define MORE(item) SSL(",\"certificates\":[" item "]")

static void certificates_are_read(void **state)
{
    (void)state;
    assert_true(
        load(SSL(",\"passphrase\":\"p\",\"ktls\":true,\"redirect_http\":true,"
                 "\"http_port\":8080,\"certificates\":["
                 "{\"cert_path\":\"a.pem\",\"key_path\":\"a.key\"},"
                 "{\"key_path\":\"a.key\",\"cert_path\":\"a.pem\",\"passphrase\":\"q\"}]")));
    assert_true(c.ssl.enabled && c.ssl.ktls && c.ssl.redirect_http && c.ssl.http_port == 8080);
    assert_int_equal(c.ssl.certificate_count, 3);
    assert_true(str_eq(c.ssl.certificates[0].passphrase, S("p")));
    assert_true(str_eq(c.ssl.certificates[1].passphrase, S("")));
    assert_true(str_eq(c.ssl.certificates[2].passphrase, S("q")));
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(c.ssl.certificates[i].cert_path.p, "a.pem");
        assert_string_equal(c.ssl.certificates[i].key_path.p, "a.key");
    }
    config_finish(&c);
    assert_true(load(SSL("")));
    assert_true(c.ssl.certificate_count == 1 && !c.ssl.ktls && c.ssl.reload_interval_s == 5);
    config_finish(&c);
}

/* CFG-33 */
static void what_is_missing_is_named(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"{\"ssl\":{\"enabled\":true}}", "ssl.enabled needs \"ssl.cert_path\""},
        {"{\"ssl\":{\"enabled\":true,\"cert_path\":\"a.pem\"}}",
         "ssl.enabled needs \"ssl.key_path\""},
        {"{\"ssl\":{\"enabled\":true,\"cert_path\":\"no\",\"key_path\":\"a.key\"}}",
         "\"ssl.cert_path\": cannot read no"},
        {MORE("{\"cert_path\":\"a.pem\"}"), "cert_path and key_path need each other"},
        {MORE("{\"cert_path\":\"a.pem\",\"key_path\":\"no\"}"),
         "\"ssl.certificates[].key_path\": cannot read no"},
        {MORE("{\"cert_path\":7,\"key_path\":\"a.key\"}"), "cert_path: expected a string"},
        {MORE("\"a.pem\""), "expected objects"},
        {SSL(",\"certificates\":{}"), "expected a list"},
        {SSL(",\"redirect_http\":true,\"http_port\":6001"), "\"port\" and \"ssl.http_port\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_false(load(rows[i].text));
        if (!strstr(e.text, rows[i].said))
            fail_msg("%s\nlacks\n%s", e.text, rows[i].said);
    }
}

static void what_has_no_effect_is_named(void **state)
{
    (void)state;
    assert_true(load(MORE("{\"cert_path\":\"a.pem\",\"key_path\":\"a.key\",\"pass\":\"s3cr3t\"}")));
    assert_int_equal(said("unknown key \"ssl.certificates[].pass\""), 1);
    assert_int_equal(said("s3cr3t"), 0);
    config_finish(&c);
    assert_true(load("{\"ssl\":{\"enabled\":true},\"unix_socket\":{\"enabled\":true}}"));
    assert_false(c.ssl.enabled);
    assert_int_equal(said("\"ssl.enabled\" has no effect with \"unix_socket.enabled\""), 1);
    config_finish(&c);
    assert_true(load("{\"ssl\":{\"redirect_http\":true}}"));
    assert_int_equal(said("\"ssl.redirect_http\" has no effect"), 1);
    config_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_read),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_has_no_effect_is_named),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
