#include "api/auth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/answer.h"
#include "api/count.h"
#include "api/route.h"
#include "base/log.h"
#include "base/utf8.h"

enum { WINDOW_S = 600 };

static void refuse(struct request *q, enum label_auth_reason reason, const char *fmt, ...)
    PRINTF(3, 4);
static void refuse(struct request *q, enum label_auth_reason reason, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    count_refusal(reason);
    answer_error(q, 401, "auth_failed", "%s", text);
}

/* Missing, empty or given twice. */
static bool is_single(const struct request *q, str name)
{
    size_t n = 0;
    for (size_t i = 0; i < q->param_count; i++)
        if (str_eq(q->params[i].key, name)) {
            if (q->params[i].value.n == 0)
                return false;
            n++;
        }
    return n == 1;
}

static bool params_are_there(struct request *q)
{
    static const str names[] = {STR("auth_key"), STR("auth_timestamp"), STR("auth_version"),
                                STR("auth_signature")};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!is_single(q, names[i])) {
            refuse(q, label_auth_reason_MISSING, "%.*s is missing", FMT(names[i]));
            return false;
        }
    return true;
}

static bool timestamp_is_fine(struct request *q)
{
    uint64_t then;
    int64_t now = q->worker->node->wall_s();
    str text = request_param(q, S("auth_timestamp"));
    if (text.n > 12 || !str_u64(text, UINT64_MAX, &then)) {
        refuse(q, label_auth_reason_TIMESTAMP, "Invalid auth_timestamp format");
        return false;
    }
    int64_t off = now - (int64_t)then;
    if (off > WINDOW_S || off < -WINDOW_S) {
        log_limited(LOG_WARN, "api", "request refused: its auth_timestamp is %lld s off",
                    (long long)-off);
        refuse(q, label_auth_reason_TIMESTAMP, "Timestamp expired or too far in the future");
        return false;
    }
    return true;
}

static void signature_check(struct request *q)
{
    const struct app *app = q->app->app;
    if (!crypto_equal(request_param(q, S("auth_key")), app->key))
        refuse(q, label_auth_reason_KEY, "Unknown auth_key");
    else if (!str_eq(request_param(q, S("auth_version")), S("1.0")))
        refuse(q, label_auth_reason_VERSION, "Version not supported");
    else if (!timestamp_is_fine(q))
        return;
    else if (!api_sign_check(q->app->hmac, q->head.method, q->head.path, q->head.query,
                             request_param(q, S("auth_signature"))))
        refuse(q, label_auth_reason_SIGNATURE, "Invalid API signature");
    else
        q->is_authentic = true;
    if (!q->is_authentic || app->enabled)
        return;
    count_refusal(label_auth_reason_DISABLED);
    answer_error(q, 403, "forbidden", "Application disabled");
}

static void app_found(struct request *q, struct app_answer *a)
{
    if (a->err.kind != ERR_NONE) {
        app_unref(&a->app);
        answer_error(q, 503, "service_unavailable", "Application lookup failed");
    } else if (!a->found && q->route->auth == SIGNED_APP_KEY) {
        refuse(q, label_auth_reason_UNKNOWN_APP, "Unknown auth_key");
    } else if (!a->found) {
        str id = utf8_cut(q->segments[1], APP_NAME_MAX);
        count_refusal(label_auth_reason_UNKNOWN_APP);
        answer_error(q, 404, "app_not_found", "Application not found: %.*s", FMT(id));
    } else {
        q->app = app_table_take(&q->worker->apps, &a->app);
        signature_check(q);
    }
}

static void app_found_later(struct handle asker, struct app_answer *a)
{
    struct request *q = request_find(asker);
    if (!q) {
        app_unref(&a->app);
        return;
    }
    app_found(q, a);
    q->go_on(q);
}

void auth_head(struct request *q, void (*go_on)(struct request *q))
{
    struct app_answer a = {0};
    struct app_manager *m = q->worker->node->apps;
    struct handle asker = request_asker(q);
    q->param_count = api_query_parse(q->head.query, true, &q->memory, &q->params);
    if (!params_are_there(q))
        return;
    q->go_on = go_on;
    enum when when =
        q->route->auth == SIGNED_APP_KEY
            ? app_by_key(m, asker, request_param(q, S("auth_key")), &a, app_found_later)
            : app_by_id(m, asker, q->segments[1], &a, app_found_later);
    if (when == DONE)
        app_found(q, &a);
    else
        q->is_waiting = true;
}

bool auth_body(struct request *q)
{
    uint8_t md5[16];
    char hex[32];
    str sent = request_param(q, S("body_md5"));
    if (!sent.p && q->body.n == 0)
        return true;
    q->is_authentic = false;
    if (!sent.p) {
        refuse(q, label_auth_reason_MD5, "body_md5 is required for a request with a body");
        return false;
    }
    crypto_md5(q->body, md5);
    crypto_hex(md5, sizeof md5, hex);
    q->is_authentic = str_eq_nocase(sent, str_of(hex, sizeof hex));
    if (q->is_authentic)
        return true;
    refuse(q, label_auth_reason_MD5, "body_md5 mismatch");
    return false;
}
