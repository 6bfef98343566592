/* config/env.c - environment variables; they win over the file.
 *
 * A value that does not parse is a warning, what was there before stays. Messages never show the
 * value. Source: spec/configuration.md §8 (CFG-8, CFG-64…67, CFG-75)
 */
#include "config/load.h"
#include "pusher/origin.h"

static const char *env_z(const struct loading *l, const char *name)
{
    return tree_env(l->env, name, strlen(name));
}

static bool origins_fit(struct loading *l, const struct option_value *v)
{
    struct err e = {.kind = ERR_NONE};
    for (size_t i = 0; i < v->list_count; i++)
        if (!origin_pattern_check(v->list[i], &e)) {
            config_say(l, SAY_WARN, "CORS_ORIGINS is ignored: %s", e.text);
            return false;
        }
    return true;
}

static void apply_one(struct loading *l, enum option id, str name)
{
    const struct option_row *row = &config_options[id];
    const char *text = tree_env(l->env, name.p, name.n), *form = "another value";
    if (text == NULL)
        return;
    struct option_value fresh = {.source = FROM_ENV, .variable = name};
    if (!option_from_text(&l->c->memory, row, str_z(text), &fresh, &form)) {
        config_say(l, SAY_WARN, "variable %.*s is ignored, expected %s", FMT(name), form);
        return;
    }
    if (id == OPT_cors_origin && !origins_fit(l, &fresh))
        return;
    l->c->values[id] = fresh;
}

static void apply_row(struct loading *l, enum option id)
{
    str names = config_options[id].env;
    while (names.n > 0) {
        const char *comma = memchr(names.p, ',', names.n);
        size_t n = comma ? (size_t)(comma - names.p) : names.n;
        apply_one(l, id, str_of(names.p, n));
        names = str_from(names, n + 1);
    }
}

/* DEBUG_MODE, in the table, sets it both ways; a true DEBUG forces it on. */
static void apply_debug(struct loading *l)
{
    const char *text = env_z(l, "DEBUG");
    bool on;
    if (text == NULL || !config_text_bool(str_z(text), &on) || !on)
        return;
    l->c->values[OPT_debug].b = true;
    l->c->values[OPT_debug].source = FROM_ENV;
}

static void apply_log(struct loading *l)
{
    const char *format = env_z(l, "LOG_OUTPUT_FORMAT"), *filter = env_z(l, "RUST_LOG");
    if (filter == NULL)
        filter = env_z(l, option(l, OPT_debug)->b ? "SOCKUDO_LOG_DEBUG" : "SOCKUDO_LOG_PROD");
    if (filter == NULL)
        filter = env_z(l, "LOG_LEVEL");
    l->c->log.json = format != NULL && strcmp(format, "json") == 0;
    l->c->log.filter = arena_str(&l->c->memory, str_z(filter ? filter : ""));
}

static void look_at_areas(struct loading *l)
{
#define AREA_ENV(name, area) {name, area},
    static const struct {
        const char *name, *area;
    } areas[] = {
#include "config/scope.def"
    };
#undef AREA_ENV
    for (size_t i = 0; i < COUNT_OF(areas); i++) {
        const char *text = env_z(l, areas[i].name);
        bool on;
        if (text != NULL && config_text_bool(str_z(text), &on) && on)
            config_say_strict(l,
                              "variable %s is set, but %s is not provided by this server; it is "
                              "ignored",
                              areas[i].name, areas[i].area);
    }
}

void config_apply_env(struct loading *l)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        apply_row(l, (enum option)i);
    apply_debug(l);
    apply_log(l);
    look_at_areas(l);
}
