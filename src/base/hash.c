#include "base/hash.h"

#include <pthread.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/crypto.h"

/* A secret, not only a seed: the short inputs of tables depend on each of its bytes. */
static uint8_t secret[XXH3_SECRET_SIZE_MIN + 56];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void make_secret(void)
{
    crypto_random(secret, sizeof secret);
}

uint64_t hash_bytes(str s)
{
    pthread_once(&secret_once, make_secret);
    return XXH3_64bits_withSecret(s.p, s.n, secret, sizeof secret);
}

/* Two hashes side by side, in one byte order on all machines. */
struct pair {
    XXH64_canonical_t a, b;
};

static struct pair pair_of(uint64_t a, uint64_t b)
{
    struct pair p;
    XXH64_canonicalFromHash(&p.a, a);
    XXH64_canonicalFromHash(&p.b, b);
    return p;
}

uint64_t hash_two(str a, str b)
{
    struct pair p = pair_of(hash_bytes(a), hash_bytes(b));
    return hash_bytes(str_of(&p, sizeof p));
}

uint64_t hash_keyed(uint64_t seed, str a, str b)
{
    struct pair p =
        pair_of(XXH3_64bits_withSeed(a.p, a.n, seed), XXH3_64bits_withSeed(b.p, b.n, seed));
    return XXH3_64bits_withSeed(&p, sizeof p, seed);
}
