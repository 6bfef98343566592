/* unit/config_tree.c - the JSON reader: values, places, mistakes. */
#include "config/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static arena m;
static struct value *v;
static struct err e;

static bool parse(str text)
{
    e.text[0] = '\0';
    return tree_parse_json(&m, text, NULL, NULL, &v, &e);
}

static void values(void **state)
{
    (void)state;
    assert_true(
        parse(S(" {\"a\":[1,-2.5e1,true,null,\"x\\u00e9\\ud83d\\ude00\\n\"],\n \"b\":{}}")));
    const struct value *list = tree_get(v, S("a")), *item = list->first;
    assert_int_equal(list->count, 5);
    assert_true(item->type == VALUE_INT && item->i == 1);
    assert_true((item = item->next)->type == VALUE_FLOAT && item->f == -25);
    assert_true((item = item->next)->type == VALUE_BOOL && item->b);
    assert_true((item = item->next)->type == VALUE_NULL);
    assert_true(str_eq(item->next->s, S("x\xC3\xA9\xF0\x9F\x98\x80\n")));
    assert_int_equal(tree_get(v, S("b"))->line, 2);
    assert_int_equal(tree_get(v, S("b"))->col, 6);
    assert_null(tree_get(v, S("c")));
    arena_finish(&m);
}

static void paths(void **state)
{
    (void)state;
    assert_true(parse(S("{\"a\":{\"b\":{\"c\":7},\"n\":null}}")));
    assert_int_equal(tree_at(v, S("a.b.c"))->i, 7);
    assert_null(tree_at(v, S("a.n")));
    assert_null(tree_at(v, S("a.x.c")));
    assert_null(tree_at(v, S("a.b.c.d")));
    arena_finish(&m);
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        str text, place;
    } rows[] = {
        {STR(""), STR("1:1: ")},
        {STR("{"), STR("1:2: ")},
        {STR("{\"a\" 1}"), STR("1:6: ")},
        {STR("[1,]"), STR("1:4: ")},
        {STR("[1 2]"), STR("1:4: ")},
        {STR("\n\n  x"), STR("3:3: ")},
        {STR("01"), STR("1:1: ")},
        {STR("1."), STR("1:1: ")},
        {STR("\"a"), STR("1:3: ")},
        {STR("\"a\nb\""), STR("1:3: ")},
        {STR("\"\\x\""), STR("1:4: ")},
        {STR("\"\\ud800\""), STR("1:8: ")},
        {STR("\"\\u0000\""), STR("1:8: ")},
        {STR("{} x"), STR("1:4: ")},
        {STR("\"\xFF\""), STR("1:1: ")},
        {STR("1e999"), STR("1:1: ")},
        {STR("99999999999999999999"), STR("1:1: ")},
        {STR("\"a\\"), STR("1:4: ")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_false(parse(rows[i].text));
        if (!str_starts(str_z(e.text), rows[i].place))
            fail_msg("%.*s: %s", FMT(rows[i].text), e.text);
    }
    arena_finish(&m);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[400];
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    assert_false(parse(str_of(text, 400)));
    assert_true(parse(str_of(text + 200 - TREE_DEPTH_MAX, 2 * TREE_DEPTH_MAX)));
    arena_finish(&m);
}

static void count_twice(void *ctx, const struct value *twice)
{
    assert_true(str_eq(twice->key, S("a")));
    ++*(int *)ctx;
}

static void the_last_of_two_keys_stays(void **state)
{
    (void)state;
    int n = 0;
    assert_true(
        tree_parse_json(&m, S("{\"a\":1,\"b\":2,\"a\":3,\"a\":4}"), count_twice, &n, &v, &e));
    assert_int_equal(n, 2);
    assert_int_equal(tree_get(v, S("a"))->i, 4);
    assert_int_equal(v->count, 2);
    arena_finish(&m);
}

static str expand(const char *toml, char *variable)
{
    str out = {"", 0};
    e.text[0] = '\0';
    if (!tree_interpolate(&m, str_z(toml), SYNTAX_TOML, (char *[]){variable, NULL}, &out, &e))
        return str_z(e.text);
    return out;
}

static void assert_expands(const char *toml, char *variable, const char *wanted)
{
    str found = expand(toml, variable);
    if (!str_eq(found, str_z(wanted)))
        fail_msg("%s: \"%.*s\"", toml, FMT(found));
}

/* configuration.md §2.3: escaped where it stands in a string, which TOML has four kinds of. */
static void variables_in_toml(void **state)
{
    (void)state;
    char *quote = "V=a\"b\\c", *apostrophe = "V=it's", *two = "V=x\ny = 2";
    assert_expands("a = \"${V}\"", quote, "a = \"a\\\"b\\\\c\"");
    assert_expands("a = \"\"\"x\" ${V}\"\"\"", quote, "a = \"\"\"x\" a\\\"b\\\\c\"\"\"");
    assert_expands("a = '${V}'", quote, "a = 'a\"b\\c'");
    assert_expands("a = '${V}'", apostrophe, "variables that cannot stand in a literal string: V");
    assert_expands("a = '''${V}'''", two, "variables that cannot stand in a literal string: V");
    assert_expands("a = \"it's ${V}\"", apostrophe, "a = \"it's it's\"");
    assert_expands("a = '\"'\nb = \"${V}\"", quote, "a = '\"'\nb = \"a\\\"b\\\\c\"");
    assert_expands("# don't\na = \"${V}\"", quote, "# don't\na = \"a\\\"b\\\\c\"");
    assert_expands("# ${V}\nb = 1", two, "# x y = 2\nb = 1");
    assert_expands("a = \"${V}\"", two, "a = \"x\\u000ay = 2\"");
    assert_expands("a = \"\"\"\\\n${V}\"\"\"", "V= x", "a = \"\"\"\\\n\\u0020x\"\"\"");
    assert_expands("port = ${V}", "V=7001", "port = 7001");
    assert_expands("port = ${V:-6001}", "V=", "port = 6001");
    assert_expands("# ${W} ${X}", "V=1", "variables without a value: W, X");
    arena_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values),
                                       cmocka_unit_test(paths),
                                       cmocka_unit_test(mistakes),
                                       cmocka_unit_test(depth_is_bounded),
                                       cmocka_unit_test(the_last_of_two_keys_stays),
                                       cmocka_unit_test(variables_in_toml)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
