/* config/apps.c - app objects of the file, flat or with a policy, as records.
 *
 * Source: spec/configuration.md §5.2, §5.4, §6.1 (CFG-23, CFG-24, CFG-51…60)
 */
#include "config/load.h"
#include "pusher/origin.h"

#include <stdlib.h>

#define NO_OPTION (-1)
#define APP_FIELD(name, place, kind, member, limit, sentence)                                      \
    {#name, place, kind, offsetof(struct app, member), limit},
const struct app_field config_app_fields[] = {
#include "config/app_fields.def"
};
#undef APP_FIELD
const size_t config_app_field_count = COUNT_OF(config_app_fields);
const str config_app_places[APP_PLACES] = {[OUTER] = STR(""),
                                           [LIMITS] = STR("limits"),
                                           [FEATURES] = STR("features"),
                                           [CHANNELS] = STR("channels"),
                                           [POLICY] = STR("")};

struct app_source {
    struct loading *l;
    const struct value *outer, *policy; /* policy NULL: the flat shape */
    struct app *app;
};

static bool bad_field(const struct app_source *s, const struct value *v, const char *name,
                      const char *wanted)
{
    return config_fail_at(s->l, v, "app \"%.*s\": %s: expected %s", FMT(s->app->id), name, wanted);
}

static const struct value *block_of(const struct app_source *s, enum app_place place)
{
    if (place == OUTER || s->policy == NULL)
        return s->outer;
    return place == POLICY ? s->policy : tree_get(s->policy, config_app_places[place]);
}

static const struct value *field_value(const struct app_source *s, const struct app_field *f)
{
    return tree_get(block_of(s, f->place), str_z(f->name));
}

/* A number or a decimal string (§2.1). */
static bool number_of(const struct value *v, int64_t *out)
{
    uint64_t n;
    *out = v->i;
    if (v->type == VALUE_INT)
        return true;
    if (v->type != VALUE_STR)
        return false;
    bool minus = v->s.n > 1 && v->s.p[0] == '-';
    if (!str_u64(minus ? str_from(v->s, 1) : v->s, INT64_MAX, &n))
        return false;
    *out = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool read_count(const struct app_source *s, const struct value *v, const char *name,
                       uint32_t *out)
{
    int64_t n;
    if (!number_of(v, &n) || n < 0 || n > UINT32_MAX)
        return bad_field(s, v, name, "a number from 0 to 4294967295");
    *out = (uint32_t)n;
    return true;
}

static bool read_flag(const struct app_source *s, const struct value *v, const char *name,
                      bool *out)
{
    *out = v->b;
    return v->type == VALUE_BOOL || bad_field(s, v, name, "true or false");
}

static void say_unenforced(const struct app_source *s, const struct value *v, const char *name)
{
    int64_t n;
    if (number_of(v, &n) && n > 0)
        config_say_strict(
            s->l, "app limit \"%s\" is not enforced by this server; the key is ignored", name);
}

static void say_beyond(const struct app_source *s, const struct value *v, const char *name)
{
    const struct value *enabled = tree_get(v, S("enabled"));
    bool is_on = v->type == VALUE_BOOL ? v->b : v->type != VALUE_MAP || (enabled && enabled->b);
    if (strcmp(name, "channel_namespaces") == 0)
        config_say_strict(s->l,
                          "app \"%.*s\": channel_namespaces restricts channel names; this "
                          "server does not apply the restriction",
                          FMT(s->app->id));
    else if (is_on)
        config_say_strict(s->l,
                          "app setting \"%s\" is not provided by this server; the key is "
                          "ignored",
                          name);
}

static bool read_field(const struct app_source *s, const struct app_field *f, const struct value *v)
{
    char *to = (char *)s->app + f->at;
    int64_t n;
    switch (f->kind) {
    case TEXT:
        *(str *)(void *)to = arena_str(&s->app->memory, v->s);
        return v->type == VALUE_STR || bad_field(s, v, f->name, "a string");
    case FLAG:
        return read_flag(s, v, f->name, (bool *)to);
    case COUNT:
        return read_count(s, v, f->name, (uint32_t *)(void *)to);
    case BIG_COUNT:
        if (!number_of(v, &n))
            return bad_field(s, v, f->name, "a number");
        *(int64_t *)(void *)to = n > 0 ? n : 0;
        return true;
    case UNENFORCED:
        say_unenforced(s, v, f->name);
        return true;
    case BEYOND:
        say_beyond(s, v, f->name);
        return true;
    case SPECIAL:
        return true;
    }
    return true;
}

static bool read_message_rate(const struct app_source *s)
{
    struct app *a = s->app;
    const struct value *v = tree_get(block_of(s, LIMITS), S("message_rate_limit")), *m;
    if (v == NULL)
        return true;
    if (v->type != VALUE_MAP)
        return bad_field(s, v, "message_rate_limit", "an object");
    if ((m = tree_get(v, S("enabled"))) &&
        !read_flag(s, m, "message_rate_limit.enabled", &a->message_rate.enabled))
        return false;
    if ((m = tree_get(v, S("max_attempts"))) &&
        !read_count(s, m, "message_rate_limit.max_attempts", &a->message_rate.max_attempts))
        return false;
    if ((m = tree_get(v, S("decay_seconds"))) &&
        !read_count(s, m, "message_rate_limit.decay_seconds", &a->message_rate.decay_seconds))
        return false;
    if ((m = tree_get(v, S("terminate_on_limit"))) &&
        !read_flag(s, m, "message_rate_limit.terminate_on_limit",
                   &a->message_rate.terminate_on_limit))
        return false;
    if (a->message_rate.decay_seconds == 0)
        return bad_field(s, v, "message_rate_limit.decay_seconds", "at least 1");
    return true;
}

static bool read_origins(const struct app_source *s)
{
    struct app *a = s->app;
    struct err e = {.kind = ERR_NONE};
    const struct value *v = tree_get(block_of(s, CHANNELS), S("allowed_origins"));
    if (v == NULL)
        return true;
    if (v->type != VALUE_LIST)
        return bad_field(s, v, "allowed_origins", "a list");
    a->allowed_origins = arena_get(&a->memory, (v->count + 1) * sizeof *a->allowed_origins);
    for (const struct value *item = v->first; item != NULL; item = item->next) {
        if (item->type != VALUE_STR)
            return bad_field(s, item, "allowed_origins", "strings");
        if (!origin_pattern_check(item->s, &e))
            return config_fail_at(s->l, item, "app \"%.*s\": allowed_origins: %s", FMT(a->id),
                                  e.text);
        a->allowed_origins[a->allowed_origin_count++] = arena_str(&a->memory, item->s);
    }
    return true;
}

/* App value, else the global limit if it was written, else none; names: 200 (§6.1). */
void config_app_limits(struct loading *l, struct app *a, uint32_t written)
{
    for (size_t i = 0; i < COUNT_OF(config_app_fields); i++) {
        const struct app_field *f = &config_app_fields[i];
        if (f->explicit_limit < 0 || (written >> i & 1) ||
            !is_written(l, (enum option)f->explicit_limit))
            continue;
        *(uint32_t *)(void *)((char *)a + f->at) =
            (uint32_t)option(l, (enum option)f->explicit_limit)->i;
    }
    if (a->max_channel_name == 0)
        a->max_channel_name = APP_NAME_LENGTH_DEFAULT;
    if (a->max_event_name == 0)
        a->max_event_name = APP_NAME_LENGTH_DEFAULT;
}

static const struct app_field *field_named(str name)
{
    for (size_t i = 0; i < COUNT_OF(config_app_fields); i++)
        if (str_eq(name, str_z(config_app_fields[i].name)))
            return &config_app_fields[i];
    return NULL;
}

void config_say_unknown(struct loading *l, const struct app *a, const struct value *v,
                        const char *place, const char *const *known)
{
    const char *near = config_nearest(v->key, known);
    config_say_strict(l, "%.*s:%u: unknown key \"%s%.*s\" in app \"%.*s\"%s%s%s", FMT(l->c->file),
                      v->line, place, FMT(v->key), FMT(a->id), near ? ", did you mean \"" : "",
                      near ? near : "", near ? "\"?" : "");
}

static void say_unknown(const struct app_source *s, const struct value *v)
{
    const char *known[COUNT_OF(config_app_fields) + 2] = {NULL};
    for (size_t i = 0; i < COUNT_OF(config_app_fields); i++)
        known[i] = config_app_fields[i].name;
    known[COUNT_OF(config_app_fields)] = "policy";
    config_say_unknown(s->l, s->app, v, "", known);
}

/* Beside a policy only four flat fields count (CFG-52). */
static void look_at_outer(const struct app_source *s)
{
    for (const struct value *v = s->outer->first; v != NULL; v = v->next) {
        const struct app_field *f = field_named(v->key);
        if (f == NULL && !str_eq(v->key, S("policy")))
            say_unknown(s, v);
        else if (s->policy != NULL && f != NULL && f->place != OUTER)
            config_say(s->l, SAY_WARN, "app \"%.*s\": \"%s\" beside \"policy\" is ignored",
                       FMT(s->app->id), f->name);
    }
}

static void look_at_policy(const struct app_source *s)
{
    for (enum app_place p = LIMITS; s->policy != NULL && p <= POLICY; p++) {
        const struct value *block = block_of(s, p);
        for (const struct value *v = block ? block->first : NULL; v != NULL; v = v->next) {
            const struct app_field *f = field_named(v->key);
            bool is_block =
                p == POLICY && (str_eq(v->key, S("limits")) || str_eq(v->key, S("features")) ||
                                str_eq(v->key, S("channels")));
            if (!is_block && (f == NULL || f->place != p))
                say_unknown(s, v);
        }
    }
}

bool config_key_check(str key)
{
    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] < 0x20 || key.p[i] == 0x7F)
            return false;
    return true;
}

