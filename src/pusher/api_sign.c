#include "pusher/api_sign.h"

#include "base/buf.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A % that two hex digits do not follow stays as it is. */
static str decode(arena *a, str s, bool plus_is_space, bool lower)
{
    char *out = arena_get(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
            c = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (lower && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        out[n++] = c;
    }
    return str_of(out, n);
}

static str next_piece(str *rest)
{
    const char *amp = rest->n ? memchr(rest->p, '&', rest->n) : NULL;
    str piece = amp ? str_of(rest->p, (size_t)(amp - rest->p)) : *rest;
    *rest = amp ? str_from(*rest, piece.n + 1) : str_from(*rest, rest->n);
    return piece;
}

static size_t count_pieces(str raw)
{
    size_t n = 1;
    for (size_t i = 0; i < raw.n; i++)
        n += raw.p[i] == '&';
    return n;
}

size_t api_query_parse(str raw_query, bool plus_is_space, arena *a, struct api_param **out)
{
    struct api_param *v = arena_get(a, count_pieces(raw_query) * sizeof *v);
    size_t n = 0;
    *out = v;
    while (raw_query.n) {
        str piece = next_piece(&raw_query);
        if (piece.n == 0)
            continue;
        const char *eq = memchr(piece.p, '=', piece.n);
        size_t at = eq ? (size_t)(eq - piece.p) : piece.n;
        v[n].key = decode(a, str_of(piece.p, at), plus_is_space, true);
        v[n++].value = decode(a, str_from(piece, at + 1), plus_is_space, false);
    }
    return n;
}

/* Stable merge sort by key: requests may carry thousands of pairs. */
static void sort(struct api_param *v, struct api_param *tmp, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort(v, tmp, half);
    sort(v + half, tmp, n - half);
    while (i < half && j < n)
        tmp[k++] = str_cmp(v[j].key, v[i].key) < 0 ? v[j++] : v[i++];
    while (i < half)
        tmp[k++] = v[i++];
    while (j < n)
        tmp[k++] = v[j++];
    memcpy(v, tmp, n * sizeof *v);
}

static str query_text(str raw, bool plus_is_space, arena *a)
{
    struct api_param *v;
    size_t n = api_query_parse(raw, plus_is_space, a, &v);
    sort(v, arena_get(a, (n + 1) * sizeof *v), n);
    char *out = arena_get(a, raw.n + n + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (str_eq(v[i].key, S("auth_signature")))
            continue;
        if (at)
            out[at++] = '&';
        memcpy(out + at, v[i].key.p, v[i].key.n);
        at += v[i].key.n;
        out[at++] = '=';
        memcpy(out + at, v[i].value.p, v[i].value.n);
        at += v[i].value.n;
    }
    return str_of(out, at);
}

static bool signed_as(struct hmac *h, str method, str path, str query, str signature)
{
    uint8_t mac[32];
    char hex[64];
    str parts[] = {method, S("\n"), path, S("\n"), query};
    hmac_sign(h, parts, COUNT_OF(parts), mac);
    crypto_hex(mac, sizeof mac, hex);
    return crypto_equal(signature, str_of(hex, sizeof hex));
}

static void add_new(str *v, size_t *n, str s)
{
    for (size_t i = 0; i < *n; i++)
        if (str_eq(v[i], s))
            return;
    v[(*n)++] = s;
}

static size_t path_variants(str raw, arena *a, str out[4])
{
    size_t n = 0;
    str plain = decode(a, raw, false, false);
    add_new(out, &n, raw);
    add_new(out, &n, plain);
    if (raw.n > 1 && str_ends(raw, S("/"))) {
        add_new(out, &n, str_of(raw.p, raw.n - 1));
        add_new(out, &n, str_of(plain.p, plain.n - 1));
    }
    return n;
}

bool api_sign_check(struct hmac *h, str method, str raw_path, str raw_query, str signature)
{
    arena a = {0};
    str paths[4], queries[2];
    size_t query_count = 0;
    bool good = false;
    size_t path_count = path_variants(raw_path, &a, paths);
    add_new(queries, &query_count, query_text(raw_query, true, &a));
    if (raw_query.n && memchr(raw_query.p, '+', raw_query.n))
        add_new(queries, &query_count, query_text(raw_query, false, &a));
    for (size_t q = 0; q < query_count && !good; q++)
        for (size_t p = 0; p < path_count && !good; p++)
            good = signed_as(h, method, paths[p], queries[q], signature);
    arena_finish(&a);
    return good;
}
