/* unit/config_toml.c - the TOML reader: values, places, tables, mistakes (configuration.md §2.2).
 */
#include "config/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

static arena m;
static struct value *v;
static struct err e;

static int finish(void **state)
{
    (void)state;
    arena_finish(&m);
    return 0;
}

static bool parse(str text)
{
    e = (struct err){.kind = ERR_NONE};
    return tree_parse_toml(&m, text, &v, &e);
}

#define PARSES(toml)                                                                               \
    do {                                                                                           \
        if (!parse(S(toml)))                                                                       \
            fail_msg("%s", e.text);                                                                \
    } while (0)

static void assert_text(const char *path, const char *text)
{
    const struct value *found = tree_at(v, str_z(path));
    assert_non_null(found);
    assert_int_equal(found->type, VALUE_STR);
    assert_string_equal(found->s.p, text);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        str text;
        int64_t i;
    } ints[] = {
        {STR("x=+99"), 99},  {STR("x=-1_000"), -1000}, {STR("x=0xDEAD_beef"), 0xDEADBEEF},
        {STR("x=0o17"), 15}, {STR("x=0b101"), 5},      {STR("x=-9223372036854775808"), INT64_MIN},
        {STR("x=-0"), 0}};
    static const struct {
        str text;
        double f;
    } floats[] = {{STR("x=1_0.5"), 10.5}, {STR("x=-2e0_2"), -200}, {STR("x=+inf"), INFINITY}};
    for (size_t i = 0; i < COUNT_OF(ints); i++) {
        assert_true(parse(ints[i].text));
        assert_int_equal(tree_get(v, S("x"))->type, VALUE_INT);
        assert_true(tree_get(v, S("x"))->i == ints[i].i);
    }
    for (size_t i = 0; i < COUNT_OF(floats); i++) {
        assert_true(parse(floats[i].text));
        assert_int_equal(tree_get(v, S("x"))->type, VALUE_FLOAT);
        assert_true(tree_get(v, S("x"))->f == floats[i].f);
    }
    assert_true(parse(S("x=-nan")));
    assert_true(isnan(tree_get(v, S("x"))->f));
}

static void strings(void **state)
{
    (void)state;
    PARSES("a = \"q\\\" b\\\\ t\\t \\u00e9\\U0001F600\"\nb = 'C:\\x \"'\n"
           "c = \"\"\"\r\none \"\" \\\n   \n  two\"\"\"\"\"\nd = '''\nx'''''\n");
    assert_text("a", "q\" b\\ t\t \xC3\xA9\xF0\x9F\x98\x80");
    assert_text("b", "C:\\x \"");
    assert_text("c", "one \"\" two\"\"");
    assert_text("d", "x''");
}

static void dates(void **state)
{
    (void)state;
    static const str texts[] = {
        STR("x=1979-05-27T07:32:00Z"), STR("x=1979-05-27 07:32:00.999-07:00"),
        STR("x=1979-05-27t07:32:00"),  STR("x=2024-02-29 # leap"),
        STR("x=[07:32:00.5]\ny=1"),
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(parse(texts[i]));
        const struct value *x = tree_get(v, S("x"));
        assert_int_equal((x->type == VALUE_LIST ? x->first : x)->type, VALUE_DATE);
    }
    assert_string_equal(tree_type_name(tree_get(v, S("x"))->first), "a date");
}

static void shapes(void **state)
{
    (void)state;
    PARSES(
        "top = 1 # comment\n[a.b] # passes a\nx = 'one'\n[a] # opens it once\ny.z = 'two'\n"
        "[a.y.w]\nk = 'three'\n[[list]]\nn = 1\n[[list.sub]]\ns = 'deep'\n[list.one]\nq = 'four'\n"
        "[[list]]\nn = 2\n[quoted.\"a.b\".'c']\ni = {a.b = 1, a.c = {}, l = [1, # c\n 2,]}\n");
    assert_text("a.b.x", "one");
    assert_text("a.y.z", "two");
    assert_text("a.y.w.k", "three");
    const struct value *list = tree_get(v, S("list"));
    assert_int_equal(list->count, 2);
    assert_string_equal(tree_get(tree_get(list->first, S("sub"))->first, S("s"))->s.p, "deep");
    assert_string_equal(tree_at(list->first, S("one.q"))->s.p, "four");
    assert_int_equal(tree_get(list->last, S("n"))->i, 2);
    const struct value *quoted = tree_get(tree_get(v, S("quoted")), S("a.b"));
    const struct value *i = tree_at(quoted, S("c.i"));
    assert_int_equal(tree_at(i, S("a.b"))->i, 1);
    assert_int_equal(tree_at(i, S("a.c"))->type, VALUE_MAP);
    assert_int_equal(tree_get(i, S("l"))->count, 2);
    assert_int_equal(tree_at(v, S("a.b.x"))->line, 3);
    assert_int_equal(tree_at(v, S("a.b.x"))->col, 5);
}

