/* config/tls.c - ssl.*: which certificates, and whether there is enough to serve TLS.
 *
 * Whether the files fit together is seen when they are loaded (io/tls.h).
 * Source: spec/configuration.md §3, §9.1 (CFG-33, CFG-34)
 */
#include "config/load.h"

#include <errno.h>
#include <unistd.h>

enum { CERTIFICATES_MAX = 1000 };

static bool text_member(struct loading *l, const struct value *map, str name, str *out)
{
    const struct value *v = tree_get(map, name);
    if (v == NULL)
        return true;
    if (v->type != VALUE_STR)
        return config_fail_at(l, v, "\"ssl.certificates\": %.*s: expected a string, found %s",
                              FMT(name), tree_type_name(v));
    *out = arena_str(&l->c->memory, v->s);
    return true;
}

static void say_unknown_members(struct loading *l, const struct value *map)
{
    for (const struct value *m = map->first; m != NULL; m = m->next)
        if (!str_eq(m->key, S("cert_path")) && !str_eq(m->key, S("key_path")) &&
            !str_eq(m->key, S("passphrase")))
            config_say_strict(l, "%.*s:%u: unknown key \"ssl.certificates[].%.*s\"",
                              FMT(l->c->file), m->line, FMT(m->key));
}

static bool read_certificate(struct loading *l, const struct value *v)
{
    struct config_certificate *c = &l->c->ssl.certificates[l->c->ssl.certificate_count++];
    *c = (struct config_certificate){STR(""), STR(""), STR("")};
    if (v->type != VALUE_MAP)
        return config_fail_at(l, v, "\"ssl.certificates\": expected objects, found %s",
                              tree_type_name(v));
    say_unknown_members(l, v);
    if (!text_member(l, v, S("cert_path"), &c->cert_path) ||
        !text_member(l, v, S("key_path"), &c->key_path) ||
        !text_member(l, v, S("passphrase"), &c->passphrase))
        return false;
    if (c->cert_path.n == 0 || c->key_path.n == 0)
        return config_fail_at(l, v, "\"ssl.certificates\": cert_path and key_path need each other");
    return true;
}

/* The first is the default one. */
static bool read_certificates(struct loading *l)
{
    struct config *c = l->c;
    const struct value *list = option(l, OPT_ssl_certificates)->tree;
    size_t more = list != NULL ? list->count : 0;
    if (list != NULL && list->type != VALUE_LIST)
        return config_fail_at(l, list, "\"ssl.certificates\": expected a list, found %s",
                              tree_type_name(list));
    if (more > CERTIFICATES_MAX)
        return config_fail_at(l, list, "\"ssl.certificates\" has more than %d entries",
                              CERTIFICATES_MAX);
    c->ssl.certificates = arena_get(&c->memory, (more + 1) * sizeof *c->ssl.certificates);
    c->ssl.certificates[c->ssl.certificate_count++] =
        (struct config_certificate){option(l, OPT_ssl_cert_path)->s, option(l, OPT_ssl_key_path)->s,
                                    option(l, OPT_ssl_passphrase)->s};
    for (const struct value *v = more ? list->first : NULL; v != NULL; v = v->next)
        if (!read_certificate(l, v))
            return false;
    return true;
}

/* id: where it was written; key: what it is called there. */
static bool file_check(struct loading *l, enum option id, const char *key, str path)
{
    bool is_path = memchr(path.p, 0, path.n) == NULL;
    if (is_path && access(path.p, R_OK) == 0)
        return true;
    return config_fail_option(l, id, "\"%s\": cannot read %.*s: %s", key, FMT(path),
                              is_path ? strerror(errno) : "no path");
}

static bool check_files(struct loading *l)
{
    const struct config *c = l->c;
    for (size_t i = 0; i < c->ssl.certificate_count; i++) {
        const struct config_certificate *f = &c->ssl.certificates[i];
        if (f->cert_path.n == 0 || f->key_path.n == 0)
            return config_fail_option(l, OPT_ssl_enabled, "ssl.enabled needs \"%s\"",
                                      f->cert_path.n ? "ssl.key_path" : "ssl.cert_path");
        bool is_fine = i == 0 ? file_check(l, OPT_ssl_cert_path, "ssl.cert_path", f->cert_path) &&
                                    file_check(l, OPT_ssl_key_path, "ssl.key_path", f->key_path)
                              : file_check(l, OPT_ssl_certificates, "ssl.certificates[].cert_path",
                                           f->cert_path) &&
                                    file_check(l, OPT_ssl_certificates,
                                               "ssl.certificates[].key_path", f->key_path);
        if (!is_fine)
            return false;
    }
    return true;
}

bool config_read_tls(struct loading *l)
{
    struct config *c = l->c;
    c->ssl.enabled = option(l, OPT_ssl_enabled)->b;
    c->ssl.reload_interval_s = (uint64_t)option(l, OPT_ssl_reload_interval_seconds)->i;
    if (c->ssl.reload_interval_s > 86400)
        c->ssl.reload_interval_s = 86400;
    c->ssl.ktls = option(l, OPT_ssl_ktls)->b;
    c->ssl.redirect_http = option(l, OPT_ssl_redirect_http)->b;
    c->ssl.http_port = (uint16_t)option(l, OPT_ssl_http_port)->i;
    if (!read_certificates(l))
        return false;
    if (c->ssl.enabled && option(l, OPT_unix_socket_enabled)->b) {
        config_say(l, SAY_WARN, "\"ssl.enabled\" has no effect with \"unix_socket.enabled\"");
        c->ssl.enabled = false;
    }
    if (c->ssl.redirect_http && !c->ssl.enabled)
        config_say(l, SAY_WARN, "\"ssl.redirect_http\" has no effect without \"ssl.enabled\"");
    if (c->ssl.enabled && c->ssl.redirect_http && c->ssl.http_port == option(l, OPT_port)->i &&
        c->ssl.http_port != 0)
        return config_fail_option(l,
                                  is_written(l, OPT_ssl_http_port) ? OPT_ssl_http_port : OPT_port,
                                  "\"port\" and \"ssl.http_port\" are both %u", c->ssl.http_port);
    return !c->ssl.enabled || check_files(l);
}
