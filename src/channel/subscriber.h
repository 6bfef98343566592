/* channel/subscriber.h - a connection as channels see it: a stream and its subscriptions.
 *
 * Nature   the worker's thread
 * Limits   lookups walk the list: 16 bytes an entry, at most 10,000 (security R11)
 */
#ifndef CHANNEL_SUBSCRIBER_H
#define CHANNEL_SUBSCRIBER_H

#include "io/stream.h"

struct local_channel;
struct member;

struct subscription { /* the connection's end */
    struct local_channel *channel;
    struct member *member; /* presence: whom we count for; else NULL */
    uint32_t index;        /* our place in the channel's array */
    bool watches;          /* in the array of watchers, not of subscribers */
    bool is_repeated;      /* has been asked for again (security R12) */
};
struct subscriber {
    struct stream stream;
    uint64_t number; /* first part of the socket_id before its permutation */
    struct subscription *list;
    uint32_t count, cap;
    struct subscription lone; /* the first subscription needs no allocation */
};

struct subscription *subscriber_find(struct subscriber *s, const struct local_channel *c,
                                     bool watches);
/* Appends; pointers into the list are void afterwards. */
struct subscription *subscriber_add(struct subscriber *s);
void subscriber_finish(struct subscriber *s);

#endif
