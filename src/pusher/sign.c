#include "pusher/sign.h"

static bool matches(struct hmac *h, str key, str auth, const str *parts, size_t n)
{
    uint8_t mac[32];
    char hex[64];
    if (auth.n != key.n + 1 + sizeof hex)
        return false;
    hmac_sign(h, parts, n, mac);
    crypto_hex(mac, sizeof mac, hex);
    bool same_key = crypto_equal(str_of(auth.p, key.n), key) && auth.p[key.n] == ':';
    bool same_mac = crypto_equal(str_from(auth, key.n + 1), str_of(hex, sizeof hex));
    return same_key && same_mac;
}

bool sign_check_channel(struct hmac *h, str key, str socket_id, str channel, str channel_data,
                        struct channel_kind kind, str auth)
{
    str parts[] = {socket_id, S(":"), channel, S(":"), channel_data};
    if (channel_data.n == 0)
        return matches(h, key, auth, parts, 3);
    if (matches(h, key, auth, parts, 5))
        return true;
    return kind.base != CHANNEL_PRESENCE && matches(h, key, auth, parts, 3);
}

bool sign_check_user(struct hmac *h, str key, str socket_id, str user_data, str auth)
{
    str parts[] = {socket_id, S("::user::"), user_data};
    return matches(h, key, auth, parts, COUNT_OF(parts));
}
