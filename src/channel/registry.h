/* channel/registry.h - all channels of this node: one record each, under 1,024 partition locks.
 *
 * The lock of a partition is the sequencer of its channels (design §4): whoever changes or uses a
 * record takes it, changes it, gives every post the channel's next seq and posts to the mailboxes
 * of the workers with subscribers, its own included, before it unlocks.
 *
 * Nature   any thread; nothing blocks but the partition's lock, under which no I/O and no callback
 *          runs, and never two of them. A leaf lock may be taken inside: the memory cache's
 * Limits   REGISTRY_PARTITIONS; names are checked by the callers
 * Source   design §4; websocket-protocol.md §9, §10, §14, §15, §17
 */
#ifndef CHANNEL_REGISTRY_H
#define CHANNEL_REGISTRY_H

#include <pthread.h>

#include "adapter/adapter.h"
#include "app/app_table.h"
#include "cache/cache.h"
#include "channel/channel_event.h"
#include "channel/deadline.h"
#include "channel/hooks.h"
#include "channel/local_channel.h"
#include "channel/presence.h"
#include "pusher/channel_name.h"

enum { REGISTRY_PARTITIONS = 1024, REGISTRY_WORKERS_MAX = 256 };

struct remote_part; /* another node's part; none with the local adapter */

struct local_part {                /* what one worker has of a channel */
    struct local_channel *channel; /* owned by the worker; NULL: none */
};
struct record {
    struct record *next;
    uint64_t hash;
    uint64_t seq;                /* of the last post */
    struct presence *presence;   /* presence channels with members */
    struct remote_part *remotes; /* room for other nodes */
    uint32_t subscriptions;      /* activated ones, all workers */
    uint32_t watchers;
    uint32_t told;       /* subscription_count last posted; of a hidden one: 1 online, 0 offline */
    int64_t told_ms;     /* when; 0 never */
    bool is_due;         /* a deadline is set to tell it */
    struct hooks *hooks; /* NULL: no webhook is wanted */
    uint16_t partition;
    struct channel_kind kind;
    bool hidden; /* a signed-in user: no listing, no count */
    uint32_t app_n, name_n;
    struct local_part *local; /* [workers], behind the text */
    char text[];
};
struct partition {
    pthread_mutex_t lock;
    struct record **buckets;
    uint32_t bucket_count, count;
    uint64_t version; /* of the last change that other nodes must hear of */
};
struct registry {
    uint16_t workers;
    uint64_t seed;
    struct loop **loops; /* [workers], borrowed */
    struct adapter *adapter;
    struct cache *cache;
    int64_t cache_ttl_ms;
    struct partition parts[REGISTRY_PARTITIONS];
    struct deadlines deadlines;
    channel_tell_fn *tell; /* NULL: nobody wants to hear */
    void *tell_ctx;
    _Atomic int64_t lease_ms; /* presence.ungraceful_timeout_seconds; 0: none */
};

/* loops[i] is worker i's; adapter and cache answer DONE or LATER. Borrowed until the destroy. */
struct registry *registry_create(uint16_t workers, struct loop **loops, struct adapter *adapter,
                                 struct cache *cache, int64_t cache_ttl_ms);
void registry_destroy(struct registry **r);
/* Who hears of what webhooks tell; before the first subscription, and NULL when no thread runs. */
void registry_set_teller(struct registry *r, channel_tell_fn *tell, void *ctx);
/* How long a member stays whose connection was lost without a farewell. */
void registry_set_lease(struct registry *r, int64_t lease_ms);

/* ---- the three steps of a subscription; on the subscriber's worker ---- */

/* Reserve: publishes of this node reach the worker from here on. */
struct reservation {
    bool hidden;         /* a signed-in user's channel */
    struct handle asker; /* who hears of it, if the adapter confirms later */
    adapter_fn *cb;
    /* results */
    enum when when;        /* DONE: those of all nodes reach it */
    uint64_t reserved_seq; /* what was posted before */
};
struct local_channel *registry_reserve(struct registry *r, uint16_t worker, str app, str name,
                                       struct reservation *reservation);
/* Undoes a reservation that will not be activated. */
void registry_unreserve(struct registry *r, uint16_t worker, struct local_channel *c);

