#include "channel/registry.h"

#include <stdlib.h>

#include "base/buf.h"
#include "channel/record.h"
#include "pusher/frames.h"

/* ---- subscribing ---- */

static enum label_channel_type label_of(struct channel_kind kind)
{
    return kind.cache                       ? label_channel_type_CACHE
           : kind.base == CHANNEL_PRESENCE  ? label_channel_type_PRESENCE
           : kind.base == CHANNEL_ENCRYPTED ? label_channel_type_ENCRYPTED
           : kind.base == CHANNEL_PRIVATE   ? label_channel_type_PRIVATE
                                            : label_channel_type_PUBLIC;
}

struct local_channel *registry_reserve(struct registry *r, uint16_t worker, str app, str name,
                                       struct reservation *x)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    if (!rec)
        rec = record_create(r, p, app, name, hash, x->hidden);
    struct local_channel *c = rec->local[worker].channel;
    if (!c) {
        c = rec->local[worker].channel = local_channel_create(rec);
        c->metrics = metrics_app(app);
        c->label = label_of(rec->kind);
    }
    c->reserved++;
    x->reserved_seq = rec->seq;
    x->when = adapter_subscribe(r->adapter, x->asker, app, name, x->cb);
    partition_unlock(p);
    return c;
}

/* Takes the worker's entry out of the record if nothing is left in it. */
static void detach_if_empty(struct registry *r, struct partition *p, struct record *rec,
                            uint16_t worker)
{
    struct local_channel *c = rec->local[worker].channel;
    if (!local_channel_is_empty(c))
        return;
    post_free(r, rec, worker);
    if (!record_has_local(r, rec))
        adapter_unsubscribe(r->adapter, record_app(rec), record_name(rec));
    record_release(r, p, rec);
}

void registry_unreserve(struct registry *r, uint16_t worker, struct local_channel *c)
{
    struct record *rec = c->record;
    struct partition *p = record_lock(r, rec);
    c->reserved--;
    detach_if_empty(r, p, rec, worker);
    partition_unlock(p);
}

void registry_cache_key(struct buf *b, str app, str name)
{
    buf_add(b, S("app:"));
    buf_add(b, app);
    buf_add(b, S(":channel:"));
    buf_add(b, name);
    buf_add(b, S(":cache_miss"));
}

/* Only a cache that answers at once may be asked here; another was asked in Confirm. */
static void cached_fetch(struct registry *r, const struct record *rec, arena *a,
                         struct cache_answer *out)
{
    struct buf key;
    if (!rec->kind.cache || !(cache_caps(r->cache) & CACHE_AT_ONCE))
        return;
    buf_init(&key, SIZE_MAX); /* the cache refuses a key that is too long */
    registry_cache_key(&key, record_app(rec), record_name(rec));
    enum when when = cache_get(a, r->cache, (struct handle){0}, buf_str(&key), out, NULL);
    CHECK(when == DONE);
    buf_finish(&key);
}

static bool presence_is_full(const struct record *rec, const struct join *j)
{
    return j->max_members && rec->presence && rec->presence->count >= j->max_members &&
           !presence_find(rec->presence, j->user_id);
}

static struct member *member_join(struct registry *r, struct loop *from, struct record *rec,
                                  struct join *j, bool *is_first)
{
    if (!rec->presence)
        rec->presence = presence_create();
    struct member *m = presence_join(rec->presence, j->user_id, j->user_info, is_first);
    if (*is_first)
        post_member(r, from, rec, m, true);
    snapshot_take(rec->presence, &j->snapshot);
    return m;
}

static void count_joined(const struct record *rec, const struct app_entry *app)
{
    enum label_channel_type label = label_of(rec->kind);
    if (!app)
        return;
    METRICS_APP(app->metrics, channel_subscriptions[label], 1);
    if (rec->subscriptions == 1)
        METRICS_APP(app->metrics, active_channels[label], 1);
}

static void count_left(const struct record *rec, const struct app_entry *app)
{
    enum label_channel_type label = label_of(rec->kind);
    if (!app)
        return;
    METRICS_APP(app->metrics, channel_unsubscriptions[label], 1);
    if (rec->subscriptions == 0)
        METRICS_APP(app->metrics, active_channels[label], -1);
}

/* A watcher of a user whose change waits to be told sees what was told last (security.md R13). */
static bool looks_online(const struct record *rec)
{
    return rec->is_due ? rec->told : rec->subscriptions > 0;
}

static void activate(struct registry *r, struct loop *from, struct record *rec,
                     struct local_channel *c, struct join *j, arena *a, struct cache_answer *cached)
{
    struct member *m = NULL;
    bool is_first = false;
    if (j->watches) {
        rec->watchers++;
        j->is_occupied = looks_online(rec);
    } else {
        rec->subscriptions++;
        if (rec->hidden && rec->subscriptions == 1)
            post_watch(r, from, rec, j->now_ms);
        if (rec->kind.base == CHANNEL_PRESENCE && !rec->hidden)
            m = member_join(r, from, rec, j, &is_first);
    }
    j->joined_seq = rec->seq;
    uint64_t events_seq = j->held_seq < j->joined_seq ? j->held_seq : j->joined_seq;
    local_channel_add(c, j->who, j->watches, j->joined_seq, events_seq)->member = m;
    cached_fetch(r, rec, a, cached);
    if (rec->hidden)
        return;
    count_joined(rec, j->app);
    tell_joined(r, from, rec, j, is_first ? m : NULL);
    if (j->app && j->app->app->enable_subscription_count)
        post_count(r, from, rec, j->now_ms);
}

