/* channel/tell.c - what the application's back end hears of a record's changes, and what comes when
 * a deadline has passed. The state machine is hooks.h. */
#include "channel/record.h"

#include <stdlib.h>

#include "metrics/metrics.h"

static const int64_t END_MS = INT64_MAX / 2; /* the time of the last tick: sums stay in range */

static void count_dropped(void)
{
    METRICS_NODE(webhook_events_dropped[label_drop_reason_BUFFER_FULL], 1);
}

void registry_tell(struct registry *r, struct loop *from, const struct app_entry *app,
                   const struct channel_event *e)
{
    if (r->tell && app && (app->app->webhook_events & e->kind) && !r->tell(r->tell_ctx, from, e))
        count_dropped();
}

/* False: not taken. */
static bool tell(struct registry *r, struct loop *from, const struct record *rec,
                 enum app_webhook_event kind, str user_id)
{
    struct channel_event e = {.kind = kind,
                              .app = record_app(rec),
                              .channel = record_name(rec),
                              .user_id = user_id,
                              .count = rec->subscriptions};
    return !(rec->hooks->wanted & kind) || r->tell(r->tell_ctx, from, &e);
}

/* Source: webhooks.md §1: nothing of #server-to-user-* and [meta]*. */
static bool has_hooks(struct registry *r, struct record *rec, const struct app_entry *app)
{
    if (!r->tell || rec->hidden || rec->kind.base == CHANNEL_USER ||
        str_starts(record_name(rec), S("[meta]")))
        return false;
    if (!rec->hooks && app && app->app->webhook_events)
        rec->hooks = hooks_create();
    if (rec->hooks && app)
        rec->hooks->wanted = app->app->webhook_events;
    return rec->hooks != NULL;
}

static void look_by(struct registry *r, struct record *rec, int64_t due_ms)
{
    if (hooks_look(rec->hooks, due_ms))
        record_look_later(r, rec, due_ms);
}

static void tell_look_count(struct registry *r, struct loop *from, struct record *rec,
                            int64_t now_ms)
{
    struct hooks *h = rec->hooks;
    if (rec->kind.base == CHANNEL_PRESENCE || !(h->wanted & WEBHOOK_SUBSCRIPTION_COUNT))
        return;
    uint32_t before = h->counted;
    int64_t due_ms = hooks_count(h, rec->subscriptions, now_ms);
    if (due_ms == 0 && !tell(r, from, rec, WEBHOOK_SUBSCRIPTION_COUNT, S("")))
        due_ms = hooks_count_failed(h, before, now_ms);
    if (due_ms > 0)
        look_by(r, rec, due_ms);
}

/* A member on lease is still there. */
static bool is_empty(const struct record *rec)
{
    return rec->subscriptions == 0 && (!rec->presence || rec->presence->count == 0);
}

/* False: nobody knows of the channel, so nothing else of it is told either. */
static bool tell_began(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    if (!hooks_begin(rec->hooks) || tell(r, from, rec, WEBHOOK_CHANNEL_OCCUPIED, S("")))
        return true;
    look_by(r, rec, hooks_begin_failed(rec->hooks, now_ms));
    return false;
}

static bool tell_added(struct registry *r, struct loop *from, struct record *rec, struct member *m,
                       int64_t now_ms)
{
    m->is_told = tell(r, from, rec, WEBHOOK_MEMBER_ADDED, m->user_id);
    if (!m->is_told)
        look_by(r, rec, hooks_retell(rec->hooks, now_ms + HOOKS_RETELL_MS));
    return m->is_told;
}

void tell_joined(struct registry *r, struct loop *from, struct record *rec, const struct join *j,
                 struct member *newcomer)
{
    if (!has_hooks(r, rec, j->app))
        return;
    if (!tell_began(r, from, rec, j->now_ms))
        return;
    if (newcomer && !hooks_user_came(rec->hooks, j->user_id))
        newcomer->is_told = true; /* of his leaving nobody was told */
    else if (newcomer)
        tell_added(r, from, rec, newcomer, j->now_ms);
    tell_look_count(r, from, rec, j->now_ms);
}

/* Others wait for the lock: the rest is told at the next tick. At the end there is none. */
static bool is_enough(size_t told, int64_t now_ms)
{
    return told >= HOOKS_TOLD_AT_ONCE && now_ms != END_MS;
}

