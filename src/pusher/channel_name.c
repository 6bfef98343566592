#include "pusher/channel_name.h"

#define USER_PREFIX "#server-to-user-"

/* In this order: longer prefixes first (§6.1). */
static const struct {
    str prefix;
    struct channel_kind kind;
} kinds[] = {
    {STR("private-encrypted-cache-"), {CHANNEL_ENCRYPTED, true}},
    {STR("private-encrypted-"), {CHANNEL_ENCRYPTED, false}},
    {STR("private-cache-"), {CHANNEL_PRIVATE, true}},
    {STR("private-"), {CHANNEL_PRIVATE, false}},
    {STR("presence-cache-"), {CHANNEL_PRESENCE, true}},
    {STR("presence-"), {CHANNEL_PRESENCE, false}},
    {STR("cache-"), {CHANNEL_PUBLIC, true}},
    {STR(USER_PREFIX), {CHANNEL_USER, false}},
};

struct channel_kind channel_kind(str name)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_starts(name, kinds[i].prefix))
            return kinds[i].kind;
    return (struct channel_kind){CHANNEL_PUBLIC, false};
}

bool channel_needs_auth(struct channel_kind k)
{
    return k.base == CHANNEL_PRIVATE || k.base == CHANNEL_PRESENCE || k.base == CHANNEL_ENCRYPTED;
}

bool channel_takes_client_events(struct channel_kind k)
{
    return channel_needs_auth(k);
}

str channel_user_id(str name)
{
    return str_from(name, sizeof USER_PREFIX - 1);
}

static bool is_name_byte(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("_-=@,.;", c));
}

bool channel_name_check(str name, size_t max_bytes, struct err *e)
{
    if (str_starts(name, S(USER_PREFIX))) {
        size_t n = channel_user_id(name).n;
        if (n == 0 || n > CHANNEL_USER_ID_MAX)
            return err_set(e, ERR_INVALID, "Channel name contains invalid characters");
        return true;
    }
    if (name.n > max_bytes)
        return err_set(e, ERR_LIMIT, "Channel name too long. Max length is %zu", max_bytes);
    if (name.n == 0)
        return err_set(e, ERR_INVALID, "Channel name contains invalid characters");
    for (size_t i = 0; i < name.n; i++)
        if (!is_name_byte((unsigned char)name.p[i]))
            return err_set(e, ERR_INVALID, "Channel name contains invalid characters");
    return true;
}
