/* channel/record.h - records and what is done to them under their partition's lock; private to this
 * folder. The registry (registry.h) is what others see.
 *
 * Nature   everything here but the locking itself is called with the record's lock held; `from` is
 *          the loop of the caller, NULL outside
 */
#ifndef CHANNEL_RECORD_H
#define CHANNEL_RECORD_H

#include "base/limits.h"
#include "channel/registry.h"

static inline str record_app(const struct record *r)
{
    return str_of(r->text, r->app_n);
}
static inline str record_name(const struct record *r)
{
    return str_of(r->text + r->app_n, r->name_n);
}

/* ---- record.c: finding and keeping them ---- */

/* The partition of a channel, locked. */
struct partition *partition_lock(struct registry *r, str app, str name, uint64_t *hash);
struct partition *record_lock(struct registry *r, const struct record *rec);
void partition_unlock(struct partition *p);
struct record *record_find(struct partition *p, str app, str name, uint64_t hash);
struct record *record_create(struct registry *r, struct partition *p, str app, str name,
                             uint64_t hash, bool hidden);
bool record_has_local(const struct registry *r, const struct record *rec);
/* Frees it if nothing keeps it. */
void record_release(struct registry *r, struct partition *p, struct record *rec);
/* Sets a deadline: registry_tick will look at the record. */
void record_look_later(struct registry *r, const struct record *rec, int64_t due_ms);

/* ---- post.c: to the workers with subscribers, in the order of the lock ---- */

/* m, which is referenced and not taken, with the channel's next seq. */
void post_message(struct registry *r, struct loop *from, struct record *rec, struct message *m);
void post_member(struct registry *r, struct loop *from, struct record *rec, const struct member *m,
                 bool added);
/* Online or offline of a hidden user: at once, or later (security.md R13). */
void post_watch(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms);
void post_watch_now(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms);
/* subscription_count: at once, or later (websocket-protocol.md §15). */
void post_count(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms);
void post_count_now(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms);
/* All subscribers that joined before are to be closed. */
void post_close(struct registry *r, struct loop *from, struct record *rec, int wire_error);
/* The marker behind which the worker's part, taken out of the record here, is freed. */
void post_free(struct registry *r, struct record *rec, uint16_t worker);
enum { POST_COUNT_SLOW_MS = 5000 };

/* ---- tell.c: webhooks ---- */

void tell_joined(struct registry *r, struct loop *from, struct record *rec, const struct join *j,
                 struct member *newcomer); /* NULL: his user was there */
void tell_member_left(struct registry *r, struct record *rec, const struct member *m,
                      int64_t now_ms);
void tell_left(struct registry *r, struct loop *from, struct record *rec, const struct leave *l);

#endif
