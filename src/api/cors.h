/* api/cors.h - which scripts of which origins may read our answers.
 *
 * Nature   immutable once made, any thread; lies in an arena, that of the settings
 * Source   http-api.md §11 (HTTP-75, HTTP-76); configuration.md §5.4
 */
#ifndef API_CORS_H
#define API_CORS_H

#include "base/arena.h"
#include "base/buf.h"

struct cors_options {
    const str *origins, *methods, *headers;
    size_t origin_count, method_count, header_count;
    bool any_origin;
    bool credentials; /* counts only without any_origin */
};
struct cors;

/* Copies what it needs. */
const struct cors *cors_make(arena *a, const struct cors_options *opt);

/* Adds the header fields of an answer. origin empty: the request has none. */
void cors_fields(const struct cors *c, str origin, bool is_options, struct buf *out);

#endif
