/* GET /apps/{id}/channels/{channel}/users. Source: http-api.md §7.3 */
#include "api/answer.h"
#include "api/route.h"
#include "base/json.h"

/* The snapshot's text is the inside of a container, escaped for a JSON string: take that off. */
static struct json container_of_text(arena *a, str escaped, char open, char close)
{
    char *literal = arena_get(a, escaped.n + 2);
    literal[0] = '"';
    memcpy(literal + 1, escaped.p, escaped.n);
    literal[escaped.n + 1] = '"';
    struct json text = {JSON_STRING, str_of(literal, escaped.n + 2), true};
    str inner = json_string(text, a);
    char *whole = arena_get(a, inner.n + 2);
    whole[0] = open;
    memcpy(whole + 1, inner.p, inner.n);
    whole[inner.n + 1] = close;
    return (struct json){open == '[' ? JSON_ARRAY : JSON_OBJECT, str_of(whole, inner.n + 2), false};
}

static void users_write(struct buf *b, arena *a, const struct snapshot *s, bool with_info)
{
    struct json id, info;
    struct json_iter it = json_iter(container_of_text(a, snapshot_hash(s), '{', '}'));
    for (bool first = true; json_next(&it, &id, &info); first = false) {
        buf_add(b, first ? S("{\"id\":") : S(",{\"id\":"));
        buf_add(b, id.raw);
        if (with_info) {
            buf_add(b, S(",\"user_info\":"));
            buf_add(b, info.raw);
        }
        buf_char(b, '}');
    }
}

void endpoint_channel_users(struct request *q)
{
    struct err why;
    struct buf b;
    struct snapshot s = {0};
    if (!channel_name_check(q->segments[3], q->app->app->max_channel_name, &why)) {
        answer_error(q, 400, "invalid_input", "%s", why.text);
        return;
    }
    if (channel_kind(q->segments[3]).base != CHANNEL_PRESENCE) {
        answer_error(q, 400, "invalid_input", "Only presence channels support this endpoint");
        return;
    }
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"users\":["));
    if (registry_members(q->worker->node->registry, q->app->app->id, q->segments[3], &s))
        users_write(&b, &q->memory, &s, str_eq(request_param(q, S("with_user_info")), S("1")));
    buf_add(&b, S("]}"));
    answer_json(q, buf_str(&b));
    snapshot_release(&s);
    buf_finish(&b);
}
