/* webhook/retry.h - when a failed delivery is tried again.
 *
 * Nature   pure
 * Source   webhooks.md §5
 */
#ifndef WEBHOOK_RETRY_H
#define WEBHOOK_RETRY_H

#include "webhook/webhook.h"

enum webhook_outcome { OUTCOME_DELIVERED, OUTCOME_RETRY, OUTCOME_PERMANENT };

struct retry_policy {
    bool enabled;
    uint32_t max_attempts; /* 0: no limit */
    int64_t max_elapsed_ms, initial_ms, max_ms;
};
/* The webhook's own numbers where it has some, else the global ones. */
struct retry_policy retry_policy_of(const struct webhook_options *opt, const struct app_webhook *h);
enum webhook_outcome webhook_outcome_of(int status);
/* How long to wait after `attempts` failures, elapsed_ms after the first began; -1: no more.
 * jitter: -1..1, how far to go of the ±20 %. retry_after_ms 0: none was named. */
int64_t retry_delay(const struct retry_policy *p, uint32_t attempts, int64_t elapsed_ms,
                    double jitter, int64_t retry_after_ms);

#endif
