/* config/tree.h - a configuration text as a tree of values that know where they were written.
 *
 * Nature   pure; everything lives in the arena of the call
 * Limits   depth TREE_DEPTH_MAX, TREE_KEYS_MAX keys in one map
 * Source   RFC 8259, TOML 1.0.0; spec/configuration.md §2.1 (BOM, duplicate keys), §2.2, §2.3
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "base/arena.h"
#include "base/base.h"

enum { TREE_DEPTH_MAX = 64, TREE_KEYS_MAX = 10000 };

enum value_type {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STR,
    VALUE_LIST,
    VALUE_MAP,
    VALUE_DATE /* TOML only, text in s; no option takes one */
};

struct value {
    enum value_type type;
    uint32_t line, col;
    str key; /* as a member of a map */
    bool b;
    int64_t i; /* VALUE_INT */
    double f;  /* VALUE_INT, VALUE_FLOAT; TOML may say inf and nan */
    str s;
    struct value *first, *last, *next; /* children of lists and maps, in order of writing */
    size_t count;
};

/* Told of each key that a map has twice; the last one stays. */
typedef void tree_twice_fn(void *ctx, const struct value *v);

/* Reads JSON. Errors: ERR_INVALID "LINE:COL: what is wrong"; never quotes the text. */
NODISCARD bool tree_parse_json(arena *a, str text, tree_twice_fn *twice, void *ctx,
                               struct value **out, struct err *e);
/* Reads TOML; a key that is given twice is an error. Errors as tree_parse_json. */
NODISCARD bool tree_parse_toml(arena *a, str text, struct value **out, struct err *e);
/* A member of a map that is there and not null, or NULL; v may be NULL or no map. */
struct value *tree_get(const struct value *v, str key);
/* The value at a dotted path, as tree_get. */
struct value *tree_at(const struct value *v, str path);
const char *tree_type_name(const struct value *v);

/* For the readers: the new last child; the length of a JSON number that begins the text, or 0; the
 * bytes of a code point, at most four, returns their end. */
void tree_append(struct value *parent, struct value *child);
size_t tree_number(str text, bool *is_int);
char *tree_put_utf8(char *o, uint32_t c);

/* Replaces ${NAME} and ${NAME:-default} once; inside a string the value is escaped.
 * Errors: ERR_CONFIG, one sentence with every name that has no value, or with one whose value
 * cannot stand in a literal string of TOML. */
enum tree_syntax { SYNTAX_JSON, SYNTAX_TOML };
NODISCARD bool tree_interpolate(arena *a, str text, enum tree_syntax syntax,
                                char *const *environ_list, str *out, struct err *e);
/* Value of a variable, or NULL. */
const char *tree_env(char *const *environ_list, const char *name, size_t name_n);

#endif
