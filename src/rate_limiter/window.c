/* rate_limiter/window.c - the arithmetic of a sliding window made of two fixed ones.
 *
 * At e ms of the current window of w ms the one before still weighs before * (w - 1 - e) / w,
 * rounded down: whoever has used up his limit at once waits for one window, not longer.
 * Source: http-api.md §12.1; drivers.md §9.12
 */
#include "rate_limiter/driver.h"

/* No overflow: counts are below 2^32, windows below 2^30. */
static uint64_t weight(const struct rate_window *w, uint64_t window_ms, uint64_t elapsed_ms)
{
    return w->before * (window_ms - 1 - elapsed_ms) / window_ms;
}

/* Moves to the window that now_ms lies in. A clock that went back stays in the current one. */
static void move(struct rate_window *w, int64_t window_ms, int64_t now_ms)
{
    if (w->start_ms != 0 && now_ms < w->start_ms + window_ms)
        return;
    bool is_next = w->start_ms != 0 && now_ms < w->start_ms + 2 * window_ms;
    w->before = is_next ? w->now : 0;
    w->start_ms = is_next ? w->start_ms + window_ms : now_ms;
    w->now = 0;
}

/* The first ms, from elapsed_ms on, at which `before` leaves room for one more than `now`. */
static uint64_t room_at(uint64_t before, uint64_t now, uint64_t max, uint64_t window_ms,
                        uint64_t elapsed_ms)
{
    uint64_t room = max - now; /* above 0 */
    if (before < room)
        return elapsed_ms;
    uint64_t at = window_ms - (room * window_ms + before - 1) / before;
    return at > elapsed_ms ? at : elapsed_ms;
}

/* Until one more request would be admitted. */
static uint64_t wait_ms(const struct rate_window *w, uint64_t max, uint64_t window_ms,
                        uint64_t elapsed_ms)
{
    if (max == 0)
        return window_ms;
    if (w->now < max)
        return room_at(w->before, w->now, max, window_ms, elapsed_ms) - elapsed_ms;
    return window_ms - elapsed_ms + room_at(w->now, 0, max, window_ms, 0);
}

static uint32_t seconds_up(uint64_t ms)
{
    return (uint32_t)((ms + 999) / 1000);
}

void rate_window_count(struct rate_window *w, const struct rate_limit *limit, int64_t now_ms,
                       struct rate_answer *out)
{
    uint64_t max = limit->max_requests, window = (uint64_t)limit->window_ms;
    move(w, limit->window_ms, now_ms);
    uint64_t elapsed = now_ms > w->start_ms ? (uint64_t)(now_ms - w->start_ms) : 0;
    uint64_t used = weight(w, window, elapsed) + w->now;
    out->is_allowed = used < max;
    out->limit = limit->max_requests;
    if (out->is_allowed) {
        w->now++;
        used++;
    }
    out->remaining = used < max ? (uint32_t)(max - used) : 0;
    out->reset_s = seconds_up(out->remaining ? window - elapsed : wait_ms(w, max, window, elapsed));
}

bool rate_window_is_over(const struct rate_window *w, const struct rate_limit *limit,
                         int64_t now_ms)
{
    return now_ms >= w->start_ms + 2 * limit->window_ms;
}
