/* config/print.c - the effective configuration as JSON, and the list of all options.
 *
 * The output of a configuration can be read again and gives the same, but for what is masked:
 * secrets by the names of their keys, what may be one in a URL, values of webhook headers (CFG-17).
 */
#include "base/buf.h"
#include "base/json.h"
#include "config/load.h"

#include <errno.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 30 };

struct printer {
    arena a;
    const struct config *c;
    struct buf out;
};

static bool is_secret(str key)
{
    static const str ends[] = {STR("secret"), STR("password"), STR("token"), STR("passphrase"),
                               STR("secret_access_key")};
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_ends(key, ends[i]))
            return true;
    return false;
}

/* Bytes in front of the first `part`; s.n: it is not there. */
static size_t before(str s, str part)
{
    size_t n = 0;
    while (n < s.n && !str_starts(str_from(s, n), part))
        n++;
    return n;
}

/* Without user name, password and query. Up to the last @: a password may hold anything. */
static str masked_url(arena *a, str s)
{
    size_t scheme = before(s, S("://")), start = scheme < s.n ? scheme + 3 : 0, at = s.n;
    while (at > start && s.p[at - 1] != '@')
        at--;
    str rest = str_from(s, at > start ? at - 1 : start), head = str_of(s.p, start);
    if (start > 0)
        rest.n = before(rest, S("?"));
    return str_z(arena_printf(a, "%.*s%s%.*s%s", FMT(head), at > start ? "***" : "", FMT(rest),
                              rest.p + rest.n < s.p + s.n ? "?***" : ""));
}

static str masked(arena *a, str key, str s)
{
    if (s.n == 0)
        return s;
    return is_secret(key) ? S("***") : masked_url(a, s);
}

/* ---- the tree of what counts ---- */

static struct value *add(struct printer *p, struct value *parent, str key, enum value_type type)
{
    struct value *v = arena_zero(&p->a, sizeof *v);
    v->type = type;
    v->key = key;
    tree_append(parent, v);
    return v;
}

static void add_str(struct printer *p, struct value *parent, str key, str s)
{
    add(p, parent, key, VALUE_STR)->s = masked(&p->a, key, s);
}

static void add_int(struct printer *p, struct value *parent, str key, int64_t i)
{
    add(p, parent, key, VALUE_INT)->i = i;
}

static void add_bool(struct printer *p, struct value *parent, str key, bool b)
{
    add(p, parent, key, VALUE_BOOL)->b = b;
}

static struct value *block(struct printer *p, struct value *parent, str key)
{
    struct value *found = tree_get(parent, key);
    return found ? found : add(p, parent, key, VALUE_MAP);
}

/* The map of a dotted path; what is left of *path is the last name. */
static struct value *block_of(struct printer *p, struct value *root, str *path)
{
    const char *dot;
    while ((dot = memchr(path->p, '.', path->n)) != NULL) {
        size_t n = (size_t)(dot - path->p);
        root = block(p, root, str_of(path->p, n));
        *path = str_from(*path, n + 1);
    }
    return root;
}

/* The member of `from` that follows the key in the order of the alphabet, NULL: none. */
static const struct value *next_member(const struct value *from, const struct value *after)
{
    const struct value *best = NULL;
    for (const struct value *m = from->first; m != NULL; m = m->next)
        if ((after == NULL || str_cmp(m->key, after->key) > 0) &&
            (best == NULL || str_cmp(m->key, best->key) < 0))
            best = m;
    return best;
}

