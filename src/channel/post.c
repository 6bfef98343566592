/* channel/post.c - what a record sends to the workers that have subscribers of its channel. */
#include "channel/record.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "pusher/frames.h"
#include "wire/ws_encode.h"

enum { COUNT_SLOW_ABOVE = 100 };

static registry_close_fn *close_subscriber;

void registry_set_close(registry_close_fn *fn)
{
    close_subscriber = fn;
}

struct delivery { /* one worker's copy of a post */
    struct mail mail;
    struct local_channel *channel;
    uint64_t seq;
    uint16_t worker;
    int wire_error; /* close command */
    union {
        struct message *message;
        struct frame *frame;
    };
};

static void run_message(void *owner, struct mail *mail)
{
    struct delivery *d = (struct delivery *)mail;
    (void)owner;
    local_channel_deliver(d->channel, d->worker, d->message, d->seq);
    message_unref(d->message);
    free(d);
}

static void run_watch(void *owner, struct mail *mail)
{
    struct delivery *d = (struct delivery *)mail;
    (void)owner;
    local_channel_tell_watchers(d->channel, d->frame, d->seq);
    frame_unref(d->frame);
    free(d);
}

static void run_free(void *owner, struct mail *mail)
{
    struct delivery *d = (struct delivery *)mail;
    (void)owner;
    local_channel_destroy(d->channel);
    free(d);
}

/* A walk only marks; who is to be closed is closed after it, because leaving moves the array. */
static void run_close(void *owner, struct mail *mail)
{
    struct delivery *d = (struct delivery *)mail;
    (void)owner;
    uint32_t n = d->channel->subscribers.n, kept = 0;
    struct subscriber **who = mem_alloc(n * sizeof *who);
    for (uint32_t i = 0; i < n; i++)
        if (d->seq > d->channel->subscribers.v[i].joined_seq)
            who[kept++] = d->channel->subscribers.v[i].who;
    for (uint32_t i = 0; i < kept; i++)
        close_subscriber(who[i], d->wire_error);
    free(who);
    free(d);
}

static struct delivery *delivery(struct record *rec, uint16_t worker, mail_fn *run, size_t weight)
{
    struct delivery *d = mem_alloc(sizeof *d);
    *d = (struct delivery){
        .mail = {.run = run, .bytes = (uint32_t)(sizeof *d + weight)},
        .channel = rec->local[worker].channel,
        .seq = rec->seq,
        .worker = worker,
    };
    return d;
}

void post_message(struct registry *r, struct loop *from, struct record *rec, struct message *m)
{
    uint32_t posts = 0;
    rec->seq++;
    for (uint16_t i = 0; i < r->workers; i++)
        posts += rec->local[i].channel != NULL;
    atomic_store_explicit(&m->workers, posts, memory_order_relaxed); /* before the first post */
    for (uint16_t i = 0; i < r->workers; i++) {
        if (!rec->local[i].channel)
            continue;
        struct delivery *d = delivery(rec, i, run_message, message_weight(m));
        d->message = message_ref(m);
        loop_post(from, r->loops[i], &d->mail);
    }
}

/* An announcement of the server's own: takes over the text in `data`, a JSON string literal. */
static void announce(struct registry *r, struct loop *from, struct record *rec, str event,
                     struct buf *inner)
{
    struct buf literal;
    buf_init(&literal, SIZE_MAX);
    json_add_string(&literal, buf_str(inner));
    struct message *m = message_create(record_app(rec), record_name(rec), event, buf_str(&literal),
                                       S(""), MESSAGE_SYSTEM);
    post_message(r, from, rec, m);
    message_unref(m);
    buf_finish(&literal);
    buf_finish(inner);
}

void post_member(struct registry *r, struct loop *from, struct record *rec, const struct member *m,
                 bool added)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"user_id\":"));
    json_add_string(&b, m->user_id);
    if (added) {
        buf_add(&b, S(",\"user_info\":"));
        buf_add(&b, m->user_info);
    }
    buf_char(&b, '}');
    announce(r, from, rec,
             added ? S("pusher_internal:member_added") : S("pusher_internal:member_removed"), &b);
}

void post_watch_now(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    struct buf id, json;
    bool online = rec->subscriptions > 0;
    rec->told = online;
    rec->told_ms = now_ms;
    rec->seq++;
    if (rec->watchers == 0)
        return;
    buf_init(&id, SIZE_MAX);
    buf_init(&json, SIZE_MAX);
    json_add_string(&id, str_from(record_name(rec), 1));
    frame_watchlist(&json, online ? buf_str(&id) : S(""), online ? S("") : buf_str(&id));
    struct frame *f = ws_text_frame(buf_str(&json), false);
    for (uint16_t i = 0; i < r->workers; i++) {
        if (!rec->local[i].channel)
            continue;
        struct delivery *d = delivery(rec, i, run_watch, f->n);
        d->frame = frame_ref(f);
        loop_post(from, r->loops[i], &d->mail);
    }
    frame_unref(f);
    buf_finish(&id);
    buf_finish(&json);
}

/* Source: security.md R13: at once, then one a second, the last state wins. */
void post_watch(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    if (rec->is_due)
        return;
    if (rec->watchers && rec->told_ms && now_ms - rec->told_ms < WATCH_SLOW_MS) {
        rec->is_due = true;
        record_look_later(r, rec, rec->told_ms + WATCH_SLOW_MS);
    } else {
        post_watch_now(r, from, rec, now_ms);
    }
}

void post_count_now(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    struct buf b;
    rec->told = rec->subscriptions;
    rec->told_ms = now_ms;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "{\"subscription_count\":%u}", rec->subscriptions);
    announce(r, from, rec, S("pusher_internal:subscription_count"), &b);
}

/* Source: websocket-protocol.md §15: above 100 subscribers at most every 5 s. */
void post_count(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    if (rec->hidden || rec->kind.base == CHANNEL_PRESENCE || rec->kind.base == CHANNEL_ENCRYPTED ||
        rec->kind.base == CHANNEL_USER || rec->subscriptions == 0 || rec->is_due)
        return;
    if (rec->subscriptions > COUNT_SLOW_ABOVE && rec->told_ms &&
        now_ms - rec->told_ms < POST_COUNT_SLOW_MS) {
        rec->is_due = true;
        record_look_later(r, rec, rec->told_ms + POST_COUNT_SLOW_MS);
    } else {
        post_count_now(r, from, rec, now_ms);
    }
}

void post_close(struct registry *r, struct loop *from, struct record *rec, int wire_error)
{
    rec->seq++;
    for (uint16_t i = 0; i < r->workers; i++) {
        if (!rec->local[i].channel)
            continue;
        struct delivery *d = delivery(rec, i, run_close, 0);
        d->wire_error = wire_error;
        loop_post(from, r->loops[i], &d->mail);
    }
}

void post_free(struct registry *r, struct record *rec, uint16_t worker)
{
    struct delivery *d = delivery(rec, worker, run_free, 0);
    rec->local[worker].channel = NULL;
    d->channel->record = NULL;
    loop_post(r->loops[worker], r->loops[worker], &d->mail);
}