static bool check_names(const struct app_source *s)
{
    struct app *a = s->app;
    if (a->id.n == 0)
        return config_fail_at(s->l, s->outer, "app without id (key \"%.*s\")", FMT(a->key));
    if (a->key.n == 0)
        return config_fail_at(s->l, s->outer, "app \"%.*s\" has no key", FMT(a->id));
    if (a->secret.n == 0)
        return config_fail_at(s->l, s->outer, "app \"%.*s\" has no secret", FMT(a->id));
    if (!config_key_check(a->key))
        return config_fail_at(s->l, s->outer, "app \"%.*s\": the key holds a control character",
                              FMT(a->id));
    for (size_t i = 0; i < a->key.n; i++)
        if (strchr("/?#% ", a->key.p[i]) != NULL) {
            config_say(s->l, SAY_WARN,
                       "app \"%.*s\": the key holds a character that a URL path cannot carry",
                       FMT(a->id));
            break;
        }
    if (a->decay_seconds == 0)
        return bad_field(s, s->outer, "decay_seconds", "at least 1");
    if (tree_get(s->outer, S("enabled")) == NULL)
        config_say(s->l, SAY_WARN, "app \"%.*s\" has no \"enabled\", it is taken as true",
                   FMT(a->id));
    return true;
}

static bool read_all(const struct app_source *s)
{
    uint32_t written = 0;
    for (size_t i = 0; i < COUNT_OF(config_app_fields); i++) {
        const struct value *v = field_value(s, &config_app_fields[i]);
        written |= (uint32_t)(v != NULL) << i;
        if (v != NULL && !read_field(s, &config_app_fields[i], v))
            return false;
    }
    if (!check_names(s) || !read_message_rate(s) || !read_origins(s))
        return false;
    config_app_limits(s->l, s->app, written);
    look_at_outer(s);
    look_at_policy(s);
    return config_read_webhooks(s->l, s->app, tree_get(block_of(s, POLICY), S("webhooks")));
}

