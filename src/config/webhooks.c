/* config/webhooks.c - webhook objects of an app.
 *
 * Messages name the app and the member, never the URL: it may carry credentials (CFG-17).
 * Source: spec/configuration.md §5.3 (CFG-61, CFG-62)
 */
#include "config/load.h"

#include <arpa/inet.h>

struct hook_source {
    struct loading *l;
    struct app *app;
    const struct value *v;
    struct app_webhook *hook;
};

static bool bad_member(const struct hook_source *s, const struct value *v, const char *name,
                       const char *wanted)
{
    return config_fail_at(s->l, v, "app \"%.*s\": webhooks: %s: expected %s", FMT(s->app->id), name,
                          wanted);
}

static bool text_member(const struct hook_source *s, const struct value *map, const char *name,
                        str *out)
{
    const struct value *v = tree_get(map, str_z(name));
    if (v == NULL)
        return true;
    if (v->type != VALUE_STR)
        return bad_member(s, v, name, "a string");
    *out = arena_str(&s->app->memory, v->s);
    return true;
}

static bool count_member(const struct hook_source *s, const struct value *map, const char *name,
                         int64_t max, uint64_t *out)
{
    const struct value *v = tree_get(map, str_z(name));
    if (v == NULL)
        return true;
    if (v->type != VALUE_INT || v->i < 0 || v->i > max)
        return bad_member(s, v, name, "a number");
    *out = (uint64_t)v->i;
    return true;
}

static bool flag_member(const struct hook_source *s, const struct value *map, const char *name,
                        bool *out)
{
    const struct value *v = tree_get(map, str_z(name));
    if (v == NULL)
        return true;
    *out = v->b;
    return v->type == VALUE_BOOL || bad_member(s, v, name, "true or false");
}

/* A misspelt filter would be none at all. */
static void look_at_names(const struct hook_source *s, const struct value *map, const char *place,
                          const char *const *known)
{
    for (const struct value *m = map->first; m != NULL; m = m->next) {
        size_t i = 0;
        while (known[i] != NULL && !str_eq(m->key, str_z(known[i])))
            i++;
        if (known[i] == NULL)
            config_say_unknown(s->l, s->app, m, place, known);
    }
}

static bool port_check(str port)
{
    uint64_t n;
    return port.n == 0 || str_u64(port, UINT16_MAX, &n);
}

/* An IPv6 address between brackets; a zone behind it is whatever the system calls it. */
static bool ipv6_check(str inside)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *zone = memchr(inside.p, '%', inside.n);
    size_t n = zone ? (size_t)(zone - inside.p) : inside.n;
    if (n >= sizeof text)
        return false;
    memcpy(text, inside.p, n);
    text[n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* host, host:port, [address] or [address]:port */
static bool authority_check(str s)
{
    const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    size_t n = colon ? (size_t)(colon - s.p) : s.n;
    if (str_starts(s, S("["))) {
        const char *end = memchr(s.p, ']', s.n);
        n = end ? (size_t)(end - s.p) + 1 : 0;
        if (n == 0 || !ipv6_check(str_of(s.p + 1, n - 2)) || (n < s.n && s.p[n] != ':'))
            return false;
    } else if (n == 0 || strcspn(s.p, "{}[]\\$'\"^`*<>=;,") < n) {
        return false; /* no name may have them; libcurl would refuse them too, but too late */
    }
    return port_check(str_from(s, n + 1));
}

/* http or https, a host, a possible port; no blank or control character anywhere. */
static bool url_check(str url)
{
    static const str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || url.p[i] == 0x7F)
            return false;
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (url.n <= schemes[i].n || !str_eq_nocase(str_of(url.p, schemes[i].n), schemes[i]))
            continue;
        str host = str_from(url, schemes[i].n);
        host.n = strcspn(host.p, "/?#") < host.n ? strcspn(host.p, "/?#") : host.n;
        const char *at = memrchr(host.p, '@', host.n);
        return authority_check(at ? str_from(host, (size_t)(at + 1 - host.p)) : host);
    }
    return false;
}

