#include "pusher/member.h"

#include "base/json.h"

static bool object_parse(str text, struct json *out)
{
    size_t at;
    return json_parse(text, out, &at) && out->type == JSON_OBJECT;
}

static str info_of(struct json v)
{
    return v.type == JSON_NONE || v.type == JSON_NULL ? S("{}") : v.raw;
}

/* Bytes of the JSON text, or of the raw string when it is one (§9.1). */
static size_t info_size(struct json v, arena *a)
{
    return v.type == JSON_STRING ? json_string(v, a).n : info_of(v).n;
}

bool member_parse(str channel_data, size_t max_info_bytes, unsigned max_kb, arena *a,
                  struct member_data *out, struct wire_error *e)
{
    struct json top;
    struct json_field f[] = {{S("user_id"), {0}}, {S("user_info"), {0}}};
    if (!object_parse(channel_data, &top)) {
        *e = wire_error(WIRE_BAD_CHANNEL_DATA);
        return false;
    }
    json_fields(top, f, COUNT_OF(f));
    struct json id = f[0].value;
    if (id.type == JSON_STRING)
        out->user_id = json_string(id, a);
    else if (json_is_integer(id))
        out->user_id = id.raw;
    else
        out->user_id = S("");
    if (out->user_id.n == 0) {
        *e = wire_error(WIRE_MEMBER_ID_MISSING);
        return false;
    }
    if (out->user_id.n > MEMBER_ID_MAX) {
        *e = wire_error(WIRE_MEMBER_ID_LENGTH);
        return false;
    }
    if (max_info_bytes && info_size(f[1].value, a) > max_info_bytes) {
        *e = wire_error_f(WIRE_MEMBER_SIZE, "%u", max_kb);
        return false;
    }
    out->user_info = info_of(f[1].value);
    return true;
}

static bool is_listed(const struct user_data *u, str id)
{
    for (size_t i = 0; i < u->watch_count; i++)
        if (str_eq(u->watchlist[i], id))
            return true;
    return false;
}

/* Anything but strings of 1..256 bytes is ignored, repeated ids count once. */
static void watchlist_read(struct json list, arena *a, struct user_data *u)
{
    struct json item;
    if (list.type != JSON_ARRAY)
        return;
    u->watchlist = arena_get(a, WATCHLIST_MAX * sizeof *u->watchlist);
    struct json_iter it = json_iter(list);
    while (json_next(&it, NULL, &item)) {
        if (item.type != JSON_STRING)
            continue;
        str id = json_string(item, a);
        if (id.n == 0 || id.n > MEMBER_ID_MAX || is_listed(u, id))
            continue;
        if (u->watch_count == WATCHLIST_MAX) {
            u->watch_truncated = true;
            return;
        }
        u->watchlist[u->watch_count++] = id;
    }
}

bool user_data_parse(str user_data, arena *a, struct user_data *out, struct wire_error *e)
{
    struct json top;
    struct json_field f[] = {{S("id"), {0}}, {S("user_info"), {0}}, {S("watchlist"), {0}}};
    *out = (struct user_data){0};
    if (!object_parse(user_data, &top)) {
        *e = wire_error(WIRE_SIGNIN_DATA);
        return false;
    }
    json_fields(top, f, COUNT_OF(f));
    if (f[0].value.type == JSON_STRING)
        out->id = json_string(f[0].value, a);
    if (out->id.n == 0 || out->id.n > MEMBER_ID_MAX) {
        *e = wire_error(WIRE_SIGNIN_ID);
        return false;
    }
    out->user_info = info_of(f[1].value);
    watchlist_read(f[2].value, a, out);
    return true;
}