bool registry_activate(struct registry *r, uint16_t worker, struct local_channel *c, struct join *j,
                       arena *a, struct cache_answer *cached)
{
    struct record *rec = c->record;
    struct partition *p = record_lock(r, rec);
    c->reserved--;
    j->is_full = !j->watches && presence_is_full(rec, j);
    if (j->is_full) {
        detach_if_empty(r, p, rec, worker);
    } else {
        p->version++;
        activate(r, r->loops[worker], rec, c, j, a, cached);
    }
    partition_unlock(p);
    return !j->is_full;
}

void registry_look_again(struct registry *r, uint16_t worker, struct local_channel *c,
                         struct snapshot *snapshot, arena *a, struct cache_answer *cached,
                         struct mail *marker)
{
    struct record *rec = c->record;
    struct partition *p = record_lock(r, rec);
    if (rec->presence)
        snapshot_take(rec->presence, snapshot);
    cached_fetch(r, rec, a, cached);
    loop_post(r->loops[worker], r->loops[worker], marker);
    partition_unlock(p);
}

static void member_leave(struct registry *r, struct loop *from, struct record *rec,
                         struct member *m, const struct leave *l)
{
    int64_t lease_ms = atomic_load_explicit(&r->lease_ms, memory_order_relaxed);
    if (l->abrupt && lease_ms > 0 && m->subscriptions == 1) {
        presence_lease(rec->presence, m, l->now_ms + lease_ms);
        record_look_later(r, rec, l->now_ms + lease_ms);
        return;
    }
    if (!presence_leave(rec->presence, m))
        return;
    if (rec->subscriptions)
        post_member(r, from, rec, m, false);
    tell_member_left(r, rec, m, l->now_ms);
    free(m);
}

static void subscriber_leave(struct registry *r, struct loop *from, struct record *rec,
                             struct member *m, const struct leave *l)
{
    rec->subscriptions--;
    if (m)
        member_leave(r, from, rec, m, l);
    if (rec->hidden) {
        if (rec->subscriptions == 0)
            post_watch(r, from, rec, l->now_ms);
        return;
    }
    count_left(rec, l->app);
    tell_left(r, from, rec, l);
    if (l->app && l->app->app->enable_subscription_count)
        post_count(r, from, rec, l->now_ms);
}

void registry_leave(struct registry *r, uint16_t worker, struct subscriber *who, uint32_t at,
                    const struct leave *l)
{
    struct subscription s = who->list[at];
    struct record *rec = s.channel->record;
    struct partition *p = record_lock(r, rec);
    local_channel_remove(who, at);
    p->version++;
    if (s.watches)
        rec->watchers--;
    else
        subscriber_leave(r, r->loops[worker], rec, s.member, l);
    detach_if_empty(r, p, rec, worker);
    partition_unlock(p);
}

struct local_channel *registry_local(struct registry *r, uint16_t worker, str app, str name)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    struct local_channel *c = rec ? rec->local[worker].channel : NULL;
    partition_unlock(p);
    return c;
}

uint64_t registry_seq(struct registry *r, struct local_channel *c)
{
    struct partition *p = record_lock(r, c->record);
    uint64_t seq = c->record->seq;
    partition_unlock(p);
    return seq;
}

/* ---- publishing ---- */

bool registry_is_full(struct registry *r, str app, str name)
{
    uint64_t hash;
    bool full = false;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    for (uint16_t i = 0; rec && i < r->workers && !full; i++)
        full = rec->local[i].channel && mailbox_is_full(&r->loops[i]->mailbox);
    partition_unlock(p);
    return full;
}

static void cached_stored(struct handle asker, const struct cache_answer *a)
{
    (void)asker; /* what could not be stored is a miss later */
    (void)a;
}

static void cached_store(struct registry *r, const struct message *m)
{
    struct buf key, json;
    buf_init(&key, SIZE_MAX);
    buf_init(&json, SIZE_MAX);
    registry_cache_key(&key, m->app, m->channel);
    frame_event_raw(&json, m->event, m->channel, m->data, S(""));
    struct cache_answer answer;
    enum when when = cache_set(r->cache, (struct handle){0}, buf_str(&key), buf_str(&json),
                               r->cache_ttl_ms, &answer, cached_stored);
    if (when == DONE && answer.err.kind == ERR_LIMIT) /* then none, rather than an older one */
        (void)cache_remove(r->cache, (struct handle){0}, buf_str(&key), &answer, cached_stored);
    buf_finish(&key);
    buf_finish(&json);
}

void registry_publish(struct registry *r, struct loop *from, struct message *m)
{
    uint64_t hash;
    bool store = (m->flags & MESSAGE_HTTP) && channel_kind(m->channel).cache;
    struct partition *p = partition_lock(r, m->app, m->channel, &hash);
    struct record *rec = record_find(p, m->app, m->channel, hash);
    if (rec)
        post_message(r, from, rec, m);
    if (store)
        cached_store(r, m);
    partition_unlock(p);
    message_unref(m);
}

void registry_user_channel(struct buf *b, str user_id)
{
    buf_char(b, '\x01');
    buf_add(b, user_id);
}

void registry_close_user(struct registry *r, struct loop *from, str app, str user_id,
                         int wire_error)
{
    struct buf name;
    uint64_t hash;
    buf_init(&name, SIZE_MAX);
    registry_user_channel(&name, user_id);
    struct partition *p = partition_lock(r, app, buf_str(&name), &hash);
    struct record *rec = record_find(p, app, buf_str(&name), hash);
    if (rec)
        post_close(r, from, rec, wire_error);
    partition_unlock(p);
    buf_finish(&name);
}
