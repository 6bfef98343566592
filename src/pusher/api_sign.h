/* pusher/api_sign.h - query parameters and the signature of HTTP API requests.
 *
 * Nature   pure; the thread of the hmac
 * Limits   at most API_SIGN_VARIANTS readings of one request are tried
 * Source   http-api.md §3.4: SDKs sign unescaped text and leave escaping to their HTTP library, so
 *          one request can be read in more than one way; any reading may match
 */
#ifndef PUSHER_API_SIGN_H
#define PUSHER_API_SIGN_H

#include "base/arena.h"
#include "base/crypto.h"

enum { API_SIGN_VARIANTS = 8 };
struct api_param {
    str key, value; /* decoded; the key in lower case */
};

/* Splits and decodes; empty pieces are dropped, the order is kept. Gives the count. */
size_t api_query_parse(str raw_query, bool plus_is_space, arena *a, struct api_param **out);
/* signature: 64 lower-case hex digits. */
bool api_sign_check(struct hmac *h, str method, str raw_path, str raw_query, str signature);

#endif
