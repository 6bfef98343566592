/* tests/unit/base_json.c - RFC 8259 at its edges, look-ups, decoding, writing (SEC-19). */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

/* Parses a copy of exactly these bytes, so that reading past the end is seen. */
static bool accepts(str text, enum json_type *type, size_t *bad_at)
{
    struct json v;
    char *copy = malloc(text.n + 1);
    char *tight = realloc(copy, text.n ? text.n : 1);
    memcpy(tight, text.p, text.n);
    bool ok = json_parse(str_of(tight, text.n), &v, bad_at);
    *type = v.type;
    free(tight);
    return ok;
}

/* ---- what is JSON --------------------------------------------------------------------------- */

static void test_accepted(void **state)
{
    static const struct {
        str text;
        enum json_type type;
    } rows[] = {
        {STR("null"), JSON_NULL},
        {STR(" true "), JSON_BOOL},
        {STR("\t\r\n false\n"), JSON_BOOL},
        {STR("0"), JSON_NUMBER},
        {STR("-0"), JSON_NUMBER},
        {STR("1.10"), JSON_NUMBER},
        {STR("1e999999"), JSON_NUMBER},
        {STR("-12.5E+07"), JSON_NUMBER},
        {STR("0e0"), JSON_NUMBER},
        {STR("12345678901234567890123"), JSON_NUMBER},
        {STR("\"\""), JSON_STRING},
        {STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\""), JSON_STRING},
        {STR("\"\\ud83d\\ude00\""), JSON_STRING},
        {STR("\"\\uDBFF\\uDFFF\""), JSON_STRING},
        {STR("\"\x7f\""), JSON_STRING},
        {STR("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\""), JSON_STRING},
        {STR("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), JSON_STRING},
        {STR("\"a long plain text of more than sixteen bytes, then \xc3\xab and more\""),
         JSON_STRING},
        {STR("[]"), JSON_ARRAY},
        {STR("[ ]"), JSON_ARRAY},
        {STR("[1,[2,{}],\"\"]"), JSON_ARRAY},
        {STR("{}"), JSON_OBJECT},
        {STR(" { \"\" : { } , \"a\" : [ ] } "), JSON_OBJECT},
        {STR("{\"a\":1,\"a\":2}"), JSON_OBJECT},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum json_type type;
        size_t bad_at;
        if (!accepts(rows[i].text, &type, &bad_at))
            fail_msg("refused at %zu: %.*s", bad_at, FMT(rows[i].text));
        assert_int_equal(type, rows[i].type);
    }
}

static void test_refused(void **state)
{
    static const struct {
        str text;
        size_t bad_at;
    } rows[] = {
        {STR(""), 0},
        {STR("  "), 2},
        {STR("{,}"), 1},
        {STR("{,,}"), 1},
        {STR("{\"a\":1,}"), 7},
        {STR("[1,]"), 3},
        {STR("[,1]"), 1},
        {STR("[1 2]"), 3},
        {STR("[1}"), 2},
        {STR("{\"a\":1]"), 6},
        {STR("{\"a\" 1}"), 5},
        {STR("{\"a\",1}"), 4},
        {STR("{\"a\"::1}"), 5},
        {STR("{\"a\":}"), 5},
        {STR("{a:1}"), 1},
        {STR("{1:1}"), 1},
        {STR("{\"x\":tru1}"), 5},
        {STR("{\"x\":01}"), 6},
        {STR("{\"x\":\"\\q\"}"), 6},
        {STR("["), 1},
        {STR("{"), 1},
        {STR("{\"a\""), 4},
        {STR("{\"a\":"), 5},
        {STR("[1"), 2},
        {STR("]"), 0},
        {STR("01"), 1},
        {STR("-"), 1},
        {STR("-01"), 2},
        {STR("+1"), 0},
        {STR(".5"), 0},
        {STR("1."), 2},
        {STR("1.e1"), 2},
        {STR("1e"), 2},
        {STR("1e+"), 3},
        {STR("0x1"), 1},
        {STR("NaN"), 0},
        {STR("Infinity"), 0},
        {STR("nul"), 0},
        {STR("nulll"), 4},
        {STR("True"), 0},
        {STR("1 1"), 2},
        {STR("{} x"), 3},
        {STR("{}\0"), 2},
        {STR("\"a"), 2},
        {STR("\"a\\"), 2},
        {STR("\"\\u12\""), 1},
        {STR("\"\\u12g4\""), 1},
        {STR("\"\\u+123\""), 1},
        {STR("\"\\x41\""), 1},
        {STR("\"\\U0041\""), 1},
        {STR("\"\t\""), 1},
        {STR("\"\n\""), 1},
        {STR("\"\0\""), 1},
        {STR("\"0123456789abcdef\x1f\""), 17},
        {STR("\"\xc3\xab\x01\""), 3},
        {STR("'a'"), 0},
        {STR("\xef\xbb\xbf{}"), 0},
        {STR("\xc2\xa0{}"), 0},
        {STR("[1\x0c]"), 2},
        {STR("// c\n1"), 0},
        {STR("[1]/**/"), 3},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum json_type type;
        size_t bad_at;
        if (accepts(rows[i].text, &type, &bad_at))
            fail_msg("accepted: %.*s", FMT(rows[i].text));
        assert_int_equal(type, JSON_NONE);
        if (bad_at != rows[i].bad_at)
            fail_msg("%.*s: at %zu, expected %zu", FMT(rows[i].text), bad_at, rows[i].bad_at);
    }
    struct json v;
    assert_false(json_parse((str){NULL, 0}, &v, NULL));
}

static void test_lone_surrogates_and_bad_utf8(void **state)
{
    static const char *const rows[] = {
        "\\ud800",
        "\\udbff",
        "\\udc00",
        "\\udfff",
        "\\ud800x",
        "\\ud800\\n",
        "\\ud800\\ud800",
        "\\ud83d\\u0041",
        "\\ude00\\ud83d",
        "\\ud83d\\ude0",
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc3",
        "\xc3(",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe2\x82",
        "\xe2(\xac",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf0\x9f\x98",
        "\xff",
        "\xfe",
        "\xf8\x88\x80\x80\x80",
    };
    (void)state;
    for (size_t pad = 0; pad < 20; pad++)
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            char text[100];
            enum json_type type;
            size_t bad_at;
            int n = snprintf(text, sizeof text, "\"%.*s%s\"", (int)pad, "abcdefghijklmnopqrst",
                             rows[i]);
            if (accepts(str_of(text, (size_t)n), &type, &bad_at))
                fail_msg("accepted row %zu behind %zu bytes", i, pad);
        }
}

