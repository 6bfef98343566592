/* The plain listener beside TLS: everything is elsewhere. Source: configuration.md §3 (CFG-35) */
#include "api/redirect.h"

#include "api/answer.h"

enum { HOST_MAX = 255 };

/* The host without its port; empty if it is none that may stand in a URL. */
static str host_of(str host)
{
    if (host.n == 0)
        return S("");
    bool is_ipv6 = host.p[0] == '[';
    const char *end = is_ipv6 ? memchr(host.p, ']', host.n) : memchr(host.p, ':', host.n);
    size_t n = end ? (size_t)(end - host.p) + (is_ipv6 ? 1 : 0) : host.n;
    str port = str_from(host, n);
    uint64_t number;
    if ((is_ipv6 && (!end || n < 4)) || n == 0 || n > HOST_MAX)
        return S("");
    if (port.n > 0 &&
        (port.p[0] != ':' || (port.n > 1 && !str_u64(str_from(port, 1), UINT16_MAX, &number))))
        return S("");
    for (size_t i = is_ipv6 ? 1 : 0; i < n - (is_ipv6 ? 1 : 0); i++) {
        char c = host.p[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool fits = is_ipv6
                        ? is_digit || ((c | 32) >= 'a' && (c | 32) <= 'f') || c == ':' || c == '.'
                        : is_digit || is_letter || c == '.' || c == '-' || c == '_';
        if (!fits)
            return S("");
    }
    return str_of(host.p, n);
}

void endpoint_redirect(struct request *q)
{
    str host = host_of(q->head.host), path = q->head.path, query = q->head.query;
    q->must_close = true;
    q->has_unread = q->head.chunked || q->head.length > 0;
    if (host.n == 0 || path.n == 0 || path.p[0] != '/') {
        answer_error(q, 400, "invalid_input", "Host is not valid");
        return;
    }
    str where =
        str_z(arena_printf(&q->memory, "Location: https://%.*s:%u%.*s%s%.*s\r\n", FMT(host),
                           q->worker->node->tls_port, FMT(path), query.n ? "?" : "", FMT(query)));
    answer(q, 308, S(""), S(""), where);
}