static bool is_among(str name, const str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

/* As it was written, but in an order that does not depend on the format of the file. Of webhooks
 * and certificates only texts that count are shown: what else stands there, and the value of a
 * header, nobody knows. name: its own, or of the list that it is in; empty: of something unknown.
 */
static void copy(struct printer *p, struct value *parent, str key, str name,
                 const struct value *from)
{
    static const str texts[] = {STR("url"),
                                STR("event_types"),
                                STR("function_name"),
                                STR("region"),
                                STR("lambda_function"),
                                STR("channel_prefix"),
                                STR("channel_suffix"),
                                STR("channel_pattern"),
                                STR("channel_name_starts_with"),
                                STR("channel_name_ends_with"),
                                STR("channel_namespace"),
                                STR("channel_namespaces"),
                                STR("cert_path"),
                                STR("key_path")};
    static const str maps[] = {STR("webhooks"), STR("lambda"), STR("filter"), STR("retry"),
                               STR("certificates")};
    struct value *v = add(p, parent, key, from->type);
    bool is_map = from->type == VALUE_MAP, is_shown = is_among(name, texts, COUNT_OF(texts));
    if (is_map && !is_among(name, maps, COUNT_OF(maps)))
        name = S("");
    v->b = from->b;
    v->i = from->i;
    v->f = from->f;
    v->s = is_shown || from->s.n == 0 ? masked(&p->a, name, from->s) : S("***");
    for (const struct value *m = is_map ? next_member(from, NULL) : from->first; m != NULL;
         m = is_map ? next_member(from, m) : m->next)
        copy(p, v, m->key, is_map && name.n > 0 ? m->key : name, m);
}

/* ---- apps ---- */

static void add_field(struct printer *p, struct value *to, const struct app *a,
                      const struct app_field *f)
{
    const void *at = (const char *)a + f->at;
    str key = str_z(f->name);
    if (f->kind == TEXT)
        add_str(p, to, key, *(const str *)at);
    else if (f->kind == FLAG)
        add_bool(p, to, key, *(const bool *)at);
    else if (f->kind == COUNT)
        add_int(p, to, key, *(const uint32_t *)at);
    else if (f->kind == BIG_COUNT)
        add_int(p, to, key, *(const int64_t *)at);
}

static void add_message_rate(struct printer *p, struct value *limits, const struct app *a)
{
    struct value *v = add(p, limits, S("message_rate_limit"), VALUE_MAP);
    add_bool(p, v, S("enabled"), a->message_rate.enabled);
    add_int(p, v, S("max_attempts"), a->message_rate.max_attempts);
    add_int(p, v, S("decay_seconds"), a->message_rate.decay_seconds);
    add_bool(p, v, S("terminate_on_limit"), a->message_rate.terminate_on_limit);
}

/* As the file has them, in whichever of the two shapes; NULL: none. */
static const struct value *webhooks_of(const struct value *v)
{
    const struct value *policy = tree_get(v, S("policy"));
    return tree_get(policy ? policy : v, S("webhooks"));
}

/* The nested shape, with what the limits of the whole server have given to it. written: as it
 * stands in the file; NULL: it does not. */
static void add_app(struct printer *p, struct value *list, const struct app *a,
                    const struct value *written)
{
    struct value *app = add(p, list, S(""), VALUE_MAP), *policy, *origins;
    for (size_t i = 0; i < config_app_field_count; i++)
        if (config_app_fields[i].place == OUTER)
            add_field(p, app, a, &config_app_fields[i]);
    policy = add(p, app, S("policy"), VALUE_MAP);
    for (size_t i = 0; i < config_app_field_count; i++) {
        const struct app_field *f = &config_app_fields[i];
        if (f->place == LIMITS || f->place == FEATURES)
            add_field(p, block(p, policy, config_app_places[f->place]), a, f);
    }
    add_message_rate(p, block(p, policy, config_app_places[LIMITS]), a);
    origins =
        add(p, block(p, policy, config_app_places[CHANNELS]), S("allowed_origins"), VALUE_LIST);
    for (size_t i = 0; i < a->allowed_origin_count; i++)
        add_str(p, origins, S(""), a->allowed_origins[i]);
    const struct value *hooks = a->webhook_count > 0 ? webhooks_of(written) : NULL;
    if (hooks != NULL)
        copy(p, policy, S("webhooks"), S("webhooks"), hooks);
}

/* ---- options ---- */

/* What was chosen or corrected after the values were read. */
static bool add_effective(struct printer *p, struct value *to, str key, enum option id)
{
    const struct config *c = p->c;
    const struct {
        enum option id;
        str name;
    } drivers[] = {{OPT_adapter_driver, c->adapter_driver},
                   {OPT_app_manager_driver, c->app_driver},
                   {OPT_cache_driver, c->cache_driver},
                   {OPT_queue_driver, c->queue_driver},
                   {OPT_rate_limiter_driver, c->rate_limiter.driver}};
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (drivers[i].id == id) {
            add_str(p, to, key, drivers[i].name);
            return true;
        }
    if (id == OPT_app_manager_array_apps) {
        struct value *list = add(p, to, key, VALUE_LIST);
        const struct value *written = c->values[id].tree ? c->values[id].tree->first : NULL;
        for (size_t i = 0; i < c->app_count; i++) { /* in the order of the file */
            add_app(p, list, c->apps[i], written);
            written = written ? written->next : NULL;
        }
        return true;
    }
    if (id == OPT_cors_credentials)
        add_bool(p, to, key, c->cors.credentials);
    return id == OPT_cors_credentials;
}

static void add_value(struct printer *p, struct value *to, str key, const struct option_row *row,
                      const struct option_value *v)
{
    switch (row->type) {
    case TYPE_BOOL:
        add_bool(p, to, key, v->b);
        return;
    case TYPE_F64:
        add(p, to, key, VALUE_FLOAT)->f = v->f;
        return;
    case TYPE_LIST:
    case TYPE_NODES: {
        struct value *list = add(p, to, key, VALUE_LIST);
        for (size_t i = 0; i < v->list_count; i++)
            add_str(p, list, S(""), v->list[i]);
        return;
    }
    case TYPE_OCTAL:
        add_str(p, to, key, str_z(arena_printf(&p->a, "%o", (unsigned)v->i)));
        return;
    case TYPE_STR:
    case TYPE_STR_OPT:
    case TYPE_STR_UNSET:
        add_str(p, to, key, v->s);
        return;
    case TYPE_TREE:
        copy(p, to, key, key, v->tree);
        return;
    default:
        if (row->type == TYPE_WORKERS && v->i == 0)
            add_str(p, to, key, S("auto"));
        else
            add_int(p, to, key, v->i);
    }
}

static void add_option(struct printer *p, struct value *root, enum option id)
{
    const struct option_row *row = &config_options[id];
    const struct option_value *v = &p->c->values[id];
    bool is_block = id == OPT_adapter_redis_redis_pub_options ||
                    id == OPT_adapter_redis_redis_sub_options; /* their url has its own row */
    str key = row->path;
    struct value *to = block_of(p, root, &key);
    if (is_block || add_effective(p, to, key, id))
        return;
    if (row->type == TYPE_COUNT_OPT && v->is_null)
        add_int(p, to, key, 0); /* null would be the default again */
    else if (v->is_null || (row->type == TYPE_TREE && v->tree == NULL))
        add(p, to, key, VALUE_NULL);
    else
        add_value(p, to, key, row, v);
}

/* ---- text ---- */

static void new_line(struct buf *out, unsigned depth)
{
    buf_char(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        buf_add(out, S("  "));
}

static void write_value(struct buf *out, const struct value *v, unsigned depth)
{
    bool is_map = v->type == VALUE_MAP;
    if (v->type == VALUE_STR || v->type == VALUE_DATE) {
        json_add_string(out, v->s);
    } else if (is_map || v->type == VALUE_LIST) {
        buf_char(out, is_map ? '{' : '[');
        for (const struct value *m = v->first; m != NULL; m = m->next) {
            new_line(out, depth + 1);
            if (is_map) {
                json_add_string(out, m->key);
                buf_add(out, S(": "));
            }
            write_value(out, m, depth + 1);
            if (m->next != NULL)
                buf_char(out, ',');
        }
        if (v->first != NULL)
            new_line(out, depth);
        buf_char(out, is_map ? '}' : ']');
    } else if (v->type == VALUE_INT) {
        buf_printf(out, "%lld", (long long)v->i);
    } else if (v->type == VALUE_FLOAT) {
        buf_printf(out, "%.15g", v->f);
    } else {
        buf_add(out, v->type == VALUE_NULL ? S("null") : v->b ? S("true") : S("false"));
    }
}

static bool write_out(const struct buf *b, int fd)
{
    for (size_t at = 0; at < b->n;) {
        ssize_t n = write(fd, b->p + at, b->n - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return !b->full;
}

bool config_print(const struct config *c, int fd)
{
    struct printer p = {.c = c};
    struct value root = {.type = VALUE_MAP};
    buf_init(&p.out, OUTPUT_MAX);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        add_option(&p, &root, (enum option)i);
    write_value(&p.out, &root, 0);
    buf_char(&p.out, '\n');
    bool ok = write_out(&p.out, fd);
    buf_finish(&p.out);
    arena_finish(&p.a);
    return ok;
}

/* ---- --help-config ---- */

static const char *const type_names[] = {
    [TYPE_BOOL] = "boolean",
    [TYPE_U8] = "integer",
    [TYPE_U16] = "integer",
    [TYPE_U32] = "integer",
    [TYPE_U64] = "integer",
    [TYPE_I32] = "integer",
    [TYPE_F64] = "number",
    [TYPE_STR] = "text",
    [TYPE_U32_OPT] = "integer or null",
    [TYPE_U64_OPT] = "integer or null",
    [TYPE_STR_OPT] = "text or null",
    [TYPE_STR_UNSET] = "text or null",
    [TYPE_COUNT_OPT] = "integer or null",
    [TYPE_LIST] = "list of texts",
    [TYPE_NODES] = "list of host:port",
    [TYPE_OCTAL] = "octal mode",
    [TYPE_WORKERS] = "integer or auto",
    [TYPE_TREE] = "see docs/configuration.md",
};

static const char *class_note(enum option_class class)
{
    return class == CLASS_EXPLICIT                        ? "; counts only if written"
           : class == CLASS_ACCEPT || class == CLASS_NOTE ? "; read, without effect"
                                                          : "";
}

static void help_row(struct buf *out, const struct option_row *row)
{
    buf_printf(out, "%.*s\n    %s, default %.*s", FMT(row->path), type_names[row->type],
               FMT(row->fallback.n > 0 ? row->fallback : S("empty")));
    if (row->env.n > 0)
        buf_printf(out, ", variable %.*s", FMT(row->env));
    buf_printf(out, ", %s%s\n    %s\n", row->reload == RELOAD_LIVE ? "live" : "start",
               class_note(row->class), row->sentence);
}

bool config_help(int fd)
{
    struct buf out;
    buf_init(&out, OUTPUT_MAX);
    buf_add(&out,
            S("Options of the configuration file, as in docs/configuration.md.\n"
              "live: SIGHUP puts a new value into use; start: a new value needs a restart.\n\n"));
    for (size_t i = 0; i < OPTION_COUNT; i++)
        help_row(&out, &config_options[i]);
    bool ok = write_out(&out, fd);
    buf_finish(&out);
    return ok;
}