static void nested(char *out, size_t levels, bool object)
{
    out[0] = 0;
    for (size_t i = 0; i < levels; i++)
        strcat(out, object ? i + 1 < levels ? "{\"a\":" : "{" : "[");
    for (size_t i = 0; i < levels; i++)
        strcat(out, object ? "}" : "]");
}

static void test_depth_128_fits_129_not(void **state)
{
    char text[1000];
    enum json_type type;
    size_t bad_at;
    (void)state;
    for (int object = 0; object < 2; object++) {
        nested(text, 128, object);
        assert_true(accepts(str_z(text), &type, &bad_at));
        nested(text, 129, object);
        assert_false(accepts(str_z(text), &type, &bad_at));
        assert_int_equal(bad_at, 128 * (object ? 5 : 1));
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* SEC-19: hostile sizes end early or are read once. */
static void test_large_texts(void **state)
{
    size_t n = 10u << 20, bad_at;
    char *text = malloc(n);
    struct json v;
    int64_t begin = now_ms();
    (void)state;
    memset(text, '[', n);
    assert_false(json_parse(str_of(text, n), &v, &bad_at));
    assert_int_equal(bad_at, 128);
    memset(text, '9', n);
    assert_true(json_parse(str_of(text, n), &v, &bad_at));
    assert_true(json_is_integer(v) && v.raw.n == n);
    memset(text, ' ', n);
    assert_false(json_parse(str_of(text, n), &v, &bad_at));
    memset(text, '\\', n);
    text[0] = text[n - 1] = '"';
    assert_true(json_parse(str_of(text, n), &v, &bad_at) && v.escaped);
    for (size_t i = 0; i + 2 < n; i += 2)
        memcpy(text + i, "1,", 2);
    text[0] = '[';
    text[1] = '1';
    memcpy(text + n - 2, "1]", 2);
    text[2] = ' ';
    assert_true(json_parse(str_of(text, n), &v, &bad_at)); /* [1 ,1,1... */
    free(text);
    assert_in_range(now_ms() - begin, 0, 5000);
}

/* ---- finding -------------------------------------------------------------------------------- */

static struct json parse(const char *text)
{
    struct json v;
    size_t bad_at;
    if (!json_parse(str_z(text), &v, &bad_at))
        fail_msg("%s: bad at %zu", text, bad_at);
    return v;
}

static void expect(struct json v, enum json_type type, const char *raw)
{
    assert_int_equal(v.type, type);
    if (!str_eq(v.raw, str_z(raw)))
        fail_msg("%.*s, expected %s", FMT(v.raw), raw);
}

static void test_fields(void **state)
{
    struct json v =
        parse(" {\"event\" : \"x\", \"data\":{\"event\":1,\"]\":\"}\\\"\"} , \"n\":-1.50e1,"
              "\"t\":true,\"z\":null ,\"l\":[1, [\"]\"] ]} ");
    struct json_field f[] = {{S("data"), {0}}, {S("event"), {0}}, {S("n"), {0}},   {S("t"), {0}},
                             {S("z"), {0}},    {S("l"), {0}},     {S("not"), {0}}, {S(""), {0}}};
    (void)state;
    f[6].value.type = JSON_NULL;
    json_fields(v, f, COUNT_OF(f));
    expect(f[0].value, JSON_OBJECT, "{\"event\":1,\"]\":\"}\\\"\"}");
    expect(f[1].value, JSON_STRING, "\"x\"");
    expect(f[2].value, JSON_NUMBER, "-1.50e1");
    expect(f[3].value, JSON_BOOL, "true");
    expect(f[4].value, JSON_NULL, "null");
    expect(f[5].value, JSON_ARRAY, "[1, [\"]\"] ]");
    expect(f[6].value, JSON_NONE, "");
    expect(f[7].value, JSON_NONE, "");
    json_fields(f[5].value, f, 2);
    expect(f[0].value, JSON_NONE, "");
}

static void test_last_duplicate_and_escaped_names(void **state)
{
    struct json_field f[] = {{S("event"), {0}},
                             {S("\xf0\x9f\x98\x80"), {0}},
                             {S(""), {0}},
                             {{"a\0b", 3}, {0}},
                             {S("\\u0065vent"), {0}}};
    (void)state;
    json_fields(parse("{\"event\":1,\"\\u0065ven\\u0074\":2,\"\\ud83d\\ude00\":3,\"\":4,"
                      "\"a\\u0000b\":5,\"even\\u0000t\":6,\"\\u0065ven\":7,\"\\u0065vents\":8}"),
                f, COUNT_OF(f));
    expect(f[0].value, JSON_NUMBER, "2");
    expect(f[1].value, JSON_NUMBER, "3");
    expect(f[2].value, JSON_NUMBER, "4");
    expect(f[3].value, JSON_NUMBER, "5");
    expect(f[4].value, JSON_NONE, "");
    json_fields(parse("{\"\\u0065vent\":1,\"event\":2}"), f, 1);
    expect(f[0].value, JSON_NUMBER, "2");
}

static void test_iterators(void **state)
{
    struct json key, value;
    struct json_iter it = json_iter(parse("[ 1 ,\"a,b\", [2,3],{\"x\":[4]} ,null ]"));
    static const char *const raws[] = {"1", "\"a,b\"", "[2,3]", "{\"x\":[4]}", "null"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(raws); i++) {
        assert_true(json_next(&it, &key, &value));
        assert_int_equal(key.type, JSON_NONE);
        assert_true(str_eq(value.raw, str_z(raws[i])));
    }
    assert_false(json_next(&it, &key, &value));
    assert_false(json_next(&it, &key, &value));
    it = json_iter(parse("{ \"a\" : 1 , \"b:\":\"\\\"\" }"));
    assert_true(json_next(&it, &key, &value));
    expect(key, JSON_STRING, "\"a\"");
    assert_true(json_next(&it, NULL, &value));
    expect(value, JSON_STRING, "\"\\\"\"");
    assert_true(value.escaped);
    assert_false(json_next(&it, NULL, &value));
    it = json_iter(parse(" [ ] "));
    assert_false(json_next(&it, NULL, &value));
    it = json_iter(parse("\"text\""));
    assert_false(json_next(&it, NULL, &value));
}

static void test_integers(void **state)
{
    (void)state;
    assert_true(json_is_integer(parse("9007199254740993")));
    assert_true(json_is_integer(parse("-0")));
    assert_false(json_is_integer(parse("1.0")));
    assert_false(json_is_integer(parse("1e1")));
    assert_false(json_is_integer(parse("\"1\"")));
    assert_false(json_is_integer((struct json){0}));
}

static void test_decoding(void **state)
{
    static const struct {
        const char *text;
        str decoded;
    } rows[] = {
        {"\"\"", STR("")},
        {"\"plain Zo\xc3\xab\"", STR("plain Zo\xc3\xab")},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STR("\"\\/\b\f\n\r\t")},
        {"\"\\u0000\"", STR("\0")},
        {"\"\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
         STR("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {"\"x\\ud83d\\ude00y\\udbff\\udfff\"", STR("x\xf0\x9f\x98\x80y\xf4\x8f\xbf\xbf")},
        {"\"{\\\"user_id\\\":\\\"u-7\\\"}\"", STR("{\"user_id\":\"u-7\"}")},
        {"{}", STR("")},
    };
    arena a = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json v = parse(rows[i].text);
        str s = json_string(v, &a);
        if (!str_eq(s, rows[i].decoded))
            fail_msg("%s became %.*s", rows[i].text, FMT(s));
        if (v.type == JSON_STRING && !v.escaped)
            assert_ptr_equal(s.p, v.raw.p + 1);
    }
    arena_finish(&a);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void test_writing(void **state)
{
    static const struct {
        str text;
        const char *literal;
    } rows[] = {
        {STR(""), "\"\""},
        {STR("a/b\x7f\xe2\x80\xa8"), "\"a/b\x7f\xe2\x80\xa8\""},
        {STR("\"\\\b\t\n\f\r"), "\"\\\"\\\\\\b\\t\\n\\f\\r\""},
        {STR("\0\x01\x0b\x1f"), "\"\\u0000\\u0001\\u000b\\u001f\""},
        {STR("0123456789abcde\"0123456789abcdef\\"), "\"0123456789abcde\\\"0123456789abcdef\\\\\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b, e;
        size_t n = strlen(rows[i].literal);
        buf_init(&b, n);
        buf_init(&e, n - 2);
        assert_true(json_add_string(&b, rows[i].text));
        assert_true(str_eq(buf_str(&b), str_z(rows[i].literal)));
        assert_true(json_add_escaped(&e, rows[i].text));
        assert_true(str_eq(buf_str(&e), str_of(rows[i].literal + 1, n - 2)));
        buf_finish(&b);
        buf_finish(&e);
        buf_init(&b, n - 1);
        assert_false(json_add_string(&b, rows[i].text));
        assert_true(b.full && b.n == 0);
        buf_finish(&b);
    }
}

static void test_compact(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 100);
    assert_true(json_add_compact(&b, S(" { \"a b\" : [ 1 ,\t2 ] ,\r\n\"c\\\" \":\" \" } ")));
    assert_true(str_eq(buf_str(&b), S("{\"a b\":[1,2],\"c\\\" \":\" \"}")));
    buf_clear(&b);
    assert_true(json_add_compact(&b, S("1.10")) && json_add_compact(&b, S("")));
    assert_true(str_eq(buf_str(&b), S("1.10")));
    buf_finish(&b);
    buf_init(&b, 3);
    assert_true(json_add_compact(&b, S("[ 1 ]")));
    assert_false(json_add_compact(&b, S("1")));
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lone_surrogates_and_bad_utf8),
        cmocka_unit_test(test_depth_128_fits_129_not),
        cmocka_unit_test(test_large_texts),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_last_duplicate_and_escaped_names),
        cmocka_unit_test(test_iterators),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
