#include "pusher/socket_id.h"

#include <pthread.h>

#include "base/crypto.h"

enum { ROUNDS = 6, HALF = 17, SLOT_BITS = 24 };
#define PART_MAX 10000000000u

static uint64_t keys[2][ROUNDS]; /* of number and of place */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void keys_make(void)
{
    crypto_random(keys, sizeof keys);
}

static uint64_t mix(uint64_t half, uint64_t key)
{
    uint64_t x = (half + 1) * 0x9e3779b97f4a7c15u ^ key;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    return x & ((1u << HALF) - 1);
}

/* A balanced Feistel network on 34 bits; walked on until the value fits the decimal bound. */
static uint64_t permute(uint64_t v, const uint64_t *key, bool back)
{
    do {
        uint64_t left = v >> HALF, right = v & ((1u << HALF) - 1);
        for (int i = 0; i < ROUNDS; i++) {
            uint64_t t = back ? left : right;
            if (back) {
                left = right ^ mix(left, key[ROUNDS - 1 - i]);
                right = t;
            } else {
                right = left ^ mix(right, key[i]);
                left = t;
            }
        }
        v = left << HALF | right;
    } while (v > PART_MAX);
    return v;
}

struct socket_id socket_id_make(uint64_t counter, uint16_t worker, uint32_t slot)
{
    pthread_once(&once, keys_make);
    CHECK(worker < 256 && slot < 1u << SLOT_BITS);
    return (struct socket_id){
        permute(counter % (PART_MAX + 1), keys[0], false),
        permute((uint64_t)worker << SLOT_BITS | slot, keys[1], false),
    };
}

static size_t print_part(char *out, uint64_t v)
{
    char tmp[20];
    size_t n = 0;
    do
        tmp[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}

size_t socket_id_print(struct socket_id id, char out[SOCKET_ID_MAX])
{
    CHECK(id.number <= PART_MAX && id.place <= PART_MAX);
    size_t n = print_part(out, id.number);
    out[n++] = '.';
    return n + print_part(out + n, id.place);
}

static bool part_read(str s, uint64_t *out)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    if (!str_u64(s, PART_MAX, out) || (s.n > 1 && s.p[0] == '0'))
        *out = UINT64_MAX; /* well formed, but nobody's */
    return true;
}

bool socket_id_parse(str s, struct socket_id *out)
{
    const char *dot = s.n ? memchr(s.p, '.', s.n) : NULL;
    if (!dot)
        return false;
    size_t at = (size_t)(dot - s.p);
    return part_read(str_of(s.p, at), &out->number) && part_read(str_from(s, at + 1), &out->place);
}

bool socket_id_place(struct socket_id id, uint16_t *worker, uint32_t *slot)
{
    pthread_once(&once, keys_make);
    if (id.place > PART_MAX || id.number > PART_MAX)
        return false;
    uint64_t v = permute(id.place, keys[1], true);
    *worker = (uint16_t)(v >> SLOT_BITS);
    *slot = (uint32_t)(v & ((1u << SLOT_BITS) - 1));
    return v >> SLOT_BITS < 256;
}
