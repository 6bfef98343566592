/* config/options.c - values of options, from text (defaults, variables) and from the file.
 *
 * Source: spec/configuration.md §2.1, §8.1
 */
#include "config/load.h"

#include <math.h>
#include <stdlib.h>

#define OPTION(id, path, type, fallback, env, class, reload, sentence)                             \
    {STR(path), TYPE_##type, STR(fallback), STR(env), CLASS_##class, RELOAD_##reload, sentence},
const struct option_row config_options[OPTION_COUNT] = {
#include "config/options.def"
};
#undef OPTION

struct range {
    int64_t min, max;
};

static bool is_integer(enum option_type type, struct range *out)
{
    static const struct range ranges[] = {
        [TYPE_U8] = {0, UINT8_MAX},          [TYPE_U16] = {0, UINT16_MAX},
        [TYPE_U32] = {0, UINT32_MAX},        [TYPE_U64] = {0, INT64_MAX},
        [TYPE_I32] = {INT32_MIN, INT32_MAX}, [TYPE_U32_OPT] = {0, UINT32_MAX},
        [TYPE_U64_OPT] = {0, INT64_MAX},     [TYPE_COUNT_OPT] = {0, INT64_MAX},
        [TYPE_WORKERS] = {1, UINT32_MAX}};
    if (type >= COUNT_OF(ranges) || ranges[type].max == 0)
        return false;
    *out = ranges[type];
    return true;
}

static bool is_optional(enum option_type type)
{
    return type == TYPE_U32_OPT || type == TYPE_U64_OPT || type == TYPE_STR_OPT ||
           type == TYPE_STR_UNSET || type == TYPE_COUNT_OPT || type == TYPE_TREE;
}

bool config_text_bool(str text, bool *out)
{
    static const str words[] = {STR("false"), STR("true"), STR("0"),   STR("1"),
                                STR("no"),    STR("yes"),  STR("off"), STR("on")};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq_nocase(text, words[i])) {
            *out = i & 1;
            return true;
        }
    return false;
}

void config_split(arena *a, str text, str **list_out, size_t *count_out)
{
    size_t max = 1, n = 0;
    for (size_t i = 0; i < text.n; i++)
        max += text.p[i] == ',';
    *list_out = arena_get(a, max * sizeof **list_out);
    while (text.n > 0) {
        const char *comma = memchr(text.p, ',', text.n);
        size_t len = comma ? (size_t)(comma - text.p) : text.n;
        str piece = str_trim(str_of(text.p, len));
        if (piece.n > 0)
            (*list_out)[n++] = arena_str(a, piece);
        text = str_from(text, len + 1);
    }
    *count_out = n;
}

static bool text_int(str text, struct range range, int64_t *out)
{
    bool minus = text.n > 0 && text.p[0] == '-';
    uint64_t v;
    if (!str_u64(minus ? str_from(text, 1) : text, INT64_MAX, &v))
        return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return *out >= range.min && *out <= range.max;
}

static bool octal(str text, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || *out > 0777)
            return false;
        *out = *out * 8 + (text.p[i] - '0');
    }
    return text.n > 0 && *out <= 0777;
}

static bool text_float(arena *a, str text, double *out)
{
    char *end;
    str z = arena_str(a, text);
    *out = strtod(z.p, &end);
    return z.n > 0 && end == z.p + z.n && isfinite(*out) && *out >= 0;
}

bool option_from_text(arena *a, const struct option_row *row, str text, struct option_value *v,
                      const char **form_out)
{
    struct range range;
    if (row->type == TYPE_COUNT_OPT && (str_eq_nocase(text, S("none")) || str_eq(text, S("0"))))
        return v->is_null = true;
    if (row->type == TYPE_WORKERS && str_eq(text, S("auto")))
        return true;
    if (is_integer(row->type, &range)) {
        *form_out = "a number in range";
        return text_int(text, range, &v->i);
    }
    switch (row->type) {
    case TYPE_BOOL:
        *form_out = "true, 1, yes, on or false, 0, no, off";
        return config_text_bool(text, &v->b);
    case TYPE_OCTAL:
        *form_out = "an octal mode up to 777";
        return octal(text, &v->i);
    case TYPE_F64:
        *form_out = "a number";
        return text_float(a, text, &v->f);
    case TYPE_LIST:
    case TYPE_NODES:
        config_split(a, text, &v->list, &v->list_count);
        return true;
    default:
        v->s = arena_str(a, text);
        v->is_null = row->type == TYPE_STR_UNSET && text.n == 0;
        return true;
    }
}

static void set_default(struct loading *l, enum option id, str text)
{
    const char *form = NULL;
    const struct option_row *row = &config_options[id];
    l->c->values[id] = (struct option_value){.source = FROM_DEFAULT};
    if (is_optional(row->type) && str_eq(text, S("null")))
        l->c->values[id].is_null = true;
    else
        CHECK(option_from_text(&l->c->memory, row, text, &l->c->values[id], &form));
}

