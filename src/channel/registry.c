#include "channel/registry.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "pusher/frames.h"
#include "wire/ws_encode.h"

enum { COUNT_SLOW_ABOVE = 100, COUNT_SLOW_MS = 5000 };
static const int64_t END_MS = INT64_MAX / 2; /* the time of the last tick: sums stay in range */

static registry_close_fn *close_subscriber;

void registry_set_close(registry_close_fn *fn)
{
    close_subscriber = fn;
}

/* ---- records ---- */

static str record_app(const struct record *r)
{
    return str_of(r->text, r->app_n);
}

static str record_name(const struct record *r)
{
    return str_of(r->text + r->app_n, r->name_n);
}

struct registry *registry_create(uint16_t workers, struct loop **loops, struct adapter *adapter,
                                 struct cache *cache, int64_t cache_ttl_ms)
{
    struct registry *r = mem_zero(sizeof *r);
    r->workers = workers;
    r->loops = loops;
    r->adapter = adapter;
    r->cache = cache;
    r->cache_ttl_ms = cache_ttl_ms;
    crypto_random(&r->seed, sizeof r->seed);
    for (int i = 0; i < REGISTRY_PARTITIONS; i++)
        pthread_mutex_init(&r->parts[i].lock, NULL);
    deadlines_init(&r->deadlines, loops[0]->now_ms);
    return r;
}

static void record_free(struct record *rec)
{
    if (rec->presence)
        presence_destroy(rec->presence);
    if (rec->hooks)
        hooks_destroy(rec->hooks);
    free(rec);
}

void registry_destroy(struct registry **pr)
{
    struct registry *r = *pr;
    if (!r)
        return;
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        struct partition *p = &r->parts[i];
        for (uint32_t b = 0; b < p->bucket_count; b++)
            for (struct record *rec = p->buckets[b], *next; rec; rec = next) {
                next = rec->next;
                record_free(rec);
            }
        free(p->buckets);
        pthread_mutex_destroy(&p->lock);
    }
    deadlines_finish(&r->deadlines);
    free(r);
    *pr = NULL;
}

void registry_set_teller(struct registry *r, channel_tell_fn *tell, void *ctx)
{
    r->tell = tell;
    r->tell_ctx = ctx;
}

void registry_set_lease(struct registry *r, int64_t lease_ms)
{
    atomic_store_explicit(&r->lease_ms, lease_ms, memory_order_relaxed);
}

static struct partition *partition_lock(struct registry *r, str app, str name, uint64_t *hash)
{
    *hash = hash_keyed(r->seed, app, name);
    struct partition *p = &r->parts[*hash % REGISTRY_PARTITIONS];
    pthread_mutex_lock(&p->lock);
    return p;
}

static struct partition *record_lock(struct registry *r, const struct record *rec)
{
    struct partition *p = &r->parts[rec->partition];
    pthread_mutex_lock(&p->lock);
    return p;
}

static void unlock(struct partition *p)
{
    pthread_mutex_unlock(&p->lock);
}