bool config_read_app(struct loading *l, const struct value *v, struct app **out)
{
    if (v->type != VALUE_MAP)
        return config_fail_at(l, v, "app_manager.array.apps: expected objects, found %s",
                              tree_type_name(v));
    struct app_source s = {.l = l, .outer = v, .policy = tree_get(v, S("policy"))};
    if (s.policy != NULL && s.policy->type != VALUE_MAP)
        return config_fail_at(l, s.policy, "policy: expected an object");
    s.app = *out = app_create();
    if (!read_all(&s))
        app_unref(out);
    return *out != NULL;
}

/* Room doubles when a power of two is full. */
void config_add_app(struct loading *l, struct app *a)
{
    struct config *c = l->c;
    size_t n = c->app_count;
    if ((n & (n - 1)) == 0)
        c->apps = mem_resize(c->apps, (n ? 2 * n : 1) * sizeof *c->apps);
    c->apps[c->app_count++] = a;
}

static int by_id(const void *a, const void *b)
{
    return str_cmp((*(struct app *const *)a)->id, (*(struct app *const *)b)->id);
}

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(struct app *const *)a)->key, (*(struct app *const *)b)->key);
}

static bool check_twice(struct loading *l, struct app **sorted, const char *what,
                        int (*compare)(const void *, const void *))
{
    size_t n = l->c->app_count;
    qsort(sorted, n, sizeof(struct app *), compare);
    for (size_t i = 1; i < n; i++)
        if (compare(&sorted[i - 1], &sorted[i]) == 0) {
            str name = compare == by_id ? sorted[i]->id : sorted[i]->key;
            return config_fail_at(l, option(l, OPT_app_manager_array_apps)->tree,
                                  "app_manager.array.apps: two apps have the %s \"%.*s\"", what,
                                  FMT(name));
        }
    return true;
}

/* CFG-54 */
static bool check_unique(struct loading *l)
{
    size_t n = l->c->app_count;
    if (n < 2)
        return true;
    struct app **sorted = mem_alloc(n * sizeof *sorted);
    memcpy(sorted, l->c->apps, n * sizeof *sorted);
    bool ok = check_twice(l, sorted, "id", by_id) && check_twice(l, sorted, "key", by_key);
    free(sorted);
    return ok;
}

bool config_read_apps(struct loading *l)
{
    const struct value *list = option(l, OPT_app_manager_array_apps)->tree;
    if (list == NULL)
        return true;
    if (list->type != VALUE_LIST || list->count > CONFIG_APPS_MAX)
        return config_fail_at(l, list, "app_manager.array.apps: expected a list of up to %d apps",
                              CONFIG_APPS_MAX);
    for (const struct value *v = list->first; v != NULL; v = v->next) {
        struct app *a;
        if (!config_read_app(l, v, &a))
            return false;
        config_add_app(l, a);
    }
    return check_unique(l);
}
