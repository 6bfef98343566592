/* support/loop_owners.c - see the header. */
#include "support/loop_owners.h"

#include "io/stream.h"

static void no_event(void *ctx, uint64_t key, uint32_t events)
{
    (void)ctx, (void)key, (void)events;
}

static bool no_more(void *ctx)
{
    (void)ctx;
    return false;
}

static void no_timer(void *ctx, struct timer *t)
{
    (void)ctx, (void)t;
}

const struct loop_owner idle_owner = {no_event, no_more, no_timer, no_more};

static void pool_ready(void *ctx, uint64_t key, uint32_t events)
{
    stream_ready(ctx, key, events);
}

static bool pool_again(void *ctx)
{
    return stream_pool_again(ctx);
}

static void pool_timer(void *ctx, struct timer *t)
{
    (void)ctx;
    stream_timer(stream_of_timer(t));
}

static bool pool_flush(void *ctx)
{
    return stream_pool_flush(ctx);
}

const struct loop_owner pool_owner = {pool_ready, pool_again, pool_timer, pool_flush};
