#include "wire/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct client_address of_ipv4(const void *bytes)
{
    struct client_address a = {.kind = CLIENT_IPV4};
    memcpy(a.bytes, bytes, 4);
    return a;
}

static struct client_address of_ipv6(const uint8_t *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct client_address a = {.kind = CLIENT_IPV6};
    if (memcmp(bytes, mapped, sizeof mapped) == 0)
        return of_ipv4(bytes + sizeof mapped);
    memcpy(a.bytes, bytes, sizeof a.bytes);
    return a;
}

struct client_address client_of_peer(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET)
        return of_ipv4(&((const struct sockaddr_in *)peer)->sin_addr);
    if (peer->ss_family == AF_INET6)
        return of_ipv6(((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr);
    return (struct client_address){.kind =
                                       peer->ss_family == AF_UNIX ? CLIENT_LOCAL : CLIENT_UNKNOWN};
}

static bool is_port(str s)
{
    uint64_t port;
    return str_u64(s, 65535, &port);
}

/* "[address]", "[address]:port" or "a.b.c.d:port" without what is around the address. */
static bool unwrap(str *text)
{
    const char *end = text->n ? memchr(text->p, ']', text->n) : NULL;
    const char *colon = text->n ? memchr(text->p, ':', text->n) : NULL;
    if (str_starts(*text, S("["))) {
        if (!end)
            return false;
        str rest = str_from(*text, (size_t)(end - text->p) + 1);
        *text = str_of(text->p + 1, (size_t)(end - text->p) - 1);
        return rest.n == 0 || (rest.p[0] == ':' && is_port(str_from(rest, 1)));
    }
    if (!colon || !memchr(text->p, '.', (size_t)(colon - text->p)))
        return true;
    str port = str_from(*text, (size_t)(colon - text->p) + 1);
    text->n = (size_t)(colon - text->p);
    return is_port(port);
}

bool client_parse(str text, struct client_address *out)
{
    char z[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    bool has_bracket = str_starts(text, S("["));
    if (!unwrap(&text) || text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (!has_bracket && inet_pton(AF_INET, z, bytes) == 1)
        *out = of_ipv4(bytes);
    else if (inet_pton(AF_INET6, z, bytes) == 1)
        *out = of_ipv6(bytes);
    else
        return false;
    return true;
}

/* Takes the last element off a comma list. False: that was the whole list. */
static bool last_take(str *list, str *item)
{
    const char *comma = list->n ? memrchr(list->p, ',', list->n) : NULL;
    size_t at = comma ? (size_t)(comma - list->p) : 0;
    *item = str_trim(comma ? str_from(*list, at + 1) : *list);
    list->n = at;
    return comma != NULL;
}

/* The entry `hops` from the right, or the leftmost. */
static str entry_at(const struct http1_request *r, uint32_t hops)
{
    str item = {0};
    for (unsigned i = r->header_count; i > 0 && hops > 0; i--) {
        str list = r->headers[i - 1].value;
        if (!str_eq_nocase(r->headers[i - 1].name, S("x-forwarded-for")))
            continue;
        for (bool more = true; more && hops > 0; hops--)
            more = last_take(&list, &item);
    }
    return item;
}

bool forwarded_client(const struct http1_request *r, uint32_t hops, struct client_address *out)
{
    return client_parse(entry_at(r, hops), out) ||
           (http1_header_count(r, S("x-real-ip")) == 1 &&
            client_parse(http1_header_get(r, S("x-real-ip")), out));
}

void client_mask(struct client_address *a, unsigned prefix)
{
    CHECK(prefix >= 1 && prefix <= 128);
    if (a->kind != CLIENT_IPV6)
        return;
    for (unsigned i = 0; i < sizeof a->bytes; i++) {
        unsigned kept = prefix > i * 8 ? prefix - i * 8 : 0;
        if (kept < 8)
            a->bytes[i] &= (uint8_t)(0xff00 >> kept);
    }
}

str client_key(const struct client_address *a, uint8_t out[CLIENT_KEY_BYTES])
{
    out[0] = (uint8_t)a->kind;
    memcpy(out + 1, a->bytes, sizeof a->bytes);
    return str_of(out, CLIENT_KEY_BYTES);
}