static bool read_target(const struct hook_source *s)
{
    struct app_webhook *h = s->hook;
    static const char *const known[] = {"function_name", "region", "async", NULL};
    const struct value *lambda = tree_get(s->v, S("lambda"));
    h->lambda_async = true;
    if (!text_member(s, s->v, "url", &h->url))
        return false;
    if (h->url.n > 0 && !url_check(h->url))
        return bad_member(s, tree_get(s->v, S("url")), "url", "an absolute http or https URL");
    if (lambda != NULL &&
        (tree_get(lambda, S("function_name")) == NULL || tree_get(lambda, S("region")) == NULL))
        return bad_member(s, lambda, "lambda", "function_name and region");
    if (lambda != NULL) {
        look_at_names(s, lambda, "webhooks[].lambda.", known);
        return text_member(s, lambda, "function_name", &h->lambda_function) &&
               text_member(s, lambda, "region", &h->lambda_region) &&
               flag_member(s, lambda, "async", &h->lambda_async);
    }
    if (!text_member(s, s->v, "lambda_function", &h->lambda_function))
        return false;
    if (h->lambda_function.n > 0) {
        h->lambda_region = S("us-east-1");
        config_say(s->l, SAY_INFO,
                   "app \"%.*s\": webhook key \"lambda_function\" is read as \"lambda\"",
                   FMT(s->app->id));
    }
    return true;
}

static bool read_events(const struct hook_source *s)
{
    static const str names[] = {STR("channel_occupied"),  STR("channel_vacated"),
                                STR("member_added"),      STR("member_removed"),
                                STR("client_event"),      STR("cache_miss"),
                                STR("subscription_count")};
    const struct value *v = tree_get(s->v, S("event_types"));
    if (v == NULL || v->type != VALUE_LIST)
        return bad_member(s, v ? v : s->v, "event_types", "a list of event names");
    for (const struct value *item = v->first; item != NULL; item = item->next) {
        size_t i = 0;
        if (item->type != VALUE_STR)
            return bad_member(s, item, "event_types", "event names");
        while (i < COUNT_OF(names) && !str_eq(names[i], item->s))
            i++;
        if (i < COUNT_OF(names))
            s->hook->events |= 1u << i;
        else
            config_say(s->l, SAY_WARN, "app \"%.*s\": webhook event \"%.*s\" is unknown",
                       FMT(s->app->id), FMT(item->s));
    }
    return true;
}

static bool read_pattern(const struct hook_source *s, const struct value *filter)
{
    str text = S("");
    struct err why = {.kind = ERR_NONE};
    if (!text_member(s, filter, "channel_pattern", &text))
        return false;
    if (text.n == 0)
        return true;
    s->hook->filter.channel_pattern = pattern_create(text, &why);
    return s->hook->filter.channel_pattern != NULL ||
           config_fail_at(s->l, tree_get(filter, S("channel_pattern")),
                          "app \"%.*s\": webhooks: %zu: filter.channel_pattern: %s",
                          FMT(s->app->id), s->app->webhook_count - 1, why.text);
}

static bool read_namespaces(const struct hook_source *s, const struct value *filter)
{
    struct app_webhook *h = s->hook;
    const struct value *one = tree_get(filter, S("channel_namespace"));
    const struct value *many = tree_get(filter, S("channel_namespaces"));
    size_t max = (one ? 1 : 0) + (many ? many->count : 0);
    if (max == 0)
        return true;
    h->filter.namespaces = arena_get(&s->app->memory, max * sizeof(str));
    if (one != NULL && !text_member(s, filter, "channel_namespace",
                                    &h->filter.namespaces[h->filter.namespace_count++]))
        return false;
    for (const struct value *item = many ? many->first : NULL; item != NULL; item = item->next) {
        if (item->type != VALUE_STR)
            return bad_member(s, item, "filter.channel_namespaces", "strings");
        h->filter.namespaces[h->filter.namespace_count++] = arena_str(&s->app->memory, item->s);
    }
    config_say(s->l, SAY_WARN, "app \"%.*s\": a webhook filter by namespace never matches here",
               FMT(s->app->id));
    return true;
}

static bool read_filter(const struct hook_source *s)
{
    static const char *const known[] = {"channel_prefix",     "channel_name_starts_with",
                                        "channel_suffix",     "channel_name_ends_with",
                                        "channel_pattern",    "channel_namespace",
                                        "channel_namespaces", NULL};
    struct app_webhook *h = s->hook;
    const struct value *f = tree_get(s->v, S("filter"));
    if (f == NULL)
        return true;
    if (f->type != VALUE_MAP)
        return bad_member(s, f, "filter", "an object");
    look_at_names(s, f, "webhooks[].filter.", known);
    if (!text_member(s, f, "channel_name_starts_with", &h->filter.channel_prefix) ||
        !text_member(s, f, "channel_prefix", &h->filter.channel_prefix) ||
        !text_member(s, f, "channel_name_ends_with", &h->filter.channel_suffix) ||
        !text_member(s, f, "channel_suffix", &h->filter.channel_suffix))
        return false;
    return read_pattern(s, f) && read_namespaces(s, f);
}

/* RFC 9110 §5.6.2: what a field name is made of. */
static bool is_token(str name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= 0x20 || c >= 0x7F || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return name.n > 0;
}

