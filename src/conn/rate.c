#include "conn/rate.h"

bool rate_take(struct rate_window *r, int64_t now_ms, uint32_t max, uint32_t window_s)
{
    if (max == 0)
        return true;
    if (r->count == 0 || now_ms - r->begin_ms >= (int64_t)window_s * 1000) {
        r->begin_ms = now_ms;
        r->count = 0;
    }
    if (r->count >= max)
        return false;
    r->count++;
    return true;
}
