/* support/rate_scripted.c - see the header. */
#include "support/rate_scripted.h"

#include "rate_limiter/driver.h"

enum { WAITING_MAX = 16 };
struct scripted {
    struct rate_limiter base;
    struct rate_call *waiting[WAITING_MAX];
    size_t count;
    char key[RATE_KEY_MAX];
    size_t key_n;
};

static bool scripted_open(struct rate_limiter *r, const struct rate_limiter_options *opt,
                          struct err *e)
{
    (void)r, (void)opt, (void)e;
    return true;
}

static void scripted_close(struct rate_limiter *r)
{
    (void)r;
}

static enum when scripted_count(struct rate_limiter *r, struct rate_answer *out,
                                const struct rate_call *call)
{
    struct scripted *s = (struct scripted *)r;
    (void)out;
    CHECK(s->count < WAITING_MAX);
    memcpy(s->key, call->key, call->key_n);
    s->key_n = call->key_n;
    s->waiting[s->count++] = rate_call_keep(call);
    return LATER;
}

bool rate_scripted_release(struct rate_limiter *r, const struct rate_answer *a)
{
    struct scripted *s = (struct scripted *)r;
    if (s->count == 0)
        return false;
    struct rate_call *call = s->waiting[0];
    s->count--;
    memmove(s->waiting, s->waiting + 1, s->count * sizeof(s->waiting[0]));
    rate_call_answer(call, a);
    return true;
}

str rate_scripted_key(const struct rate_limiter *r)
{
    const struct scripted *s = (const struct scripted *)r;
    return str_of(s->key, s->key_n);
}

const struct rate_limiter_driver rate_scripted = {
    .name = "scripted",
    .size = sizeof(struct scripted),
    .open = scripted_open,
    .close = scripted_close,
    .count = scripted_count,
};
