/* conn/pending.h - commands of a connection that wait for an answer.
 *
 * They start in order and answer in order. Only subscribes to different channels overlap, and they
 * activate in their order; every other command, a second one for the same channel, and any behind
 * a sign-in starts when those before it are answered (design §4, websocket-protocol §17.1).
 */
#ifndef CONN_PENDING_H
#define CONN_PENDING_H

#include "conn/conn.h"
#include "pusher/member.h"

enum step_kind {
    STEP_COMMAND,   /* a text that has not been started */
    STEP_SUBSCRIBE, /* reserved; waits for the cache */
    STEP_AGAIN,     /* a repeated subscribe; waits for its marker */
    STEP_SIGNIN,    /* reserved in the user's hidden channel and in those that he watches */
};
/* What a step waits for; a deadline of Confirm ends the waiting, not the step (design §4). */
enum step_wait { WAIT_NOTHING, WAIT_ADAPTER, WAIT_CACHE, WAIT_MARKER };
enum { STEP_ADAPTER_MS = 3000, STEP_CACHE_MS = 250 };
enum fetched { FETCHED_NOTHING, FETCHED, FETCH_FAILED };
struct signin { /* of a STEP_SIGNIN; strings as long as the step */
    struct user_data user;
    str text;                       /* user_data as it came */
    struct local_channel *channel;  /* his own, NULL: he is in it already */
    struct local_channel **watched; /* [user.watch_count] */
};
struct step {
    struct step *next;
    enum step_kind kind;
    uint16_t id;           /* the tag of its question */
    enum step_wait wait;   /* it can be answered when there is nothing left */
    int64_t wait_until_ms; /* WAIT_ADAPTER, WAIT_CACHE */
    uint32_t unconfirmed;  /* WAIT_ADAPTER: answers to come */
    arena memory;          /* all slices */
    str text;              /* STEP_COMMAND */
    struct signin *signin; /* STEP_SIGNIN */

    str channel_name;
    struct local_channel *channel;
    uint64_t reserved_seq;
    str user_id, user_info;
    struct local_hold hold; /* STEP_SUBSCRIBE on a cache that answers LATER */
    bool is_held;
    enum fetched fetched; /* of the cached event */
    str cached;
    struct snapshot snapshot; /* STEP_AGAIN */
};

/* Nothing is in front of a command that starts now. */
bool pending_is_clear(const struct conn *c);
/* A subscribe to this channel may start beside those that wait. */
bool pending_may_overlap(const struct conn *c, str channel_name);
/* Puts a step that is not ready into the list; gives the listed copy. `from` is moved. */
struct step *pending_add(struct conn *c, struct step *from);
/* Puts a text that must wait its turn. */
void pending_defer(struct conn *c, str text);
/* The step of a late answer, and its connection, if it still waits for it; else NULL. */
struct step *pending_asked(struct handle asker, enum step_wait wait, struct conn **c);
/* ms: until it goes on without the answer; 0: as long as it takes. */
void pending_wait(struct conn *c, struct step *s, enum step_wait wait, int64_t ms);
/* Something that was allowed waits for us, not for the client (websocket-protocol §14.6). */
bool pending_will_authorize(const struct conn *c);
/* Answers what can be answered, from the front. */
void pending_settle(struct conn *c);
/* Ends what has waited too long; gives the next deadline, 0: none. */
int64_t pending_expire(struct conn *c);
/* Undoes what the steps did: reservations, holds. */
void pending_finish(struct conn *c);
void step_finish(struct step *s);

/* In on_subscribe.c: the third step of a subscribe, and the answer of a repeated one. */
void subscribe_activate(struct conn *c, struct step *s);
void subscribe_answer_again(struct conn *c, struct step *s);
void subscribe_look_again(struct conn *c, struct step *s);
/* A wait of Confirm took too long: goes on locally, degraded. */
void subscribe_go_on(struct conn *c, struct step *s);

/* In on_signin.c: the third step of a sign-in, and how to undo the first. */
void signin_activate(struct conn *c, struct step *s);
void signin_unreserve(struct conn *c, struct step *s);

#endif