void config_defaults(struct loading *l)
{
#define PARTIAL(block, id, fallback) {STR(block), OPT_##id, STR(fallback)},
    static const struct {
        str block;
        enum option id;
        str fallback;
    } partials[] = {
#include "config/scope.def"
    };
#undef PARTIAL
    for (size_t i = 0; i < OPTION_COUNT; i++)
        set_default(l, (enum option)i, config_options[i].fallback);
    for (size_t i = 0; i < COUNT_OF(partials); i++)
        if (tree_at(l->root, partials[i].block) != NULL)
            set_default(l, partials[i].id, partials[i].fallback);
}

static bool wrong_type(struct loading *l, const struct option_row *row, const struct value *v,
                       const char *wanted)
{
    return config_fail_at(l, v, "\"%.*s\": expected %s, found %s", FMT(row->path), wanted,
                          tree_type_name(v));
}

static bool file_int(struct loading *l, const struct option_row *row, const struct value *v,
                     struct range range, struct option_value *out)
{
    bool fits = v->type == VALUE_INT && v->i >= range.min && v->i <= range.max;
    if (row->type == TYPE_WORKERS && v->type == VALUE_STR)
        fits = str_eq(v->s, S("auto")) || text_int(v->s, range, &out->i);
    else
        out->i = v->i;
    if (row->type == TYPE_COUNT_OPT)
        out->is_null = out->i == 0;
    if (fits)
        return true;
    return config_fail_at(l, v, "\"%.*s\": expected an integer from %lld to %lld%s%s",
                          FMT(row->path), (long long)range.min, (long long)range.max,
                          v->type == VALUE_INT ? "" : ", found ",
                          v->type == VALUE_INT ? "" : tree_type_name(v));
}

/* host:port of {host, port}, or the string itself. */
static bool file_node(struct loading *l, const struct option_row *row, const struct value *v,
                      str *out)
{
    const struct value *host = tree_get(v, S("host")), *port = tree_get(v, S("port"));
    if (v->type == VALUE_STR) {
        *out = v->s;
        return true;
    }
    if (v->type != VALUE_MAP || (host != NULL && host->type != VALUE_STR))
        return wrong_type(l, row, v, "host:port or an object with host and port");
    if (port != NULL && (port->type != VALUE_INT || port->i < 0 || port->i > UINT16_MAX))
        return wrong_type(l, row, port, "a port");
    str name = host ? host->s : S("localhost");
    *out = port ? str_z(arena_printf(&l->c->memory, "%.*s:%d", FMT(name), (int)port->i)) : name;
    return true;
}

static bool file_list(struct loading *l, const struct option_row *row, const struct value *v,
                      struct option_value *out)
{
    if (v->type != VALUE_LIST)
        return wrong_type(l, row, v, "a list");
    out->list = arena_get(&l->c->memory, (v->count + 1) * sizeof *out->list);
    for (const struct value *item = v->first; item != NULL; item = item->next) {
        str *to = &out->list[out->list_count++];
        if (row->type == TYPE_NODES) {
            if (!file_node(l, row, item, to))
                return false;
        } else if (item->type != VALUE_STR) {
            return wrong_type(l, row, item, "a string");
        } else {
            *to = item->s;
        }
    }
    return true;
}

/* A number is read as the octal digits it shows. */
static bool file_octal(struct loading *l, const struct option_row *row, const struct value *v,
                       struct option_value *out)
{
    str text =
        v->type == VALUE_INT ? str_z(arena_printf(&l->c->memory, "%lld", (long long)v->i)) : v->s;
    if ((v->type == VALUE_STR || v->type == VALUE_INT) && octal(text, &out->i))
        return true;
    return config_fail_at(l, v, "\"%.*s\": expected an octal mode up to 777", FMT(row->path));
}

static bool from_file(struct loading *l, const struct option_row *row, const struct value *v,
                      struct option_value *out)
{
    struct range range;
    if (is_integer(row->type, &range))
        return file_int(l, row, v, range, out);
    switch (row->type) {
    case TYPE_BOOL:
        out->b = v->b;
        return v->type == VALUE_BOOL || wrong_type(l, row, v, "true or false");
    case TYPE_F64:
        out->f = v->f;
        return ((v->type == VALUE_INT || v->type == VALUE_FLOAT) && isfinite(v->f)) ||
               wrong_type(l, row, v, "a finite number");
    case TYPE_LIST:
    case TYPE_NODES:
        return file_list(l, row, v, out);
    case TYPE_OCTAL:
        return file_octal(l, row, v, out);
    case TYPE_TREE:
        out->tree = v;
        return true;
    default:
        out->s = v->s;
        out->is_null = row->type == TYPE_STR_UNSET && v->s.n == 0;
        return v->type == VALUE_STR || wrong_type(l, row, v, "a string");
    }
}

bool config_apply_file(struct loading *l)
{
    for (size_t i = 0; l->root != NULL && i < OPTION_COUNT; i++) {
        const struct option_row *row = &config_options[i];
        const struct value *v = tree_at(l->root, row->path);
        if (v == NULL)
            v = config_alias_value(l, row->path);
        if (v == NULL)
            continue;
        struct option_value fresh = {.source = FROM_FILE, .line = v->line, .col = v->col};
        if (!from_file(l, row, v, &fresh))
            return false;
        l->c->values[i] = fresh;
    }
    return true;
}
