#include "io/alarm.h"

#include <stdlib.h>

void alarms_finish(struct alarms *h)
{
    free(h->v);
    *h = (struct alarms){0};
}

static void put(struct alarms *h, uint32_t at, struct alarm *a)
{
    h->v[at] = a;
    a->place = at;
}

static void rise(struct alarms *h, uint32_t at)
{
    struct alarm *a = h->v[at];
    for (; at > 1 && h->v[at / 2]->due_ms > a->due_ms; at /= 2)
        put(h, at, h->v[at / 2]);
    put(h, at, a);
}

static void sink(struct alarms *h, uint32_t at)
{
    struct alarm *a = h->v[at];
    for (uint32_t child; (child = 2 * at) <= h->n; at = child) {
        if (child < h->n && h->v[child + 1]->due_ms < h->v[child]->due_ms)
            child++;
        if (h->v[child]->due_ms >= a->due_ms)
            break;
        put(h, at, h->v[child]);
    }
    put(h, at, a);
}

void alarm_stop(struct alarms *h, struct alarm *a)
{
    uint32_t at = a->place;
    if (at == 0)
        return;
    struct alarm *last = h->v[h->n--];
    a->place = 0;
    if (last == a)
        return;
    put(h, at, last);
    rise(h, at);
    sink(h, last->place);
}

void alarm_set(struct alarms *h, struct alarm *a, int64_t due_ms)
{
    alarm_stop(h, a);
    if (h->n + 2 > h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->v = mem_resize(h->v, h->cap * sizeof(struct alarm *));
    }
    a->due_ms = due_ms;
    h->v[++h->n] = a;
    rise(h, h->n);
}

void alarms_run(struct alarms *h, int64_t now_ms)
{
    for (uint32_t left = h->n; left > 0 && h->n > 0 && h->v[1]->due_ms <= now_ms; left--) {
        struct alarm *a = h->v[1];
        alarm_stop(h, a);
        a->fn(a->ctx);
    }
}

int alarms_wait_ms(const struct alarms *h, int64_t now_ms, int max_ms)
{
    if (h->n == 0 || h->v[1]->due_ms - now_ms >= max_ms)
        return max_ms;
    return h->v[1]->due_ms > now_ms ? (int)(h->v[1]->due_ms - now_ms) : 0;
}
