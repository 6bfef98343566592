/* channel/hooks.h - what the application's back end has been told of a channel.
 *
 * The state machine of webhooks.md §1.2 on one record: occupied and vacated alternate, so do added
 * and removed of each user; what ends is announced after HOOKS_GRACE_MS, unless it returns.
 *
 * Nature   pure: the registry calls it under the partition's lock, with the time, and tells and
 *          sets deadlines as it is answered
 * Source   webhooks.md §1.2, §1.5; design §4
 */
#ifndef CHANNEL_HOOKS_H
#define CHANNEL_HOOKS_H

#include "base/base.h"

enum {
    HOOKS_GRACE_MS = 3000,
    HOOKS_RETELL_MS = 1000,
    HOOKS_COUNT_SLOW_ABOVE = 100,
    HOOKS_COUNT_SLOW_MS = 5000,
};

struct hooks_leaver { /* a user who has left but is not yet removed */
    struct hooks_leaver *next, *prev, *chain;
    int64_t due_ms;
    uint64_t hash;
    uint32_t n;
    char id[];
};
struct hooks {
    uint32_t wanted;      /* enum app_webhook_event, by the app's record of the last change */
    bool occupied;        /* announced */
    uint32_t counted;     /* subscription_count last told */
    int64_t counted_ms;   /* when; 0: never */
    int64_t count_due_ms; /* a deadline is set for the next; 0: none */
    int64_t vacate_ms;    /* when its end is to be told; 0: not empty */
    int64_t retell_ms;    /* when a beginning that was refused is to be told; 0: none */
    int64_t look_ms;      /* the record is looked at then; 0: no deadline is set */
    struct hooks_leaver *first, *last; /* in the order of their deadlines */
    struct hooks_leaver **buckets;
    uint32_t bucket_count, leaver_count;
};

struct hooks *hooks_create(void);
void hooks_destroy(struct hooks *h);
/* Nothing is announced that would have to be taken back, nothing to be told: the record may go. */
bool hooks_are_idle(const struct hooks *h);

/* A subscription has begun. True: channel_occupied is to be told. */
bool hooks_begin(struct hooks *h);
/* The last one has ended: when channel_vacated is due, or 0 if nobody was told of the channel. */
int64_t hooks_empty(struct hooks *h, int64_t now_ms);
/* True, once: channel_vacated is to be told; after those who left. */
bool hooks_vacate(struct hooks *h, int64_t now_ms);
/* channel_occupied could not be told: the next subscription tells it, or the end of this deadline.
 */
int64_t hooks_begin_failed(struct hooks *h, int64_t now_ms);
/* member_added could not be told. Gives when to tell all that is not known: due_ms, or before. */
int64_t hooks_retell(struct hooks *h, int64_t due_ms);
/* True, once: the deadline has passed, tell of channel and members whatever was not. */
bool hooks_retell_is_due(struct hooks *h, int64_t now_ms);

/* A user came with his first subscription. True: member_added is to be told. */
bool hooks_user_came(struct hooks *h, str user_id);
/* He left with his last one; gives when member_removed is due. */
int64_t hooks_user_left(struct hooks *h, str user_id, int64_t now_ms);
/* The next user whose removal is to be told, or NULL; the caller frees it. */
struct hooks_leaver *hooks_user_gone(struct hooks *h, int64_t now_ms);

/* The count is now `count`. 0: tell it; -1: it was told already; else a deadline to look again. */
int64_t hooks_count(struct hooks *h, uint32_t count, int64_t now_ms);
/* It could not be told; `before` was told last. Gives when to look again. */
int64_t hooks_count_failed(struct hooks *h, uint32_t before, int64_t now_ms);
/* True, once: the deadline has passed, ask hooks_count again. */
bool hooks_count_is_due(struct hooks *h, int64_t now_ms);

/* Something is due at due_ms. True: set a deadline, there is none as early; so who comes and goes
 * a thousand times costs one. */
bool hooks_look(struct hooks *h, int64_t due_ms);
/* A deadline has passed and all was asked: when the next must be set, 0: none. */
int64_t hooks_looked(struct hooks *h, int64_t now_ms);

#endif
