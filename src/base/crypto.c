#include "base/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

/* ---- what the process and each thread keep -------------------------------------------------- */

/* Fetching an algorithm takes a lock and many look-ups: once per process. Never freed. */
static struct {
    pthread_once_t once;
    EVP_MAC *hmac;
    EVP_MD *md5, *sha1, *sha256;
    pthread_key_t at_thread_end;
} library = {.once = PTHREAD_ONCE_INIT};

static __thread EVP_MD_CTX *digest_ctx;

static void free_digest_ctx(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void fetch_library(void)
{
    library.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    library.md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    library.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    library.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(library.hmac && library.md5 && library.sha1 && library.sha256);
    CHECK(pthread_key_create(&library.at_thread_end, free_digest_ctx) == 0);
}

static void need_library(void)
{
    pthread_once(&library.once, fetch_library);
}

/* ---- HMAC ----------------------------------------------------------------------------------- */

struct hmac {
    EVP_MAC_CTX *ctx;
};

struct hmac *hmac_create(str key)
{
    struct hmac *h = mem_zero(sizeof *h);
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                           OSSL_PARAM_construct_end()};
    need_library();
    h->ctx = EVP_MAC_CTX_new(library.hmac);
    const char *bytes = key.n ? key.p : ""; /* NULL would mean "the key of before" */
    CHECK(h->ctx && EVP_MAC_init(h->ctx, (const unsigned char *)bytes, key.n, params) == 1);
    return h;
}

void hmac_destroy(struct hmac **h)
{
    if (!*h)
        return;
    EVP_MAC_CTX_free((*h)->ctx);
    free(*h);
    *h = NULL;
}

/* After a final, an update without an init succeeds and signs something else (dependencies P6):
 * all three stay together. */
void hmac_sign(struct hmac *h, const str *parts, size_t n, uint8_t out[HMAC_BYTES])
{
    size_t written = 0;
    CHECK(EVP_MAC_init(h->ctx, NULL, 0, NULL) == 1);
    for (size_t i = 0; i < n; i++)
        if (parts[i].n)
            CHECK(EVP_MAC_update(h->ctx, (const unsigned char *)parts[i].p, parts[i].n) == 1);
    CHECK(EVP_MAC_final(h->ctx, out, &written, HMAC_BYTES) == 1 && written == HMAC_BYTES);
}

/* ---- digests -------------------------------------------------------------------------------- */

static void digest(const EVP_MD *md, str s, uint8_t *out)
{
    if (!digest_ctx) {
        digest_ctx = EVP_MD_CTX_new();
        CHECK(digest_ctx && pthread_setspecific(library.at_thread_end, digest_ctx) == 0);
    }
    CHECK(EVP_DigestInit_ex2(digest_ctx, md, NULL) == 1);
    if (s.n)
        CHECK(EVP_DigestUpdate(digest_ctx, s.p, s.n) == 1);
    CHECK(EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1);
}

void crypto_md5(str s, uint8_t out[16])
{
    need_library();
    digest(library.md5, s, out);
}

void crypto_sha1(str s, uint8_t out[20])
{
    need_library();
    digest(library.sha1, s, out);
}

void crypto_sha256(str s, uint8_t out[32])
{
    need_library();
    digest(library.sha256, s, out);
}

/* ---- text ----------------------------------------------------------------------------------- */

void crypto_hex(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

size_t crypto_base64(str in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *to = out;
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        unsigned v = (unsigned)(uint8_t)in.p[i] << 16;
        v |= left > 1 ? (unsigned)(uint8_t)in.p[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned)(uint8_t)in.p[i + 2] : 0;
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[v & 63] : '=';
    }
    return (size_t)(to - out);
}

bool crypto_equal(str a, str b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

/* ---- random bytes --------------------------------------------------------------------------- */

static unsigned fork_count;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static __thread struct {
    uint8_t bytes[256];
    size_t left; /* the last `left` bytes are unused */
    unsigned fork_count;
} pool;

static void count_fork(void)
{
    fork_count++; /* the child has one thread */
}

static void watch_forks(void)
{
    CHECK(pthread_atfork(NULL, NULL, count_fork) == 0);
}

static void from_kernel(void *out, size_t n)
{
    for (uint8_t *to = out; n;) {
        ssize_t got = getrandom(to, n, 0);
        CHECK(got > 0 || (got < 0 && errno == EINTR));
        if (got > 0) {
            to += got;
            n -= (size_t)got;
        }
    }
}

void crypto_random(void *out, size_t n)
{
    if (n > sizeof pool.bytes) {
        from_kernel(out, n);
        return;
    }
    pthread_once(&watch_once, watch_forks);
    if (pool.left < n || pool.fork_count != fork_count) {
        from_kernel(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
        pool.fork_count = fork_count;
    }
    if (n == 0)
        return;
    uint8_t *from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(out, from, n);
    OPENSSL_cleanse(from, n); /* what was given out cannot be read again */
    pool.left -= n;
}
