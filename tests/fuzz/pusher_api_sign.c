/* tests/fuzz/pusher_api_sign.c - query strings: parameters stay inside, and what an SDK has signed
 * verifies, in any order and escaped on its way. Input: pairs key=value, separated by &. */
#include "pusher/api_sign.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Insertion keeps the order of equal keys. */
static void sort(struct api_param *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j && str_cmp(v[j - 1].key, v[j].key) > 0; j--) {
            struct api_param t = v[j];
            v[j] = v[j - 1];
            v[j - 1] = t;
        }
}

static void add_text(struct buf *b, str s, bool escaped)
{
    for (size_t i = 0; i < s.n; i++)
        if (escaped)
            buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
        else
            buf_char(b, s.p[i]);
}

static void add_pairs(struct buf *b, const struct api_param *v, size_t n, bool escaped)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(v[i].key, S("auth_signature")))
            continue;
        if (b->n)
            buf_char(b, '&');
        add_text(b, v[i].key, escaped);
        buf_char(b, '=');
        add_text(b, v[i].value, escaped);
    }
}

static void check_signature(struct api_param *v, size_t n, str raw)
{
    struct hmac *h = hmac_create(S("secret"));
    struct buf text, wire;
    uint8_t mac[HMAC_BYTES];
    char hex[HMAC_HEX];
    buf_init(&text, SIZE_MAX);
    buf_init(&wire, SIZE_MAX);
    add_pairs(&wire, v, n, true); /* in the order of the request */
    sort(v, n);
    add_pairs(&text, v, n, false);
    str parts[] = {S("GET\n/a b\n"), buf_str(&text)};
    hmac_sign(h, parts, COUNT_OF(parts), mac);
    crypto_hex(mac, sizeof mac, hex);
    str signature = str_of(hex, sizeof hex);
    CHECK(api_sign_check(h, S("GET"), S("/a%20b/"), raw, signature));
    CHECK(api_sign_check(h, S("GET"), S("/a%20b"), buf_str(&wire), signature));
    CHECK(!api_sign_check(h, S("GET"), S("/a%20c"), raw, signature));
    hex[raw.n % sizeof hex] ^= 1;
    CHECK(!api_sign_check(h, S("GET"), S("/a%20b"), raw, signature));
    buf_finish(&text);
    buf_finish(&wire);
    hmac_destroy(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a = {0};
    struct api_param *v;
    str raw = str_of(data, size);
    for (int plus_is_space = 0; plus_is_space < 2 && size < 4096; plus_is_space++) {
        size_t total = 0, n = api_query_parse(raw, plus_is_space, &a, &v);
        for (size_t i = 0; i < n; i++)
            total += v[i].key.n + v[i].value.n;
        CHECK(total <= size && n <= size);
        check_signature(v, n, raw);
    }
    arena_finish(&a);
    return 0;
}
