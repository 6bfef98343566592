/* base/crypto.h - digests, signatures, their text forms, and random bytes.
 *
 * Nature   any thread, except that one struct hmac belongs to one thread; a library that fails
 *          ends the process, so nothing here returns an error
 * Source   FIPS 198-1, FIPS 180-4, RFC 1321, RFC 4648 §4
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/base.h"

enum { HMAC_BYTES = 32, HMAC_HEX = 64 };

/* HMAC-SHA256 with one key, prepared once (dependencies P6). A changed key needs a new one. */
struct hmac;
struct hmac *hmac_create(str key);  /* the key is copied, may be empty */
void hmac_destroy(struct hmac **h); /* NULL is fine; wipes the key */
/* Signs the concatenation of n parts; calls do not influence each other. */
void hmac_sign(struct hmac *h, const str *parts, size_t n, uint8_t out[HMAC_BYTES]);

void crypto_md5(str s, uint8_t out[16]);
void crypto_sha1(str s, uint8_t out[20]);
void crypto_sha256(str s, uint8_t out[32]);

/* Writes 2 * n lower-case digits, no NUL. */
void crypto_hex(const uint8_t *in, size_t n, char *out);
/* Writes with padding, no NUL; gives the length: CRYPTO_BASE64_SIZE(in.n). */
#define CRYPTO_BASE64_SIZE(n) (((n) + 2) / 3 * 4)
size_t crypto_base64(str in, char *out);

/* In a time that depends on the lengths only. */
bool crypto_equal(str a, str b);

/* From the kernel, through a pool per thread that a fork does not share. */
void crypto_random(void *out, size_t n);

#endif
