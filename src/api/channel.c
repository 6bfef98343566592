/* GET /apps/{id}/channels/{channel}. Source: http-api.md §7.2 */
#include "api/answer.h"
#include "api/route.h"
#include "base/json.h"

struct wants {
    bool users, subscriptions, cache;
};

static struct wants wants_of(const struct request *q)
{
    struct wants w = {0};
    str info = request_param(q, S("info")), word;
    while (http1_list_next(&info, &word)) {
        w.users |= str_eq(word, S("user_count"));
        w.subscriptions |= str_eq(word, S("subscription_count"));
        w.cache |= str_eq(word, S("cache"));
    }
    return w;
}

/* data and ttl of a stored event; null if there is none, or it is not one of ours. */
static void cache_write(struct buf *b, const struct cache_answer *a)
{
    struct json top;
    size_t at;
    struct json_field f[] = {{S("data"), {0}}};
    buf_add(b, S(",\"cache\":"));
    if (a->found && json_parse(a->value, &top, &at) && top.type == JSON_OBJECT)
        json_fields(top, f, 1);
    if (f[0].value.type != JSON_STRING) {
        buf_add(b, S("null"));
        return;
    }
    buf_add(b, S("{\"data\":"));
    buf_add(b, f[0].value.raw);
    buf_printf(b, ",\"ttl\":%lld}", (long long)((a->ttl_ms + 999) / 1000));
}

/* cached NULL: was not asked for. */
static void answer_channel(struct request *q, const struct cache_answer *cached)
{
    struct wants w = wants_of(q);
    struct channel_counts n =
        registry_counts(q->worker->node->registry, q->app->app->id, q->segments[3]);
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "{\"occupied\":%s", n.subscriptions ? "true" : "false");
    if (w.users)
        buf_printf(&b, ",\"user_count\":%u", n.users);
    if (w.subscriptions)
        buf_printf(&b, ",\"subscription_count\":%u", n.subscriptions);
    if (cached)
        cache_write(&b, cached);
    buf_char(&b, '}');
    answer_json(q, buf_str(&b));
    buf_finish(&b);
}

static void fetched(struct handle asker, const struct cache_answer *a)
{
    struct request *q = request_find(asker);
    if (!q)
        return;
    answer_channel(q, a);
    request_resume(q);
}

static void answer_with_cache(struct request *q)
{
    struct cache_answer a = {0};
    struct buf key;
    buf_init(&key, SIZE_MAX); /* the cache refuses a key that is too long */
    registry_cache_key(&key, q->app->app->id, q->segments[3]);
    if (cache_get(&q->memory, q->worker->node->cache, request_asker(q), buf_str(&key), &a,
                  fetched) == DONE) {
        answer_channel(q, &a);
    } else {
        request_keep(q);
        q->is_waiting = true;
    }
    buf_finish(&key);
}

void endpoint_channel(struct request *q)
{
    struct wants w = wants_of(q);
    struct channel_kind kind = channel_kind(q->segments[3]);
    struct err why;
    if (!channel_name_check(q->segments[3], q->app->app->max_channel_name, &why))
        answer_error(q, 400, "invalid_input", "%s", why.text);
    else if (w.users && kind.base != CHANNEL_PRESENCE)
        answer_error(q, 400, "invalid_input", "user_count is only available for presence channels");
    else if (w.cache && !kind.cache)
        answer_error(q, 400, "invalid_input", "cache is only available for cache channels");
    else if (w.cache)
        answer_with_cache(q);
    else
        answer_channel(q, NULL);
}
