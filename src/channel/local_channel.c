#include "channel/local_channel.h"

#include <stdlib.h>
#include <time.h>

struct local_channel *local_channel_create(struct record *r)
{
    struct local_channel *c = mem_zero(sizeof *c);
    c->record = r;
    return c;
}

static void list_finish(struct local_list *l)
{
    if (l->v != &l->lone)
        free(l->v);
}

void local_channel_destroy(struct local_channel *c)
{
    CHECK(local_channel_is_empty(c));
    list_finish(&c->subscribers);
    if (c->watchers)
        list_finish(c->watchers);
    free(c->watchers);
    free(c);
}

bool local_channel_is_empty(const struct local_channel *c)
{
    return c->subscribers.n == 0 && c->reserved == 0 && (!c->watchers || c->watchers->n == 0);
}

static struct local_subscriber *list_push(struct local_list *l)
{
    if (l->cap == 0) {
        l->v = &l->lone;
        l->cap = 1;
    } else if (l->n == l->cap) {
        struct local_subscriber *old = l->v == &l->lone ? NULL : l->v;
        struct local_subscriber *v = mem_resize(old, l->cap * 2 * sizeof *v);
        if (!old)
            v[0] = l->lone;
        l->v = v;
        l->cap *= 2;
    }
    return &l->v[l->n++];
}

struct subscription *local_channel_add(struct local_channel *c, struct subscriber *who,
                                       bool watches, uint64_t joined_seq, uint64_t events_seq)
{
    if (watches && !c->watchers)
        c->watchers = mem_zero(sizeof *c->watchers);
    struct local_list *l = watches ? c->watchers : &c->subscribers;
    struct subscription *s = subscriber_add(who);
    s->channel = c;
    s->watches = watches;
    s->index = l->n;
    *list_push(l) = (struct local_subscriber){who, joined_seq, events_seq, who->count - 1};
    if (joined_seq > l->max_joined_seq)
        l->max_joined_seq = joined_seq;
    return s;
}

void local_channel_remove(struct subscriber *who, uint32_t at)
{
    struct subscription gone = who->list[at];
    struct local_list *l = gone.watches ? gone.channel->watchers : &gone.channel->subscribers;
    struct local_subscriber *last = &l->v[--l->n];
    if (gone.index != l->n) {
        l->v[gone.index] = *last;
        last->who->list[last->back].index = gone.index;
    }
    who->count--;
    if (at != who->count) {
        who->list[at] = who->list[who->count];
        struct subscription *moved = &who->list[at];
        struct local_list *ml =
            moved->watches ? moved->channel->watchers : &moved->channel->subscribers;
        ml->v[moved->index].back = at;
    }
}

void local_channel_hold(struct local_channel *c, struct local_hold *h, uint64_t reserved_seq)
{
    *h = (struct local_hold){.next = c->holds, .back = &c->holds, .reserved_seq = reserved_seq};
    if (h->next)
        h->next->back = &h->next;
    c->holds = h;
}

void local_channel_release(struct local_hold *h)
{
    if (!h->back)
        return;
    *h->back = h->next;
    if (h->next)
        h->next->back = h->back;
    h->back = NULL;
    if (h->newest)
        message_unref(h->newest);
    h->newest = NULL;
}

static void holds_keep(struct local_channel *c, struct message *m, uint64_t seq)
{
    for (struct local_hold *h = c->holds; h; h = h->next) {
        if (seq <= h->reserved_seq)
            continue;
        if (h->newest)
            message_unref(h->newest);
        h->newest = message_ref(m);
    }
}

/* The excluded socket, if it is a live connection of this worker. */
static struct subscriber *excluded(struct local_list *l, uint16_t worker, const struct message *m)
{
    if (!m->exclude.set || m->exclude.worker != worker || l->n == 0)
        return NULL;
    struct stream *s = stream_at(l->v[0].who->stream.pool, m->exclude.slot);
    if (!s || s->user != l->v[0].who->stream.user)
        return NULL; /* the slot is somebody's HTTP connection now */
    struct subscriber *who = (struct subscriber *)s;
    return who->number == m->exclude.number ? who : NULL;
}

static void count_queued(const struct local_channel *c, uint64_t frames, uint32_t payload)
{
    if (frames == 0)
        return;
    METRICS_APP(c->metrics, ws_messages_sent[0], frames);
    METRICS_APP(c->metrics, socket_transmitted_bytes[0], frames * payload);
}

/* The last worker that has queued a message knows how many it reached and how long it took. */
static void count_delivered(struct local_channel *c, struct message *m, uint32_t queued,
                            uint32_t payload, uint64_t dropped)
{
    count_queued(c, queued, payload);
    if (dropped)
        METRICS_APP(c->metrics, messages_dropped[label_message_reason_SLOW_CONSUMER], dropped);
    if (m->received_ns == 0)
        return;
    uint32_t all = atomic_fetch_add(&m->recipients, queued) + queued;
    if (atomic_fetch_sub(&m->workers, 1) != 1 || all == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double ms = (double)((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - m->received_ns) / 1e6;
    unsigned bucket = all <= 10 ? 0 : all <= 100 ? 1 : all <= 1000 ? 2 : all <= 10000 ? 3 : 4;
    metrics_sample(&metrics_share(c->metrics)
                        ->broadcast_latency[c->label * label_recipient_count_bucket_COUNT + bucket],
                   ms);
}

void local_channel_deliver(struct local_channel *c, uint16_t worker, struct message *m,
                           uint64_t seq)
{
    struct local_list *l = &c->subscribers;
    if (c->holds && (m->flags & MESSAGE_HTTP))
        holds_keep(c, m, seq);
    if (l->n == 0) {
        count_delivered(c, m, 0, 0, 0);
        return;
    }
    const struct subscriber *skip = excluded(l, worker, m);
    struct stream_pool *pool = l->v[0].who->stream.pool;
    uint64_t dropped = pool->dropped;
    bool compare = seq <= l->max_joined_seq, is_event = !(m->flags & MESSAGE_SYSTEM);
    struct frame *plain = NULL, *deflated = NULL;
    uint32_t queued = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct local_subscriber *at = &l->v[i];
        if (i + 4 < l->n)
            __builtin_prefetch(l->v[i + 4].who);
        if (at->who == skip || (compare && seq <= (is_event ? at->events_seq : at->joined_seq)))
            continue;
        struct frame **f = at->who->stream.deflate ? &deflated : &plain;
        if (!*f)
            *f = message_frame(m, f == &deflated);
        stream_send(&at->who->stream, *f);
        queued++;
    }
    dropped = pool->dropped - dropped;
    count_delivered(c, m, queued - (uint32_t)dropped,
                    plain      ? plain->payload
                    : deflated ? deflated->payload
                               : 0,
                    dropped);
}

void local_channel_tell_watchers(struct local_channel *c, struct frame *f, uint64_t seq)
{
    struct local_list *l = c->watchers;
    if (!l || l->n == 0)
        return;
    const struct stream_pool *pool = l->v[0].who->stream.pool;
    uint64_t dropped = pool->dropped, sent = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (seq > l->v[i].joined_seq) {
            stream_send(&l->v[i].who->stream, f);
            sent++;
        }
    count_queued(c, sent - (pool->dropped - dropped), f->payload);
}
