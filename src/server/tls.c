/* Certificates of the node: loaded at the start, again on SIGHUP and when a file has changed. */
#include <stdlib.h>

#include "base/log.h"
#include "server/state.h"

/* config_certificate and tls_certificate say the same on both sides of a layer. */
static struct tls_options options_of(const struct config *c)
{
    size_t n = c->ssl.certificate_count;
    struct tls_certificate *v = mem_alloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct tls_certificate){c->ssl.certificates[i].cert_path,
                                        c->ssl.certificates[i].key_path,
                                        c->ssl.certificates[i].passphrase};
    return (struct tls_options){.certificates = v, .count = n, .ktls = c->ssl.ktls};
}

static void options_free(struct tls_options *o)
{
    free((void *)(uintptr_t)o->certificates);
}

static struct tls_set *load(struct server *s, const struct config *c, struct err *e)
{
    struct tls_options o = options_of(c);
    tls_files_changed(&o, &s->tls_seen); /* before: what changes meanwhile is seen the next time */
    struct tls_set *set = tls_set_load(&o, e);
    options_free(&o);
    return set;
}

bool server_tls_check(const struct config *c, struct err *e)
{
    if (!c->ssl.enabled)
        return true;
    struct tls_options o = options_of(c);
    struct tls_set *set = tls_set_load(&o, e);
    bool good = set != NULL;
    options_free(&o);
    tls_set_unref(&set);
    return good;
}

bool server_tls_open(struct server *s, struct err *e)
{
    if (!s->config->ssl.enabled)
        return true;
    s->has_tls = true;
    struct tls_set *set = load(s, s->config, e);
    for (uint16_t i = 0; set && i < s->node.worker_count; i++)
        s->threads[i].worker.pool.tls = tls_set_ref(set);
    bool good = set != NULL;
    tls_set_unref(&set);
    return good;
}

bool server_tls_prepare(struct server *s, const struct config *fresh, struct tls_set **out,
                        struct err *e)
{
    *out = NULL;
    if (!s->has_tls || !fresh->ssl.enabled)
        return true;
    *out = load(s, fresh, e);
    return *out != NULL;
}

void server_tls_use(struct server *s, struct tls_set **set)
{
    if (!*set)
        return;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        worker_use_tls(&s->threads[i], *set);
    tls_set_unref(set);
    log_info("server", "certificates loaded again");
}

void server_tls_watch(struct server *s)
{
    if (!s->has_tls || !s->config->ssl.enabled || s->config->ssl.reload_interval_s == 0)
        return;
    struct tls_options o = options_of(s->config);
    bool changed = tls_files_changed(&o, &s->tls_seen);
    options_free(&o);
    struct tls_set *set;
    struct err e;
    if (!changed)
        return;
    if (server_tls_prepare(s, s->config, &set, &e))
        server_tls_use(s, &set);
    else
        log_error("server", "certificates stay as they were: %s", e.text);
}
