#include "api/operator.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "api/answer.h"
#include "base/crypto.h"

static bool peer_is_loopback(const struct request *q)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getpeername(q->stream->fd, (struct sockaddr *)&sa, &n) < 0)
        return false;
    if (sa.ss_family == AF_INET)
        return (ntohl(((struct sockaddr_in *)&sa)->sin_addr.s_addr) >> 24) == 127;
    const struct in6_addr *a6 = &((struct sockaddr_in6 *)&sa)->sin6_addr;
    return sa.ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(a6) || (IN6_IS_ADDR_V4MAPPED(a6) && a6->s6_addr[12] == 127));
}

/* localhost, 127.x.y.z or [::1], with or without a port: another name may be a page's rebinding. */
static bool host_is_loopback(str host)
{
    char text[64];
    struct in_addr a4;
    if (str_starts(host, S("[::1]")))
        host = str_from(host, 5);
    else {
        const char *colon = host.n ? memchr(host.p, ':', host.n) : NULL;
        str name = colon ? str_of(host.p, (size_t)(colon - host.p)) : host;
        if (name.n == 0 || name.n >= sizeof text)
            return false;
        memcpy(text, name.p, name.n);
        text[name.n] = '\0';
        bool is_4 = inet_pton(AF_INET, text, &a4) == 1 && ntohl(a4.s_addr) >> 24 == 127;
        if (!is_4 && !str_eq_nocase(name, S("localhost")))
            return false;
        host = str_from(host, name.n);
    }
    uint64_t port;
    return host.n == 0 || (host.p[0] == ':' && str_u64(str_from(host, 1), UINT16_MAX, &port));
}

/* A page of another site, which a browser says even where it sends no Origin. */
static bool is_cross_site(const struct request *q)
{
    str site = http1_header_get(&q->head, S("sec-fetch-site"));
    return site.n && !str_eq(site, S("same-origin")) && !str_eq(site, S("none"));
}

static bool comes_from_elsewhere(const struct request *q)
{
    static const str signs[] = {STR("origin"), STR("forwarded"), STR("via")};
    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (http1_header_get(&q->head, signs[i]).p)
            return true;
    for (size_t i = 0; i < q->head.header_count; i++) {
        str name = q->head.headers[i].name;
        if (name.n > 12 && str_eq_nocase(str_of(name.p, 12), S("x-forwarded-")))
            return true;
    }
    return is_cross_site(q) || !host_is_loopback(http1_header_get(&q->head, S("host")));
}

static bool refuse(struct request *q, int status, const char *code, const char *text)
{
    answer_error(q, status, code, "%s", text);
    return false;
}

static bool unknown(struct request *q)
{
    answer(q, 404, S("text/plain"), S("404 NOT FOUND"), S(""));
    return false;
}

bool operator_is_allowed(struct request *q)
{
    const struct settings *set = q->worker->settings;
    str sent = http1_header_get(&q->head, S("authorization"));
    if (!set->usage_enabled || (set->usage_token.n == 0 && q->kind != HTTP_METRICS))
        return unknown(q);
    if (set->usage_token.n == 0) {
        return (peer_is_loopback(q) && !comes_from_elsewhere(q)) ||
               refuse(q, 403, "forbidden",
                      "Without http_api.usage_token only for this machine's own loopback");
    }
    return (str_starts(sent, S("Bearer ")) && crypto_equal(str_from(sent, 7), set->usage_token)) ||
           refuse(q, 401, "auth_failed", "Bearer token required");
}

bool operator_may_see_data(struct request *q)
{
    return q->worker->settings->status_enabled ? operator_is_allowed(q) : unknown(q);
}

bool operator_may_see_page(struct request *q)
{
    const struct settings *set = q->worker->settings;
    if (!set->status_enabled)
        return unknown(q);
    return (set->usage_enabled && set->usage_token.n) || operator_is_allowed(q);
}

bool operator_may_act(struct request *q)
{
    if (!operator_is_allowed(q))
        return false;
    return (!http1_header_get(&q->head, S("origin")).p && !is_cross_site(q)) ||
           refuse(q, 403, "forbidden", "Not for pages of a browser");
}
