#include "webhook/recent.h"

#include "base/hash.h"

bool recent_admit(struct recent *r, str app, str channel, int64_t now_ms)
{
    uint64_t hash = hash_two(app, channel);
    int oldest = 0;
    for (int i = 0; i < RECENT_WAYS; i++) {
        if (r->v[hash % RECENT_SETS][i].hash == hash &&
            r->v[hash % RECENT_SETS][i].until_ms > now_ms)
            return false;
        if (r->v[hash % RECENT_SETS][i].until_ms < r->v[hash % RECENT_SETS][oldest].until_ms)
            oldest = i;
    }
    r->v[hash % RECENT_SETS][oldest].hash = hash;
    r->v[hash % RECENT_SETS][oldest].until_ms = now_ms + RECENT_MS;
    return true;
}
