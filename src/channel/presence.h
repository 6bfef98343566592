/* channel/presence.h - who is in a presence channel: users in join order and their snapshot.
 *
 * Nature   under the partition's lock; a snapshot that was taken is read without it
 * Source   websocket-protocol.md §9.3
 *
 * The snapshot's texts are appended to, never changed: a reader holds the buffer and the length it
 * saw. A leave makes the next snapshot start new buffers, filled with the pieces of those before.
 */
#ifndef CHANNEL_PRESENCE_H
#define CHANNEL_PRESENCE_H

#include <stdatomic.h>

#include "base/base.h"

struct member {                 /* one user of one channel */
    struct member *next, *prev; /* join order */
    struct member *chain;       /* hash bucket */
    uint64_t hash;
    uint32_t subscriptions; /* of this user in this channel, all workers; 0: on lease */
    bool is_told;           /* webhooks know him: hooks_user_left may tell that he is gone */
    struct member *lease_next, *lease_prev;
    int64_t lease_ms;             /* when it ends */
    size_t piece_at;              /* his place in the `hash` that he was put into */
    uint32_t piece_n, id_piece_n; /* 0: in none yet; how much of it is his id */
    str user_id, user_info;       /* behind the struct; never change */
    char text[];
};
struct presence_text { /* counted, append-only */
    _Atomic uint32_t refs;
    size_t n, cap;
    char bytes[];
};
struct presence {
    struct member *first, *last;
    struct member **buckets;
    uint32_t bucket_count, count;
    struct member *leases, *last_lease; /* in the order they began */
    struct presence_text *ids;  /* NULL: somebody has left, or nobody has asked: build anew */
    struct presence_text *hash; /* then that of before, whose pieces are used again, or NULL */
};
/* What a joiner is told: two references and their lengths. */
struct snapshot {
    struct presence_text *ids, *hash;
    size_t ids_n, hash_n;
    uint32_t count;
};

struct presence *presence_create(void);
void presence_destroy(struct presence *p);
struct member *presence_find(const struct presence *p, str user_id);
/* Counts one more subscription of the user. *is_first: the user was not there. */
struct member *presence_join(struct presence *p, str user_id, str user_info, bool *is_first);
/* Counts one less. True: it was the last; *m is unlinked and the caller's to free(). */
NODISCARD bool presence_leave(struct presence *p, struct member *m);

/* His last subscription was lost without a farewell: he stays until then, unless he returns. */
void presence_lease(struct presence *p, struct member *m, int64_t until_ms);
/* The next member whose lease has ended, unlinked and the caller's to free(), or NULL. */
struct member *presence_lease_ended(struct presence *p, int64_t now_ms);

/* Who is there now. Linear in the members for the first after a leave, else two references. */
void snapshot_take(struct presence *p, struct snapshot *out);
/* Any thread; all zero is fine. */
void snapshot_release(struct snapshot *s);
static inline str snapshot_ids(const struct snapshot *s)
{
    return (str){s->ids->bytes, s->ids_n};
}
static inline str snapshot_hash(const struct snapshot *s)
{
    return (str){s->hash->bytes, s->hash_n};
}

#endif