/* What is refused, and where the message points. */
static void mistakes(void **state)
{
    (void)state;
    static const struct {
        str text, place;
    } rows[] = {
        {STR("a"), STR("1:2: ")},
        {STR("a = "), STR("1:5: ")},
        {STR("a = 1 b = 2"), STR("1:7: ")},
        {STR("a = 1\n\n  ="), STR("3:3: ")},
        {STR("a = 1\na = 2"), STR("2:1: ")},
        {STR("a.b = 1\na.b = 2"), STR("2:3: ")},
        {STR("a = 1\na.b = 2"), STR("2:1: ")},
        {STR("[a]\n[a]"), STR("2:2: ")},
        {STR("a.b = 1\n[a]"), STR("2:2: ")},
        {STR("[a.b]\n[a]\nb.c = 1"), STR("3:1: ")},
        {STR("[a]\nb.c = 1\n[x]\n[a.b]"), STR("4:4: ")},
        {STR("a = {}\n[a.b]"), STR("2:2: ")},
        {STR("a = {b = 1}\na.c = 1"), STR("2:1: ")},
        {STR("a = [{}]\n[[a]]"), STR("2:3: ")},
        {STR("[[a]]\n[a]"), STR("2:2: ")},
        {STR("[a]\n[[a]]"), STR("2:3: ")},
        {STR("a = {b = 1,}"), STR("1:12: ")},
        {STR("a = {b = 1\n}"), STR("1:11: ")},
        {STR("a = [1 2]"), STR("1:8: ")},
        {STR("a = [1"), STR("1:7: ")},
        {STR("[a"), STR("1:3: ")},
        {STR("[a] x"), STR("1:5: ")},
        {STR("[[a] ]"), STR("1:5: ")},
        {STR("\"\"\"a\"\"\" = 1"), STR("1:3: ")},
        {STR("a = 01"), STR("1:5: ")},
        {STR("a = 1."), STR("1:5: ")},
        {STR("a = .5"), STR("1:5: ")},
        {STR("a = _1"), STR("1:5: ")},
        {STR("a = 1__0"), STR("1:5: ")},
        {STR("a = +0x1"), STR("1:5: ")},
        {STR("a = 0x0x1"), STR("1:5: ")},
        {STR("a = 0b2"), STR("1:5: ")},
        {STR("a = 9223372036854775808"), STR("1:5: ")},
        {STR("a = True"), STR("1:5: ")},
        {STR("a = null"), STR("1:5: ")},
        {STR("a = 2023-02-29"), STR("1:5: ")},
        {STR("a = 24:00:00"), STR("1:5: ")},
        {STR("a = \"x"), STR("1:7: ")},
        {STR("a = \"x\ny\""), STR("1:7: ")},
        {STR("a = \"\\x41\""), STR("1:7: ")},
        {STR("a = \"\\u0000\""), STR("1:12: ")},
        {STR("a = \"\\ud800\""), STR("1:12: ")},
        {STR("a = 'x\x01'"), STR("1:7: ")},
        {STR("# \x7F"), STR("1:3: ")},
        {STR("a = 1\rb = 2"), STR("1:6: ")},
        {STR("a = '\xFF'"), STR("1:1: ")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (parse(rows[i].text))
            fail_msg("accepted: %s", rows[i].text.p);
        if (!str_starts(str_z(e.text), rows[i].place))
            fail_msg("%s: \"%s\"", rows[i].text.p, e.text);
    }
}

/* By every way down: headers, dots, lists and inline tables. */
static void depth_is_limited(void **state)
{
    (void)state;
    static const struct {
        const char *before, *each, *after;
        unsigned most; /* times `each` that are fine */
    } rows[] = {{"[a", ".a", "]", TREE_DEPTH_MAX - 2},
                {"a", ".a", " = 1", TREE_DEPTH_MAX - 1},
                {"a = ", "[", "", TREE_DEPTH_MAX - 1},
                {"a = 1 #", ".a", "", 100000},
                {"[[a", ".a", "]]", TREE_DEPTH_MAX - 3}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (unsigned over = 0; over < 2; over++) {
            char many[2 * 100001 + 1] = "", *at = many;
            for (unsigned k = 0; k < rows[i].most + over; k++, at += strlen(rows[i].each))
                memcpy(at, rows[i].each, strlen(rows[i].each) + 1);
            bool ok = parse(str_z(arena_printf(&m, "%s%s%s", rows[i].before, many, rows[i].after)));
            bool too_deep = strstr(e.text, "nested too deeply") != NULL;
            assert_true(too_deep == (over == 1 && rows[i].most < 1000));
            assert_true(ok || too_deep || rows[i].each[0] == '[');
        }
}

static void keys_are_limited(void **state)
{
    (void)state;
    size_t n = 0;
    char *text = arena_get(&m, (TREE_KEYS_MAX + 1) * 12);
    for (int i = 0; i <= TREE_KEYS_MAX; i++) {
        if (i == TREE_KEYS_MAX)
            assert_true(parse(str_of(text, n)));
        n += (size_t)snprintf(text + n, 12, "k%d=1\n", i);
    }
    assert_false(parse(str_of(text, n)));
    assert_string_equal(e.text, "10001:1: too many keys");
}

#define TEST(f) cmocka_unit_test_teardown(f, finish)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers),  TEST(strings),          TEST(dates),           TEST(shapes),
        TEST(mistakes), TEST(depth_is_limited), TEST(keys_are_limited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
