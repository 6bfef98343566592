/* webhook/http.c - POST of signed events to a URL.
 *
 * Source: webhooks.md §2; security.md I8 (what a redirect may take along)
 */
#include <stdio.h>

#include "base/crypto.h"
#include "base/log.h"
#include "webhook/target.h"

enum { REDIRECTS_MAX = 5, OWN_HEADERS = 6, RETRY_AFTER_MAX_S = 24 * 3600 };

static void answered(void *ctx, const struct http_answer *a);

static bool http_takes(const struct app_webhook *h)
{
    return h->url.n > 0;
}

static void end(struct attempt *t, enum webhook_outcome outcome)
{
    t->outcome = outcome;
    t->ended(t);
}

static void end_never(struct attempt *t, const char *why)
{
    snprintf(t->why, sizeof t->why, "%s", why);
    end(t, OUTCOME_PERMANENT);
}

static void end_later(struct attempt *t, const char *why)
{
    snprintf(t->why, sizeof t->why, "%s", why);
    end(t, OUTCOME_RETRY);
}

static bool is_configured(const struct app_webhook *h, str name)
{
    for (size_t i = 0; i < h->header_count; i++)
        if (str_eq_nocase(h->headers[i].name, name))
            return true;
    return false;
}

static str signature(arena *a, const struct attempt *t)
{
    uint8_t mac[HMAC_BYTES];
    char *hex = arena_get(a, HMAC_HEX);
    struct hmac *key = hmac_create(t->app->secret);
    hmac_sign(key, &t->body, 1, mac);
    hmac_destroy(&key);
    crypto_hex(mac, sizeof mac, hex);
    return str_of(hex, HMAC_HEX);
}

static str basic(arena *a, const struct http_url *url)
{
    const char *pair = arena_printf(a, "%.*s:%.*s", FMT(url->user), FMT(url->password));
    char *text = arena_get(a, sizeof "Basic " + CRYPTO_BASE64_SIZE(strlen(pair)));
    memcpy(text, "Basic ", 6);
    return str_of(text, 6 + crypto_base64(str_z(pair), text + 6));
}

static size_t write_headers(struct attempt *t, const struct http_url *url, bool is_foreign,
                            struct http_header *out)
{
    size_t n = 0;
    const struct app_webhook *h = t->hook;
    for (size_t i = 0; !is_foreign && i < h->header_count; i++)
        out[n++] = (struct http_header){h->headers[i].name, h->headers[i].value};
    if (is_foreign || !is_configured(h, S("User-Agent")))
        out[n++] = (struct http_header){S("User-Agent"), S("sockudo/" SOCKUDO_VERSION)};
    if (!is_foreign && url->user.n + url->password.n > 0 && !is_configured(h, S("Authorization")))
        out[n++] = (struct http_header){S("Authorization"), basic(&t->memory, url)};
    out[n++] = (struct http_header){S("Content-Type"), S("application/json")};
    out[n++] = (struct http_header){S("X-Pusher-Key"), t->app->key};
    out[n++] = (struct http_header){S("X-Pusher-Signature"), signature(&t->memory, t)};
    out[n++] = (struct http_header){S("X-Webhook-Id"), t->job_id};
    return n;
}

static void post(struct attempt *t, const struct http_url *own, const struct http_url *url)
{
    struct err e = {.kind = ERR_NONE};
    bool is_foreign = !http_url_same_origin(own, url);
    struct http_header *headers =
        arena_get(&t->memory, (t->hook->header_count + OWN_HEADERS) * sizeof *headers);
    struct http_request request = {.method = S("POST"),
                                   .url = url->plain,
                                   .headers = headers,
                                   .header_count = write_headers(t, own, is_foreign, headers),
                                   .body = t->body,
                                   .timeout_ms = t->timeout_ms};
    snprintf(t->host, sizeof t->host, "%.*s", FMT(url->host));
    t->call = http_send(t->webhooks->http, &request, answered, t, &e);
    if (t->call == NULL)
        end_never(t, e.text);
}

/* The same request again elsewhere; its timeout goes on. */
static void follow(struct attempt *t, str where)
{
    struct http_url own, to;
    struct err e = {.kind = ERR_NONE};
    if (!http_url_parse(&t->memory, t->hook->url, &own, &e) ||
        !http_url_parse(&t->memory, where, &to, &e))
        end_never(t, "redirected to no http or https URL");
    else if (++t->redirects > REDIRECTS_MAX)
        end_never(t, "redirected too often");
    else if (own.is_https && !to.is_https)
        end_never(t, "redirected from https to http");
    else if (t->timeout_ms <= 0)
        end_later(t, "timeout while redirected");
    else
        post(t, &own, &to);
}

static void judge(struct attempt *t, const struct http_answer *a)
{
    arena m = {0};
    struct http_url to;
    int64_t after = a->retry_after_s < RETRY_AFTER_MAX_S ? a->retry_after_s : RETRY_AFTER_MAX_S;
    t->status = a->status;
    t->retry_after_ms = a->status == 429 || a->status == 503 ? after * 1000 : 0;
    if (a->redirect.n > 0 && http_url_parse(&m, a->redirect, &to, NULL))
        snprintf(t->why, sizeof t->why, "status %d, redirect to %.*s", a->status,
                 LOG_PEER(to.host));
    else
        snprintf(t->why, sizeof t->why, "status %d", a->status);
    arena_finish(&m);
    end(t, webhook_outcome_of(a->status));
}

static void answered(void *ctx, const struct http_answer *a)
{
    struct attempt *t = ctx;
    t->call = NULL;
    t->duration_ms += a->duration_ms;
    t->timeout_ms -= (int64_t)a->duration_ms;
    t->status = 0;
    if (a->err.kind != ERR_NONE) {
        (a->err.kind == ERR_INVALID ? end_never : end_later)(t, a->err.text);
    } else if ((a->status == 307 || a->status == 308) && a->redirect.n > 0) {
        follow(t, arena_str(&t->memory, a->redirect));
    } else {
        judge(t, a);
    }
}

static void http_start(struct attempt *t)
{
    struct http_url url;
    struct err e = {.kind = ERR_NONE};
    if (http_url_parse(&t->memory, t->hook->url, &url, &e))
        post(t, &url, &url);
    else
        end_never(t, e.text);
}

static void http_stop(struct attempt *t)
{
    http_cancel(&t->call);
}

const struct webhook_target webhook_http = {
    .name = "http",
    .label = label_target_HTTP,
    .takes = http_takes,
    .start = http_start,
    .cancel = http_stop,
};
