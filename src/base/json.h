/* base/json.h - checks JSON text, finds its parts as slices, and writes strings.
 *
 * Nature   pure; reads the text in place, so slices keep the sender's bytes (1.10 stays 1.10)
 * Limits   128 levels, the outermost container is level 1; linear time, no recursion
 * Source   RFC 8259, stricter where it leaves a choice: UTF-8 is checked, lone surrogates refused,
 *          of members with one name the last one counts
 *
 * Only json_parse takes foreign text. All others take what it has accepted, or a part of that.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/limits.h"

enum json_type {
    JSON_NONE, /* not there */
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* One value. Borrowed: valid as long as the text it was found in. */
struct json {
    enum json_type type;
    str raw;      /* without surrounding blanks; a string with its quotes */
    bool escaped; /* a string that contains a backslash */
};

/* Checks the whole text.
 * Gives    the outermost value; false: *bad_at (may be NULL) is the offset, at most text.n, of the
 *          byte, character or escape that is wrong or missing. */
NODISCARD bool json_parse(str text, struct json *out, size_t *bad_at);

struct json_field {
    str name; /* decoded */
    struct json value;
};

/* Looks up n names of an object in one pass; JSON_NONE where there is no such member, and
 * everywhere if `object` is no object. Names written with escapes are found too. */
void json_fields(struct json object, struct json_field *fields, size_t n);

/* Steps through an array or object in the order of the text; other values have no elements.
 *
 *     struct json_iter it = json_iter(v);
 *     while (json_next(&it, &key, &value)) */
struct json_iter {
    str rest;
    bool object;
};
struct json_iter json_iter(struct json container);
/* key_out may be NULL; of an array's element it is JSON_NONE. */
bool json_next(struct json_iter *it, struct json *key_out, struct json *value_out);

/* The content of a string: a slice of `raw` if nothing is escaped, else decoded into the arena.
 * Empty for other types. May contain NUL (from \u0000). */
str json_string(struct json v, arena *a);
bool json_is_integer(struct json v); /* -?digits, of any length */

/* Writers; false as buf_add: it did not fit. Escaped are only ", \ and bytes below 0x20. */
bool json_add_string(struct buf *b, str s);    /* with quotes */
bool json_add_escaped(struct buf *b, str s);   /* without quotes */
bool json_add_compact(struct buf *b, str raw); /* checked text without its blanks */

#endif
