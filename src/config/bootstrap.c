/* config/bootstrap.c - the app that environment variables describe.
 *
 * Source: spec/configuration.md §8.3 (CFG-70…72)
 */
#include "config/load.h"
#include "pusher/origin.h"

#include <stdio.h>

#define PREFIX "SOCKUDO_DEFAULT_APP_"
enum { LIMIT_UNSET = 100 };

static str env_of(const struct loading *l, const char *name)
{
    const char *text = tree_env(l->env, name, strlen(name));
    return text ? str_z(text) : (str){NULL, 0};
}

static bool env_flag(struct loading *l, const char *name, bool fallback)
{
    str text = env_of(l, name);
    bool on = fallback;
    if (text.p != NULL && !config_text_bool(text, &on))
        config_say(l, SAY_WARN, "variable %s is ignored, expected true or false", name);
    return on;
}

static uint32_t env_limit(struct loading *l, const char *name)
{
    str text = env_of(l, name);
    uint64_t n = LIMIT_UNSET;
    if (text.p != NULL && !str_u64(text, UINT32_MAX, &n)) {
        config_say(l, SAY_WARN, "variable %s is ignored, expected a number", name);
        n = LIMIT_UNSET;
    }
    return (uint32_t)n;
}

static void drop_apps(struct loading *l)
{
    while (l->c->app_count > 0)
        app_unref(&l->c->apps[--l->c->app_count]);
}

static void set_limits(struct loading *l, struct app *a)
{
    a->max_connections = env_limit(l, PREFIX "MAX_CONNECTIONS");
    a->max_client_events_per_second = env_limit(l, PREFIX "MAX_CLIENT_EVENTS_PER_SECOND");
    a->max_presence_members = env_limit(l, PREFIX "MAX_PRESENCE_MEMBERS_PER_CHANNEL");
    a->max_presence_member_kb = env_limit(l, PREFIX "MAX_PRESENCE_MEMBER_SIZE_IN_KB");
    a->max_channel_name = env_limit(l, PREFIX "MAX_CHANNEL_NAME_LENGTH");
    a->max_event_channels = env_limit(l, PREFIX "MAX_EVENT_CHANNELS_AT_ONCE");
    a->max_event_name = env_limit(l, PREFIX "MAX_EVENT_NAME_LENGTH");
    a->max_event_payload_kb = env_limit(l, PREFIX "MAX_EVENT_PAYLOAD_IN_KB");
    a->max_batch = env_limit(l, PREFIX "MAX_EVENT_BATCH_SIZE");
    config_app_limits(l, a, UINT32_MAX);
}

static void set_origins(struct loading *l, struct app *a)
{
    str text = env_of(l, PREFIX "ALLOWED_ORIGINS");
    struct err e = {.kind = ERR_NONE};
    if (text.n == 0)
        return;
    config_split(&a->memory, text, &a->allowed_origins, &a->allowed_origin_count);
    for (size_t i = 0; i < a->allowed_origin_count; i++)
        if (!origin_pattern_check(a->allowed_origins[i], &e)) {
            config_say(l, SAY_WARN, "variable " PREFIX "ALLOWED_ORIGINS is ignored: %s", e.text);
            a->allowed_origin_count = 0;
        }
}

static struct app *make_app(struct loading *l, str id, str key, str secret)
{
    struct app *a = app_create();
    a->id = arena_str(&a->memory, id);
    a->key = arena_str(&a->memory, key);
    a->secret = arena_str(&a->memory, secret);
    set_limits(l, a);
    set_origins(l, a);
    a->enable_client_messages = env_flag(l, PREFIX "ENABLE_CLIENT_MESSAGES",
                                         env_flag(l, "SOCKUDO_ENABLE_CLIENT_MESSAGES", false));
    a->enable_user_authentication = env_flag(l, PREFIX "ENABLE_USER_AUTHENTICATION", false);
    a->enable_watchlist_events = env_flag(l, PREFIX "ENABLE_WATCHLIST_EVENTS", false);
    return a;
}

bool config_bootstrap(struct loading *l)
{
    str id = env_of(l, PREFIX "ID"), key = env_of(l, PREFIX "KEY");
    str secret = env_of(l, PREFIX "SECRET");
    bool enabled = env_flag(l, PREFIX "ENABLED", true);
    if (env_flag(l, "SOCKUDO_SKIP_INLINE_APPS", false) ||
        !env_flag(l, "APP_MANAGER_REGISTER_INLINE_APPS", true))
        drop_apps(l);
    if (id.p == NULL && key.p == NULL && secret.p == NULL && enabled)
        return true;
    drop_apps(l);
    if (!enabled)
        return true;
    if (id.n == 0 || key.n == 0 || secret.n == 0)
        return config_fail(l,
                           "an app from variables needs all of " PREFIX "ID, _KEY and _SECRET; "
                           "missing:%s%s%s",
                           id.n ? "" : " " PREFIX "ID", key.n ? "" : " " PREFIX "KEY",
                           secret.n ? "" : " " PREFIX "SECRET");
    if (!config_key_check(key))
        return config_fail(l, PREFIX "KEY holds a control character");
    config_add_app(l, make_app(l, id, key, secret));
    return true;
}
