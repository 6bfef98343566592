/* webhook/recent.h - at most one cache_miss per (app, channel) and second.
 *
 * Nature   one thread; time is passed in
 * Limits   RECENT_SETS * RECENT_WAYS pairs; beyond that one too many is let through rather than
 *          one too few
 * Source   webhooks.md §1.4
 */
#ifndef WEBHOOK_RECENT_H
#define WEBHOOK_RECENT_H

#include "base/base.h"

enum { RECENT_SETS = 1024, RECENT_WAYS = 4, RECENT_MS = 1000 };

struct recent {
    struct {
        uint64_t hash;
        int64_t until_ms; /* 0: free */
    } v[RECENT_SETS][RECENT_WAYS];
};

/* False: there was one less than a second ago. */
bool recent_admit(struct recent *r, str app, str channel, int64_t now_ms);

#endif
