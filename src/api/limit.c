#include "api/limit.h"

#include "api/answer.h"
#include "api/route.h"
#include "base/log.h"
#include "metrics/metrics.h"

enum { WARN_EVERY_S = 60 };

const struct client_address *limit_peer(struct request *q)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof sa;
    if (q->has_peer)
        return &q->peer;
    if (getpeername(q->stream->fd, (struct sockaddr *)&sa, &n) < 0)
        sa.ss_family = AF_UNSPEC;
    q->peer = client_of_peer(&sa);
    q->has_peer = true;
    return &q->peer;
}

static bool is_upgrade(const struct request *q)
{
    return q->route && q->route->endpoint == endpoint_upgrade;
}

/* What is under /apps, known or not, and the routes that are signed; the upgrades. */
static struct rate_limiter *limiter_of(const struct request *q, uint32_t *hops_out)
{
    const struct node *n = q->worker->node;
    const struct settings *set = q->worker->settings;
    bool is_api = str_starts(q->head.path, S("/apps/")) || (q->route && q->route->auth != UNSIGNED);
    if (q->kind != HTTP_MAIN || str_eq(q->head.method, S("OPTIONS")))
        return NULL;
    *hops_out = is_api ? set->api_trust_hops : set->connect_trust_hops;
    if (is_api)
        return n->api_limiter;
    return is_upgrade(q) && str_eq(q->head.method, S("GET")) ? n->connect_limiter : NULL;
}

static void warn_of_proxy(const struct request *q)
{
    static _Atomic int64_t next_s;
    int64_t now = q->worker->loop.now_ms / 1000, due = atomic_load(&next_s);
    if (now < due || !http1_header_get(&q->head, S("x-forwarded-for")).p)
        return;
    if (atomic_compare_exchange_strong(&next_s, &due, now + WARN_EVERY_S))
        log_warn("api", "requests carry X-Forwarded-For, but trust_hops is 0: the limits per "
                        "address count the proxy");
}

static struct client_address client_of(struct request *q, uint32_t hops)
{
    struct client_address a;
    if (hops == 0)
        warn_of_proxy(q);
    if (hops == 0 || !forwarded_client(&q->head, hops, &a))
        a = *limit_peer(q);
    client_mask(&a, q->worker->settings->ipv6_prefix);
    return a;
}

static void measure(const struct request *q)
{
    struct metrics_app *m = metrics_app(S("global"));
    unsigned type = is_upgrade(q) ? label_limiter_type_WEBSOCKET : label_limiter_type_API;
    METRICS_APP(m, rate_limit_checks[type], 1);
    if (!q->rate.is_allowed && !q->rate.is_unavailable)
        METRICS_APP(m, rate_limit_triggered[type], 1);
}

static void judge(struct request *q)
{
    measure(q);
    if (q->rate.is_allowed)
        return;
    if (q->rate.is_unavailable) {
        q->is_counted = false;
        answer_error(q, 503, "service_unavailable", "Rate limiter unavailable");
        return;
    }
    answer(q, 429, S("application/json"),
           S("{\"error\":\"Too Many Requests\","
             "\"message\":\"Rate limit exceeded. Please try again later.\","
             "\"code\":\"rate_limited\",\"status\":429}"),
           S(""));
}

static void counted_later(struct handle asker, const struct rate_answer *a)
{
    struct request *q = request_find(asker);
    if (!q)
        return;
    q->rate = *a;
    judge(q);
    q->go_on(q);
}

void limit_head(struct request *q, void (*go_on)(struct request *q))
{
    uint32_t hops;
    uint8_t bytes[CLIENT_KEY_BYTES];
    struct rate_limiter *r = limiter_of(q, &hops);
    if (!r)
        return;
    struct client_address client = client_of(q, hops);
    q->is_counted = true;
    q->go_on = go_on;
    if (rate_limiter_count(r, request_asker(q), client_key(&client, bytes), &q->rate,
                           counted_later) == DONE)
        judge(q);
    else
        q->is_waiting = true;
}

void limit_fields(const struct request *q, int status, struct buf *out)
{
    const struct rate_answer *r = &q->rate;
    if (!q->is_counted || (status != 429 && is_upgrade(q)))
        return;
    buf_add(out, S("X-RateLimit-Limit: "));
    buf_u64(out, r->limit);
    buf_add(out, S("\r\nX-RateLimit-Remaining: "));
    buf_u64(out, r->remaining);
    buf_add(out, S("\r\nX-RateLimit-Reset: "));
    buf_u64(out, r->reset_s);
    buf_add(out, S("\r\n"));
    if (status != 429)
        return;
    buf_add(out, S("Retry-After: "));
    buf_u64(out, r->reset_s ? r->reset_s : 1);
    buf_add(out, S("\r\n"));
}
