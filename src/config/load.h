/* config/load.h - what the steps of config_load share; private to this folder.
 *
 * Order    file, defaults, file's values, scope, environment, apps, checks (configuration.md §1.2)
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/config.h"
#include "config/tree.h"

enum option_type {
    TYPE_BOOL,
    TYPE_U8,
    TYPE_U16,
    TYPE_U32,
    TYPE_U64,
    TYPE_I32,
    TYPE_F64,
    TYPE_STR,
    TYPE_U32_OPT,
    TYPE_U64_OPT,
    TYPE_STR_OPT,
    TYPE_STR_UNSET,
    TYPE_COUNT_OPT,
    TYPE_LIST,
    TYPE_NODES,
    TYPE_OCTAL,
    TYPE_WORKERS,
    TYPE_TREE,
};
enum option_class { CLASS_YES, CLASS_EXPLICIT, CLASS_ACCEPT, CLASS_NOTE };
enum option_reload { RELOAD_START, RELOAD_LIVE };

struct option_row {
    str path;
    enum option_type type;
    str fallback;
    str env;
    enum option_class class;
    enum option_reload reload;
    const char *sentence;
};
extern const struct option_row config_options[OPTION_COUNT];

struct loading {
    const struct config_args *args;
    char *const *env;
    struct config *c;
    struct config_report *r;
    struct err *e;
    struct value *root; /* NULL: no file */
};

/* Members of an app object, app_fields.def. */
enum app_place { OUTER, LIMITS, FEATURES, CHANNELS, POLICY, APP_PLACES };
enum app_kind { TEXT, FLAG, COUNT, BIG_COUNT, UNENFORCED, SPECIAL, BEYOND };
struct app_field {
    const char *name;
    enum app_place place; /* in the nested shape */
    enum app_kind kind;
    size_t at; /* TEXT, FLAG, COUNT and BIG_COUNT: in struct app */
    int explicit_limit;
};
extern const struct app_field config_app_fields[];
extern const size_t config_app_field_count;
extern const str config_app_places[APP_PLACES]; /* keys of the blocks in a policy */

/* report.c: false: it was said before. */
bool config_report_add(struct config_report *r, enum say level, const char *text);
void config_say(struct loading *l, enum say level, const char *fmt, ...) PRINTF(3, 4);
/* A warning that --strict-config turns into an error. */
void config_say_strict(struct loading *l, const char *fmt, ...) PRINTF(2, 3);
/* Refuses with "FILE:LINE:COL: " in front of the sentence; v may be NULL. Returns false. */
bool config_fail_at(struct loading *l, const struct value *v, const char *fmt, ...) PRINTF(3, 4);
bool config_fail(struct loading *l, const char *fmt, ...) PRINTF(2, 3);
/* The same for a value that was read already: its place in the file, or its variable, in front. */
bool config_fail_option(struct loading *l, enum option id, const char *fmt, ...) PRINTF(3, 4);

/* file.c: reads the file that is to be used into l->root. */
NODISCARD bool config_read_file(struct loading *l);

/* options.c */
void config_defaults(struct loading *l);
NODISCARD bool config_apply_file(struct loading *l);
/* The text of a default or a variable; *form_out tells what would have been fine. */
NODISCARD bool option_from_text(arena *a, const struct option_row *row, str text,
                                struct option_value *v, const char **form_out);
NODISCARD bool config_text_bool(str text, bool *out);
/* Pieces between commas, trimmed, without the empty ones. */
void config_split(arena *a, str text, str **list_out, size_t *count_out);

/* scope.c: unknown keys, areas that are not served, options without effect. */
NODISCARD bool config_scope(struct loading *l);
/* The path that was written instead of an option's own, or NULL. */
const struct value *config_alias_value(struct loading *l, str path);
/* The name of `known` (until its NULL entry) nearest to `name`, NULL if all are further than 2. */
const char *config_nearest(str name, const char *const *known);

/* env.c */
void config_apply_env(struct loading *l);

/* apps.c, webhooks.c, bootstrap.c */
NODISCARD bool config_read_apps(struct loading *l);
NODISCARD bool config_read_app(struct loading *l, const struct value *v, struct app **out);
NODISCARD bool config_read_webhooks(struct loading *l, struct app *a, const struct value *list);
NODISCARD bool config_bootstrap(struct loading *l);
void config_app_limits(struct loading *l, struct app *a, uint32_t written);
void config_add_app(struct loading *l, struct app *a);
/* A key of an app goes into a header of its webhooks (security.md I3). */
NODISCARD bool config_key_check(str key);
/* Warns of a member of the app's object, with the nearest of `known` (until its NULL entry). place:
 * what stands in front of its name, "" or "a.b.". */
void config_say_unknown(struct loading *l, const struct app *a, const struct value *v,
                        const char *place, const char *const *known);

/* tls.c */
NODISCARD bool config_read_tls(struct loading *l);

/* validate.c */
NODISCARD bool config_validate(struct loading *l);
NODISCARD bool config_choose_drivers(struct loading *l);

static inline const struct option_value *option(const struct loading *l, enum option id)
{
    return &l->c->values[id];
}
static inline bool is_written(const struct loading *l, enum option id)
{
    return l->c->values[id].source != FROM_DEFAULT;
}

#endif