struct join {
    struct subscriber *who;
    bool watches;                /* as a watcher of a hidden user channel */
    str user_id, user_info;      /* presence */
    uint32_t max_members;        /* 0: none */
    const struct app_entry *app; /* counters, webhooks, whether to post subscription_count */
    int64_t now_ms;
    uint64_t held_seq; /* a fetched event was held since: live events count from here; else max */
    /* results */
    bool is_full; /* presence limit: nothing was done, the reservation is gone */
    uint64_t joined_seq;
    bool is_occupied;         /* watchers: the user is online */
    struct snapshot snapshot; /* presence; release it */
};
/* Activate: inserts, counts, announces, all in one hold of the lock. *cached (all zero before) is
 * filled, with memory of `a`, if the kind has a cached event and the cache answers at once.
 * False: join->is_full. */
NODISCARD bool registry_activate(struct registry *r, uint16_t worker, struct local_channel *c,
                                 struct join *join, arena *a, struct cache_answer *cached);
/* A repeated subscribe: a fresh snapshot, the cached event, and `marker` posted to ourselves,
 * which is read when all that the snapshot covers has been delivered. */
void registry_look_again(struct registry *r, uint16_t worker, struct local_channel *c,
                         struct snapshot *snapshot, arena *a, struct cache_answer *cached,
                         struct mail *marker);
/* Takes subscription `at` of who->list out again: leaves, announces. Works for watchers too.
 * abrupt: the connection was lost without a farewell. */
struct leave {
    const struct app_entry *app;
    int64_t now_ms;
    bool abrupt;
};
void registry_leave(struct registry *r, uint16_t worker, struct subscriber *who, uint32_t at,
                    const struct leave *leave);

/* This worker's part of a channel, NULL if it has none. Valid in this turn only. */
struct local_channel *registry_local(struct registry *r, uint16_t worker, str app, str name);
/* The channel's seq now. */
uint64_t registry_seq(struct registry *r, struct local_channel *c);

/* ---- posts; from: the loop of the caller, NULL outside ---- */

/* Some worker with subscribers of the channel is over its soft limit (design §5). */
bool registry_is_full(struct registry *r, str app, str name);
/* Delivers to all subscribers; stores the cached event if m says MESSAGE_HTTP and the kind has
 * one. Takes the reference. */
void registry_publish(struct registry *r, struct loop *from, struct message *m);
/* To each socket signed in as the user: close with this wire error. */
void registry_close_user(struct registry *r, struct loop *from, str app, str user_id,
                         int wire_error);
/* What the receiving worker does with a socket that is to be closed. */
typedef void registry_close_fn(struct subscriber *who, int wire_error);
void registry_set_close(registry_close_fn *fn);
/* Whatever is to be told later: counts, online and offline, members and channels that ended. On
 * the service thread, about each DEADLINE_SLOT_MS; with INT64_MAX for all of it at the end. */
void registry_tick(struct registry *r, int64_t now_ms);
/* Tells an event that only its caller knows of (client_event, cache_miss), if the app wants it. */
void registry_tell(struct registry *r, struct loop *from, const struct app_entry *app,
                   const struct channel_event *e);

/* ---- questions ---- */

struct channel_counts {
    uint32_t subscriptions, users;
};
/* All zero if nobody uses it. */
struct channel_counts registry_counts(struct registry *r, str app, str name);
/* For each occupied channel of the app whose name starts with `prefix`, hidden ones and
 * #server-to-user- left out. fn runs after the lock: the name is a copy, valid in the call. */
void registry_each(struct registry *r, str app, str prefix,
                   void (*fn)(void *ctx, str name, struct channel_counts counts), void *ctx);
/* Presence members in join order: their ids as JSON strings and infos, in a snapshot to release.
 * False: none. */
NODISCARD bool registry_members(struct registry *r, str app, str name, struct snapshot *out);
/* Totals of each of n apps, whose ids are sorted (str_cmp): one walk over all records. */
struct registry_totals {
    uint64_t channels, subscriptions, presence_channels, presence_subscriptions, presence_members,
        users, authenticated;
};
void registry_totals(struct registry *r, const str *apps, size_t n, struct registry_totals *out);

/* Names of a signed-in user's hidden channel: buf of the caller, no client can write it. */
struct buf;
void registry_user_channel(struct buf *b, str user_id);
/* Key of the cached event (websocket-protocol.md §10). */
void registry_cache_key(struct buf *b, str app, str name);

#endif
