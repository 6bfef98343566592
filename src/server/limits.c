#include "server/limits.h"

#include <sys/resource.h>

#include "api/headless.h"
#include "base/limits.h"
#include "base/log.h"
#include "rate_limiter/rate_limiter.h"

static struct rate_limit limit_of(const struct config_rate *r)
{
    uint64_t max_s = RATE_WINDOW_MAX_MS / 1000;
    return (struct rate_limit){
        .max_requests = r->max_requests,
        .window_ms = (int64_t)(r->window_s < max_s ? r->window_s : max_s) * 1000,
    };
}

static void say(const struct config_rate *r, const char *what)
{
    log_info("server", "limit per client address: %u %s in %llu s", r->max_requests, what,
             (unsigned long long)r->window_s);
}

static void say_all(const struct config *c)
{
    say(&c->rate_limiter.api, "API requests");
    say(&c->rate_limiter.websocket, "WebSocket connects");
}

static struct rate_limiter *open_one(const struct config *c, const struct config_rate *r, str name,
                                     struct err *e)
{
    struct rate_limiter_options opt = {
        .driver = c->rate_limiter.driver,
        .name = name,
        .limit = limit_of(r),
        .fail_closed = c->rate_limiter.fail_closed,
    };
    return rate_limiter_create(&opt, e);
}

bool limits_open(struct node *n, const struct config *c, struct err *e)
{
    struct rlimit r;
    uint64_t max = getrlimit(RLIMIT_NOFILE, &r) < 0 ? 256 : r.rlim_cur / HEADLESS_OF_DESCRIPTORS;
    n->headless = headless_create(max > UINT32_MAX ? UINT32_MAX : (uint32_t)max);
    if (!c->rate_limiter.enabled) {
        log_info("server", "no limits per client address: rate_limiter.enabled is false");
        return true;
    }
    n->api_limiter = open_one(c, &c->rate_limiter.api, S("http"), e);
    if (n->api_limiter)
        n->connect_limiter = open_one(c, &c->rate_limiter.websocket, S("ws"), e);
    if (!n->connect_limiter)
        return false;
    say_all(c);
    return true;
}

static bool is_same(const struct config_rate *a, const struct config_rate *b)
{
    return a->max_requests == b->max_requests && a->window_s == b->window_s;
}

void limits_change(struct node *n, const struct config *old, const struct config *c)
{
    if (!n->api_limiter || (is_same(&old->rate_limiter.api, &c->rate_limiter.api) &&
                            is_same(&old->rate_limiter.websocket, &c->rate_limiter.websocket)))
        return;
    rate_limiter_change(n->api_limiter, limit_of(&c->rate_limiter.api));
    rate_limiter_change(n->connect_limiter, limit_of(&c->rate_limiter.websocket));
    say_all(c);
}

void limits_close(struct node *n)
{
    rate_limiter_destroy(&n->api_limiter);
    rate_limiter_destroy(&n->connect_limiter);
    headless_destroy(&n->headless);
}
