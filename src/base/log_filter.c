#include "base/log_filter.h"

bool log_level_parse(str name, enum log_level *out)
{
    static const struct {
        str name;
        enum log_level level;
    } levels[] = {
        {STR("off"), LOG_OFF},   {STR("error"), LOG_ERROR}, {STR("warn"), LOG_WARN},
        {STR("info"), LOG_INFO}, {STR("debug"), LOG_DEBUG}, {STR("trace"), LOG_TRACE},
    };
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (str_eq_nocase(name, levels[i].name)) {
            *out = levels[i].level;
            return true;
        }
    }
    return false;
}

/* Up to the byte or the end; *s becomes what follows it. */
static str cut_at(str *s, char c)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
    str head = str_of(s->p, at ? (size_t)(at - s->p) : s->n);
    *s = str_from(*s, head.n + 1);
    return str_trim(head);
}

static size_t rule_of(const struct log_filter *f, str module)
{
    size_t i = 0;
    while (i < f->rule_count && !str_eq(str_z(f->rules[i].module), module))
        i++;
    return i;
}

static void rule_set(struct log_filter *f, str module, enum log_level level)
{
    size_t i = rule_of(f, module);
    if (module.n == 0 || module.n > LOG_MODULE_MAX || i == LOG_RULES_MAX)
        return;
    memcpy(f->rules[i].module, module.p, module.n);
    f->rules[i].module[module.n] = 0;
    f->rules[i].level = level;
    if (i == f->rule_count)
        f->rule_count++;
}

/* There are only own modules, so a rule for them all is the level of those without a rule; it wins
 * over the bare level wherever it stands. */
static bool means_all(str module)
{
    return str_eq(module, S("sockudo")) || str_starts(module, S("sockudo_"));
}

void log_filter_parse(struct log_filter *f, str text, enum log_level fallback)
{
    bool has_own = false;
    memset(f, 0, sizeof *f);
    f->others = fallback;
    while (text.n) {
        enum log_level level;
        str value = cut_at(&text, ',');
        bool has_module = value.n && memchr(value.p, '=', value.n);
        str module = has_module ? cut_at(&value, '=') : S("");
        if (!log_level_parse(str_trim(value), &level))
            continue;
        if (has_module && !means_all(module)) {
            rule_set(f, module, level);
        } else if (has_module || !has_own) {
            f->others = level;
            has_own = has_own || has_module;
        }
    }
}

enum log_level log_filter_level(const struct log_filter *f, const char *module)
{
    size_t i = f->rule_count ? rule_of(f, str_z(module)) : 0;
    return i < f->rule_count ? f->rules[i].level : f->others;
}

enum log_level log_filter_max(const struct log_filter *f)
{
    enum log_level max = f->others;
    for (size_t i = 0; i < f->rule_count; i++)
        if (f->rules[i].level > max)
            max = f->rules[i].level;
    return max;
}
