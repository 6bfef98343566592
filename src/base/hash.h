/* base/hash.h - hashes for tables whose keys peers choose.
 *
 * Nature   pure within one process, any thread
 * Limits   64 bits; another value in each process (random secret), so never stored and never sent;
 *          hash_keyed with a seed of one's own is as private as that seed
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

uint64_t hash_bytes(str s);
/* Of a pair: ("ab", "c") and ("a", "bc") differ. */
uint64_t hash_two(str a, str b);
/* Of a pair, the same in every process that uses the same seed. */
uint64_t hash_keyed(uint64_t seed, str a, str b);

#endif