/* What was refused when it began, if it has not ended. */
static void tell_again(struct registry *r, struct record *rec, int64_t now_ms)
{
    size_t told = 0;
    if (is_empty(rec) || !tell_began(r, NULL, rec, now_ms))
        return;
    for (struct member *m = rec->presence ? rec->presence->first : NULL; m; m = m->next) {
        if (m->is_told)
            continue;
        if (is_enough(told++, now_ms)) {
            hooks_retell(rec->hooks, now_ms);
            return;
        }
        if (!tell_added(r, NULL, rec, m, now_ms))
            return;
    }
    tell_look_count(r, NULL, rec, now_ms);
}

void tell_member_left(struct registry *r, struct record *rec, const struct member *m,
                      int64_t now_ms)
{
    if (rec->hooks && m->is_told)
        look_by(r, rec, hooks_user_left(rec->hooks, m->user_id, now_ms));
}

/* A member on lease is told of as removed before his channel as vacated. */
static void tell_look_empty(struct registry *r, struct record *rec, int64_t now_ms)
{
    int64_t due_ms = is_empty(rec) ? hooks_empty(rec->hooks, now_ms) : 0;
    if (due_ms)
        look_by(r, rec, due_ms);
}

void tell_left(struct registry *r, struct loop *from, struct record *rec, const struct leave *l)
{
    if (!has_hooks(r, rec, l->app))
        return;
    tell_look_empty(r, rec, l->now_ms);
    tell_look_count(r, from, rec, l->now_ms);
}

/* Who has not returned is gone. Refused, it waits another grace. */
static void tell_gone(struct registry *r, struct record *rec, int64_t now_ms)
{
    bool is_taken = true;
    size_t told = 0;
    for (struct hooks_leaver *l;
         is_taken && !is_enough(told++, now_ms) && (l = hooks_user_gone(rec->hooks, now_ms));
         free(l)) {
        str user_id = str_of(l->id, l->n);
        is_taken = tell(r, NULL, rec, WEBHOOK_MEMBER_REMOVED, user_id);
        if (!is_taken)
            hooks_user_left(rec->hooks, user_id, now_ms);
    }
}

/* The grace is over; members before their channel (§1.2). */
static void tell_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    struct hooks *h = rec->hooks;
    tell_gone(r, rec, now_ms);
    if (hooks_retell_is_due(h, now_ms))
        tell_again(r, rec, now_ms);
    if (hooks_count_is_due(h, now_ms))
        tell_look_count(r, NULL, rec, now_ms);
    if (rec->subscriptions == 0 && hooks_vacate(h, now_ms) &&
        !tell(r, NULL, rec, WEBHOOK_CHANNEL_VACATED, S(""))) {
        hooks_begin(h);
        hooks_empty(h, now_ms);
    }
    int64_t next_ms = hooks_looked(h, now_ms);
    if (next_ms)
        record_look_later(r, rec, next_ms);
}

/* ---- deadlines ---- */

static void told_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    if (!rec->is_due ||
        now_ms < rec->told_ms + (int64_t)(rec->hidden ? WATCH_SLOW_MS : POST_COUNT_SLOW_MS))
        return;
    rec->is_due = false;
    if (rec->hidden) {
        if (rec->told != (rec->subscriptions > 0))
            post_watch_now(r, NULL, rec, now_ms);
    } else if (rec->subscriptions && rec->subscriptions != rec->told) {
        post_count_now(r, NULL, rec, now_ms);
    }
}

static void leases_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    struct member *m;
    while (rec->presence && (m = presence_lease_ended(rec->presence, now_ms)) != NULL) {
        if (rec->subscriptions)
            post_member(r, NULL, rec, m, false);
        int64_t left_ms = now_ms == END_MS ? 0 : now_ms;
        tell_member_left(r, rec, m, left_ms);
        if (rec->hooks)
            tell_look_empty(r, rec, left_ms);
        free(m);
    }
}

static void due_run(struct registry *r, const struct deadline *d, int64_t now_ms)
{
    uint64_t hash;
    str app = deadline_app(d), name = deadline_name(d);
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    if (rec) {
        told_run(r, rec, now_ms);
        leases_run(r, rec, now_ms);
        if (rec->hooks)
            tell_run(r, rec, now_ms);
        record_release(r, p, rec);
    }
    partition_unlock(p);
}

void registry_tick(struct registry *r, int64_t now_ms)
{
    struct deadline *ripe = deadlines_take(&r->deadlines, now_ms);
    while (ripe) {
        struct deadline *d = ripe;
        ripe = d->next;
        due_run(r, d, now_ms == INT64_MAX ? END_MS : now_ms);
        free(d);
    }
}