static struct record *record_find(struct partition *p, str app, str name, uint64_t hash)
{
    if (p->bucket_count == 0)
        return NULL;
    struct record *rec = p->buckets[(hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    while (rec &&
           !(rec->hash == hash && str_eq(record_name(rec), name) && str_eq(record_app(rec), app)))
        rec = rec->next;
    return rec;
}

static void buckets_grow(struct partition *p)
{
    uint32_t n = p->bucket_count ? p->bucket_count * 2 : 2;
    struct record **b = mem_zero(n * sizeof *b);
    for (uint32_t i = 0; i < p->bucket_count; i++)
        for (struct record *rec = p->buckets[i], *next; rec; rec = next) {
            next = rec->next;
            struct record **to = &b[(rec->hash / REGISTRY_PARTITIONS) & (n - 1)];
            rec->next = *to;
            *to = rec;
        }
    free(p->buckets);
    p->buckets = b;
    p->bucket_count = n;
}

static struct record *record_create(struct registry *r, struct partition *p, str app, str name,
                                    uint64_t hash, bool hidden)
{
    if (p->count >= p->bucket_count)
        buckets_grow(p);
    size_t text = (app.n + name.n + 7) & ~(size_t)7;
    struct record *rec = mem_zero(sizeof *rec + text + r->workers * sizeof *rec->local);
    rec->hash = hash;
    rec->partition = (uint16_t)(hash % REGISTRY_PARTITIONS);
    rec->kind = channel_kind(name);
    rec->hidden = hidden;
    rec->app_n = (uint32_t)app.n;
    rec->name_n = (uint32_t)name.n;
    memcpy(rec->text, app.p, app.n);
    memcpy(rec->text + app.n, name.p, name.n);
    rec->local = (struct local_part *)(void *)((char *)rec + sizeof *rec + text);
    struct record **bucket = &p->buckets[(hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    rec->next = *bucket;
    *bucket = rec;
    p->count++;
    return rec;
}

static bool has_local(const struct registry *r, const struct record *rec)
{
    for (uint16_t i = 0; i < r->workers; i++)
        if (rec->local[i].channel)
            return true;
    return false;
}

static bool record_is_used(const struct registry *r, const struct record *rec)
{
    return has_local(r, rec) || rec->remotes != NULL ||
           (rec->hooks && !hooks_are_idle(rec->hooks)) ||
           (rec->presence && rec->presence->count > 0); /* a member on lease */
}

static void record_release(struct registry *r, struct partition *p, struct record *rec)
{
    if (record_is_used(r, rec))
        return;
    struct record **at = &p->buckets[(rec->hash / REGISTRY_PARTITIONS) & (p->bucket_count - 1)];
    while (*at != rec)
        at = &(*at)->next;
    *at = rec->next;
    p->count--;
    record_free(rec);
    if (p->count == 0) { /* an empty partition gives its table back */
        free(p->buckets);
        p->buckets = NULL;
        p->bucket_count = 0;
    }
}

/* ---- posts, all under the lock of the record ---- */

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

static void post_message(struct registry *r, struct loop *from, struct record *rec,
                         struct message *m)
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

static void announce_member(struct registry *r, struct loop *from, struct record *rec,
                            const struct member *m, bool added)
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

static void watch_post(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
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

static void look_later(struct registry *r, const struct record *rec, int64_t due_ms)
{
    deadlines_add(&r->deadlines, record_app(rec), record_name(rec), due_ms);
}

/* Source: security.md R13: at once, then one a second, the last state wins. */
static void watch_tell(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    if (rec->is_due)
        return;
    if (rec->watchers && rec->told_ms && now_ms - rec->told_ms < WATCH_SLOW_MS) {
        rec->is_due = true;
        look_later(r, rec, rec->told_ms + WATCH_SLOW_MS);
    } else {
        watch_post(r, from, rec, now_ms);
    }
}

static void count_post(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    struct buf b;
    rec->told = rec->subscriptions;
    rec->told_ms = now_ms;
    buf_init(&b, SIZE_MAX);
    buf_printf(&b, "{\"subscription_count\":%u}", rec->subscriptions);
    announce(r, from, rec, S("pusher_internal:subscription_count"), &b);
}

/* Source: websocket-protocol.md §15: above 100 subscribers at most every 5 s. */
static void count_tell(struct registry *r, struct loop *from, struct record *rec, int64_t now_ms)
{
    if (rec->hidden || rec->kind.base == CHANNEL_PRESENCE || rec->kind.base == CHANNEL_ENCRYPTED ||
        rec->kind.base == CHANNEL_USER || rec->subscriptions == 0 || rec->is_due)
        return;
    if (rec->subscriptions > COUNT_SLOW_ABOVE && rec->told_ms &&
        now_ms - rec->told_ms < COUNT_SLOW_MS) {
        rec->is_due = true;
        look_later(r, rec, rec->told_ms + COUNT_SLOW_MS);
    } else {
        count_post(r, from, rec, now_ms);
    }
}

/* ---- what webhooks tell ---- */

void registry_tell(struct registry *r, struct loop *from, const struct app_entry *app,
                   const struct channel_event *e)
{
    if (r->tell && app && (app->app->webhook_events & e->kind))
        r->tell(r->tell_ctx, from, e);
}

static void tell(struct registry *r, struct loop *from, const struct record *rec,
                 enum app_webhook_event kind, str user_id)
{
    struct channel_event e = {.kind = kind,
                              .app = record_app(rec),
                              .channel = record_name(rec),
                              .user_id = user_id,
                              .count = rec->subscriptions};
    if (rec->hooks->wanted & kind)
        r->tell(r->tell_ctx, from, &e);
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

static void hooks_look_count(struct registry *r, struct loop *from, struct record *rec,
                             int64_t now_ms)
{
    struct hooks *h = rec->hooks;
    if (rec->kind.base == CHANNEL_PRESENCE || !(h->wanted & WEBHOOK_SUBSCRIPTION_COUNT))
        return;
    int64_t due_ms = hooks_count(h, rec->subscriptions, now_ms);
    if (due_ms == 0)
        tell(r, from, rec, WEBHOOK_SUBSCRIPTION_COUNT, S(""));
    else if (due_ms > 0)
        look_later(r, rec, due_ms);
}

static void hooks_joined(struct registry *r, struct loop *from, struct record *rec,
                         const struct join *j, struct member *newcomer)
{
    if (!has_hooks(r, rec, j->app))
        return;
    if (hooks_begin(rec->hooks))
        tell(r, from, rec, WEBHOOK_CHANNEL_OCCUPIED, S(""));
    if (newcomer) {
        newcomer->is_told = true;
        if (hooks_user_came(rec->hooks, j->user_id))
            tell(r, from, rec, WEBHOOK_MEMBER_ADDED, j->user_id);
    }
    hooks_look_count(r, from, rec, j->now_ms);
}

static void hooks_member_left(struct registry *r, struct record *rec, const struct member *m,
                              int64_t now_ms)
{
    if (rec->hooks && m->is_told)
        look_later(r, rec, hooks_user_left(rec->hooks, m->user_id, now_ms));
}

/* A member on lease is told of as removed before his channel as vacated. */
static void hooks_look_empty(struct registry *r, struct record *rec, int64_t now_ms)
{
    bool is_empty = rec->subscriptions == 0 && (!rec->presence || rec->presence->count == 0);
    int64_t due_ms = is_empty ? hooks_empty(rec->hooks, now_ms) : 0;
    if (due_ms)
        look_later(r, rec, due_ms);
}

static void hooks_left(struct registry *r, struct loop *from, struct record *rec,
                       const struct leave *l)
{
    if (!has_hooks(r, rec, l->app))
        return;
    hooks_look_empty(r, rec, l->now_ms);
    hooks_look_count(r, from, rec, l->now_ms);
}

/* The grace is over: who has not returned is gone; members before their channel (§1.2). */
static void hooks_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    struct hooks *h = rec->hooks;
    for (struct hooks_leaver *l; (l = hooks_user_gone(h, now_ms)) != NULL; free(l))
        tell(r, NULL, rec, WEBHOOK_MEMBER_REMOVED, str_of(l->id, l->n));
    if (hooks_count_is_due(h, now_ms))
        hooks_look_count(r, NULL, rec, now_ms);
    if (rec->subscriptions == 0 && hooks_vacate(h, now_ms))
        tell(r, NULL, rec, WEBHOOK_CHANNEL_VACATED, S(""));
}

/* ---- deadlines ---- */

static void told_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    if (!rec->is_due ||
        now_ms < rec->told_ms + (int64_t)(rec->hidden ? WATCH_SLOW_MS : COUNT_SLOW_MS))
        return;
    rec->is_due = false;
    if (rec->hidden) {
        if (rec->told != (rec->subscriptions > 0))
            watch_post(r, NULL, rec, now_ms);
    } else if (rec->subscriptions && rec->subscriptions != rec->told) {
        count_post(r, NULL, rec, now_ms);
    }
}

static void leases_run(struct registry *r, struct record *rec, int64_t now_ms)
{
    struct member *m;
    while (rec->presence && (m = presence_lease_ended(rec->presence, now_ms)) != NULL) {
        if (rec->subscriptions)
            announce_member(r, NULL, rec, m, false);
        int64_t left_ms = now_ms == END_MS ? 0 : now_ms;
        hooks_member_left(r, rec, m, left_ms);
        if (rec->hooks)
            hooks_look_empty(r, rec, left_ms);
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
            hooks_run(r, rec, now_ms);
        record_release(r, p, rec);
    }
    unlock(p);
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

/* ---- subscribing ---- */

static enum label_channel_type label_of(struct channel_kind kind)
{
    return kind.cache                          ? label_channel_type_CACHE
           : kind.base == CHANNEL_PRESENCE     ? label_channel_type_PRESENCE
           : kind.base == CHANNEL_ENCRYPTED    ? label_channel_type_ENCRYPTED
           : kind.base == CHANNEL_PRIVATE      ? label_channel_type_PRIVATE
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
    rec->reserved++;
    x->reserved_seq = rec->seq;
    x->when = adapter_subscribe(r->adapter, x->asker, app, name, x->cb);
    unlock(p);
    return c;
}

/* Takes the worker's entry out of the record if nothing is left in it. */
static void detach_if_empty(struct registry *r, struct partition *p, struct record *rec,
                            uint16_t worker)
{
    struct local_channel *c = rec->local[worker].channel;
    if (!local_channel_is_empty(c))
        return;
    struct delivery *d = delivery(rec, worker, run_free, 0);
    rec->local[worker].channel = NULL;
    c->record = NULL;
    if (!has_local(r, rec))
        adapter_unsubscribe(r->adapter, record_app(rec), record_name(rec));
    loop_post(r->loops[worker], r->loops[worker], &d->mail);
    record_release(r, p, rec);
}

void registry_unreserve(struct registry *r, uint16_t worker, struct local_channel *c)
{
    struct record *rec = c->record;
    struct partition *p = record_lock(r, rec);
    c->reserved--;
    rec->reserved--;
    detach_if_empty(r, p, rec, worker);
    unlock(p);
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
        announce_member(r, from, rec, m, true);
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
            watch_tell(r, from, rec, j->now_ms);
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
    hooks_joined(r, from, rec, j, is_first ? m : NULL);
    if (j->app && j->app->app->enable_subscription_count)
        count_tell(r, from, rec, j->now_ms);
}

bool registry_activate(struct registry *r, uint16_t worker, struct local_channel *c, struct join *j,
                       arena *a, struct cache_answer *cached)
{
    struct record *rec = c->record;
    struct partition *p = record_lock(r, rec);
    c->reserved--;
    rec->reserved--;
    j->is_full = !j->watches && presence_is_full(rec, j);
    if (j->is_full) {
        detach_if_empty(r, p, rec, worker);
    } else {
        p->version++;
        activate(r, r->loops[worker], rec, c, j, a, cached);
    }
    unlock(p);
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
    unlock(p);
}

static void member_leave(struct registry *r, struct loop *from, struct record *rec,
                         struct member *m, const struct leave *l)
{
    int64_t lease_ms = atomic_load_explicit(&r->lease_ms, memory_order_relaxed);
    if (l->abrupt && lease_ms > 0 && m->subscriptions == 1) {
        presence_lease(rec->presence, m, l->now_ms + lease_ms);
        look_later(r, rec, l->now_ms + lease_ms);
        return;
    }
    if (!presence_leave(rec->presence, m))
        return;
    if (rec->subscriptions)
        announce_member(r, from, rec, m, false);
    hooks_member_left(r, rec, m, l->now_ms);
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
            watch_tell(r, from, rec, l->now_ms);
        return;
    }
    count_left(rec, l->app);
    hooks_left(r, from, rec, l);
    if (l->app && l->app->app->enable_subscription_count)
        count_tell(r, from, rec, l->now_ms);
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
    unlock(p);
}

struct local_channel *registry_local(struct registry *r, uint16_t worker, str app, str name)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    struct local_channel *c = rec ? rec->local[worker].channel : NULL;
    unlock(p);
    return c;
}

uint64_t registry_seq(struct registry *r, struct local_channel *c)
{
    struct partition *p = record_lock(r, c->record);
    uint64_t seq = c->record->seq;
    unlock(p);
    return seq;
}

str registry_name(const struct local_channel *c)
{
    return record_name(c->record);
}

struct channel_kind registry_kind(const struct local_channel *c)
{
    return c->record->kind;
}

bool registry_is_hidden(const struct local_channel *c)
{
    return c->record->hidden;
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
    unlock(p);
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
    (void)cache_set(r->cache, (struct handle){0}, buf_str(&key), buf_str(&json), r->cache_ttl_ms,
                    &answer, cached_stored);
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
    unlock(p);
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
        rec->seq++;
    for (uint16_t i = 0; rec && i < r->workers; i++) {
        if (!rec->local[i].channel)
            continue;
        struct delivery *d = delivery(rec, i, run_close, 0);
        d->wire_error = wire_error;
        loop_post(from, r->loops[i], &d->mail);
    }
    unlock(p);
    buf_finish(&name);
}

/* ---- questions ---- */

static struct channel_counts counts_of(const struct record *rec)
{
    return (struct channel_counts){rec->subscriptions, rec->presence ? rec->presence->count : 0};
}

struct channel_counts registry_counts(struct registry *r, str app, str name)
{
    uint64_t hash;
    struct channel_counts c = {0};
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    if (rec)
        c = counts_of(rec);
    unlock(p);
    return c;
}

struct listed {
    size_t at, n; /* the name in the text */
    struct channel_counts counts;
};

static bool is_listed(const struct record *rec, str app, str prefix)
{
    str name = record_name(rec);
    return rec->subscriptions && !rec->hidden && str_eq(record_app(rec), app) &&
           !str_starts(name, S("#")) && !str_starts(name, S("[meta]")) && str_starts(name, prefix);
}

static void partition_list(struct partition *p, str app, str prefix, struct buf *text,
                           struct buf *rows)
{
    pthread_mutex_lock(&p->lock);
    for (uint32_t b = 0; b < p->bucket_count; b++)
        for (const struct record *rec = p->buckets[b]; rec; rec = rec->next) {
            if (!is_listed(rec, app, prefix))
                continue;
            struct listed row = {text->n, rec->name_n, counts_of(rec)};
            buf_add(text, record_name(rec));
            buf_add(rows, str_of(&row, sizeof row));
        }
    unlock(p);
}

void registry_each(struct registry *r, str app, str prefix,
                   void (*fn)(void *, str, struct channel_counts), void *ctx)
{
    struct buf text, rows;
    buf_init(&text, SIZE_MAX);
    buf_init(&rows, SIZE_MAX);
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        buf_clear(&text);
        buf_clear(&rows);
        partition_list(&r->parts[i], app, prefix, &text, &rows);
        for (size_t at = 0; at < rows.n; at += sizeof(struct listed)) {
            struct listed row;
            memcpy(&row, rows.p + at, sizeof row);
            fn(ctx, str_of(text.p + row.at, row.n), row.counts);
        }
    }
    buf_finish(&text);
    buf_finish(&rows);
}

bool registry_members(struct registry *r, str app, str name, struct snapshot *out)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    bool some = rec && rec->presence && rec->presence->count > 0;
    if (some)
        snapshot_take(rec->presence, out);
    unlock(p);
    return some;
}

void registry_totals(struct registry *r, str app, struct registry_totals *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        struct partition *p = &r->parts[i];
        pthread_mutex_lock(&p->lock);
        for (uint32_t b = 0; b < p->bucket_count; b++)
            for (const struct record *rec = p->buckets[b]; rec; rec = rec->next) {
                if (!rec->subscriptions || !str_eq(record_app(rec), app))
                    continue;
                if (rec->hidden) {
                    out->users++;
                    out->authenticated += rec->subscriptions;
                    continue;
                }
                out->channels++;
                out->subscriptions += rec->subscriptions;
                if (rec->presence) {
                    out->presence_channels++;
                    out->presence_subscriptions += rec->subscriptions;
                    out->presence_members += rec->presence->count;
                }
            }
        unlock(p);
    }
}
