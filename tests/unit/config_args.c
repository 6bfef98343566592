/* unit/config_args.c - the command line (CFG-2, CFG-3). */
#include "config/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct config_args a;
static struct err e;

static bool parse(char *first, char *second)
{
    char *argv[] = {"sockudo", first, second, NULL};
    return config_args_parse(1 + (first != NULL) + (second != NULL), argv, &a, &e);
}

static void three_forms_of_config(void **state)
{
    (void)state;
    assert_true(parse(NULL, NULL));
    assert_null(a.config_path);
    assert_true(parse("--config", "f.json"));
    assert_string_equal(a.config_path, "f.json");
    assert_true(parse("--config=f.json", NULL));
    assert_string_equal(a.config_path, "f.json");
    assert_true(parse("-c", "f.json"));
    assert_string_equal(a.config_path, "f.json");
}

static void flags(void **state)
{
    (void)state;
    assert_true(parse("--check-config", "--strict-config"));
    assert_true(a.check_only && a.strict && !a.want_help);
    assert_true(parse("-V", "-h"));
    assert_true(a.want_version && a.want_help);
    assert_true(parse("--version", "--help"));
    assert_true(a.want_version && a.want_help);
}

static void anything_else_is_usage(void **state)
{
    (void)state;
    static const struct {
        char *word;
        const char *begins;
    } bad[] = {{"--nonsense", "unknown option --nonsense; usage: "},
               {"-x", "unknown option -x; usage: "},
               {"-Vx", "unknown option -x; usage: "},
               {"--check-config=yes", "unknown option --check-config=yes; usage: "},
               {"operand", "\"operand\" is no option; usage: "},
               {"--config", "--config needs a value; usage: "},
               {"-c", "-c needs a value; usage: "}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(parse(bad[i].word, NULL));
        if (!str_starts(str_z(e.text), str_z(bad[i].begins)))
            fail_msg("%s", e.text);
        assert_null(strchr(e.text, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(three_forms_of_config),
                                       cmocka_unit_test(flags),
                                       cmocka_unit_test(anything_else_is_usage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
