#include "webhook/retry.h"

static const int64_t ceiling_ms = (int64_t)366 * 24 * 3600 * 1000;
static const double jitter_share = 0.2;

/* Without any wait a dead endpoint would be asked without end: 0 is the default there. */
enum { INITIAL_DEFAULT_MS = 1000, MAX_DEFAULT_MS = 60000 };

static int64_t own_or(uint64_t own, uint64_t global, uint64_t otherwise)
{
    uint64_t v = own > 0 ? own : global > 0 ? global : otherwise;
    return v < (uint64_t)ceiling_ms ? (int64_t)v : ceiling_ms;
}

struct retry_policy retry_policy_of(const struct webhook_options *opt, const struct app_webhook *h)
{
    return (struct retry_policy){
        .enabled = h->retry.is_set ? h->retry.enabled : opt->retry.enabled,
        .max_attempts = h->retry.max_attempts ? h->retry.max_attempts : opt->retry.max_attempts,
        .max_elapsed_ms = own_or(h->retry.max_elapsed_time_ms, opt->retry.max_elapsed_ms, 0),
        .initial_ms =
            own_or(h->retry.initial_backoff_ms, opt->retry.initial_backoff_ms, INITIAL_DEFAULT_MS),
        .max_ms = own_or(h->retry.max_backoff_ms, opt->retry.max_backoff_ms, MAX_DEFAULT_MS)};
}

enum webhook_outcome webhook_outcome_of(int status)
{
    if (status >= 200 && status < 300)
        return OUTCOME_DELIVERED;
    return status >= 500 || status == 408 || status == 409 || status == 425 || status == 429
               ? OUTCOME_RETRY
               : OUTCOME_PERMANENT;
}

int64_t retry_delay(const struct retry_policy *p, uint32_t attempts, int64_t elapsed_ms,
                    double jitter, int64_t retry_after_ms)
{
    int64_t delay = p->initial_ms;
    if (!p->enabled || (p->max_attempts > 0 && attempts >= p->max_attempts))
        return -1;
    for (uint32_t i = 1; i < attempts && delay < p->max_ms; i++)
        delay *= 2;
    if (delay > p->max_ms)
        delay = p->max_ms;
    delay += (int64_t)((double)delay * jitter_share * jitter);
    if (retry_after_ms > delay && elapsed_ms + retry_after_ms <= p->max_elapsed_ms)
        delay = retry_after_ms;
    return elapsed_ms + delay <= p->max_elapsed_ms ? delay : -1;
}