static bool is_header_value(str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7F)
            return false;
    return true;
}

/* What the server itself says about the body and the connection (webhooks.md §2.1). */
static bool is_our_header(str name)
{
    static const str ours[] = {
        STR("Content-Type"), STR("Content-Length"),     STR("Transfer-Encoding"), STR("Connection"),
        STR("X-Pusher-Key"), STR("X-Pusher-Signature"), STR("X-Webhook-Id"),      STR("Expect")};
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (str_eq_nocase(ours[i], name))
            return true;
    return false;
}

static bool read_headers(const struct hook_source *s)
{
    struct app_webhook *h = s->hook;
    const struct value *v = tree_get(s->v, S("headers"));
    if (v == NULL)
        return true;
    if (v->type != VALUE_MAP)
        return bad_member(s, v, "headers", "an object");
    h->headers = arena_get(&s->app->memory, (v->count + 1) * sizeof *h->headers);
    for (const struct value *m = v->first; m != NULL; m = m->next) {
        if (m->type != VALUE_STR || m->key.n == 0)
            return bad_member(s, m, "headers", "names and strings");
        if (!is_header_value(m->s) || !is_token(m->key))
            return bad_member(s, m, "headers", "a name and a value of one line");
        if (is_our_header(m->key))
            config_say(s->l, SAY_WARN, "app \"%.*s\": webhooks: header \"%.*s\" cannot be set",
                       FMT(s->app->id), FMT(m->key));
        else
            h->headers[h->header_count++] = (struct app_header){arena_str(&s->app->memory, m->key),
                                                                arena_str(&s->app->memory, m->s)};
    }
    return true;
}

static bool read_retry(const struct hook_source *s)
{
    static const char *const known[] = {
        "enabled", "max_attempts", "max_elapsed_time_ms", "initial_backoff_ms", "max_backoff_ms",
        NULL};
    struct app_webhook *h = s->hook;
    const struct value *v = tree_get(s->v, S("retry"));
    uint64_t attempts = 0;
    h->retry.enabled = option(s->l, OPT_webhooks_retry_enabled)->b;
    if (!count_member(s, s->v, "request_timeout_ms", INT64_MAX, &h->request_timeout_ms))
        return false;
    if (v == NULL)
        return true;
    if (v->type != VALUE_MAP)
        return bad_member(s, v, "retry", "an object");
    look_at_names(s, v, "webhooks[].retry.", known);
    h->retry.is_set = true;
    if (!flag_member(s, v, "enabled", &h->retry.enabled) ||
        !count_member(s, v, "max_attempts", UINT32_MAX, &attempts) ||
        !count_member(s, v, "max_elapsed_time_ms", INT64_MAX, &h->retry.max_elapsed_time_ms) ||
        !count_member(s, v, "initial_backoff_ms", INT64_MAX, &h->retry.initial_backoff_ms) ||
        !count_member(s, v, "max_backoff_ms", INT64_MAX, &h->retry.max_backoff_ms))
        return false;
    h->retry.max_attempts = (uint32_t)attempts;
    return true;
}

static bool read_hook(const struct hook_source *s)
{
    static const char *const known[] = {
        "url",     "lambda", "lambda_function",    "event_types", "filter",
        "headers", "retry",  "request_timeout_ms", NULL};
    if (s->v->type != VALUE_MAP)
        return bad_member(s, s->v, "each", "an object");
    look_at_names(s, s->v, "webhooks[].", known);
    if (!read_target(s) || !read_events(s) || !read_filter(s) || !read_headers(s) || !read_retry(s))
        return false;
    if (s->hook->url.n == 0 && s->hook->lambda_function.n == 0)
        config_say(s->l, SAY_WARN, "app \"%.*s\": a webhook without url and lambda is never sent",
                   FMT(s->app->id));
    if (s->hook->url.n > 0)
        s->hook->lambda_function = s->hook->lambda_region = (str){"", 0};
    return true;
}

bool config_read_webhooks(struct loading *l, struct app *a, const struct value *list)
{
    if (list == NULL)
        return true;
    if (list->type != VALUE_LIST)
        return config_fail_at(l, list, "app \"%.*s\": webhooks: expected a list", FMT(a->id));
    a->webhooks = arena_zero(&a->memory, (list->count + 1) * sizeof *a->webhooks);
    for (const struct value *v = list->first; v != NULL; v = v->next) {
        struct hook_source s = {l, a, v, &a->webhooks[a->webhook_count++]};
        if (!read_hook(&s))
            return false;
    }
    app_count_webhook_events(a);
    return true;
}
