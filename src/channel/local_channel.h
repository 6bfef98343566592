/* channel/local_channel.h - a worker's part of a channel: the dense array that fan-out walks.
 *
 * Nature   the worker's thread only; the record points to it, posts carry the pointer. It is freed
 *          when the worker reads the marker that it posted itself under the lock when it took its
 *          entry out of the record: every post that holds the pointer is in front of that marker
 *          (design §4). It is never revived
 */
#ifndef CHANNEL_LOCAL_CHANNEL_H
#define CHANNEL_LOCAL_CHANNEL_H

#include "channel/message.h"
#include "channel/subscriber.h"
#include "metrics/metrics.h"

struct record;

struct local_subscriber { /* the channel's end of a subscription */
    struct subscriber *who;
    uint64_t joined_seq; /* announcements up to this were before the subscription */
    uint64_t events_seq; /* events up to this: the same, or less if a fetched event was held */
    uint32_t back;       /* place in who->list */
};
struct local_list {
    struct local_subscriber *v;
    uint32_t n, cap;
    struct local_subscriber lone;
    uint64_t max_joined_seq;
};
/* A reservation whose cached event is still being fetched: keeps the newest HTTP event. */
struct local_hold {
    struct local_hold *next, **back;
    uint64_t reserved_seq;
    struct message *newest; /* NULL: none came by */
};
struct local_channel {
    struct record *record; /* valid while the record holds our entry; NULL afterwards */
    struct local_list subscribers;
    struct local_list *watchers; /* hidden user channels only: online and offline */
    struct local_hold *holds;
    struct metrics_app *metrics; /* of this worker and the channel's app */
    enum label_channel_type label;
    uint32_t reserved; /* reservations and subscriptions on the way */
};

struct local_channel *local_channel_create(struct record *r);
/* Of an empty one: nobody is in it and nobody on the way. */
void local_channel_destroy(struct local_channel *c);
bool local_channel_is_empty(const struct local_channel *c);

/* Puts `who` into subscribers or watchers, and a subscription into his list. */
struct subscription *local_channel_add(struct local_channel *c, struct subscriber *who,
                                       bool watches, uint64_t joined_seq, uint64_t events_seq);
/* Takes his subscription out of both lists (swap-remove). */
void local_channel_remove(struct subscriber *who, uint32_t at);

/* From here on *h, which must not move, keeps the newest HTTP event above reserved_seq. */
void local_channel_hold(struct local_channel *c, struct local_hold *h, uint64_t reserved_seq);
/* Ends it and drops what it kept; one that was never begun, or has ended, is fine. */
void local_channel_release(struct local_hold *h);

/* Marks every subscriber who is not excluded and joined before `seq`. Nobody is closed here. */
void local_channel_deliver(struct local_channel *c, uint16_t worker, struct message *m,
                           uint64_t seq);
/* The same for watchers. */
void local_channel_tell_watchers(struct local_channel *c, struct frame *f, uint64_t seq);

#endif
