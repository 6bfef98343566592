/* interleave/interleave.c - several workers on one thread under a seeded scheduler.
 *
 * Random clients subscribe, repeat, leave, publish, join presence, use cache channels, sign in,
 * watch, vanish and come back, read late, are terminated; random workers turn. After each step what
 * the clients have received is checked against the promises of websocket-protocol.md §17 (also
 * §9.3, §10, §14.5, §14.7, §15): answers in the order of the commands; per channel nothing before
 * its subscription_succeeded, nothing lost, doubled, out of order or from before the subscription;
 * snapshot and member stream agree; the cached event or the miss comes first and is no older than
 * the subscribe; nothing after an unsubscribe that was processed, nothing after a Close. At the end
 * of a schedule every client's picture must be the truth.
 *
 * Every fifth seed leases members whose connection was lost; in every seventh the app has webhooks
 * only from some time on. At the end everybody leaves, and webhooks have to say so.
 *
 * Odd seeds use a cache that answers LATER, every second of these with failures.
 *
 * interleave [--schedules N] [--seed S]: a failure prints its seed and the steps that led to it.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

#include "base/json.h"
#include "conn/conn.h"
#include "support/adapter_scripted.h"
#include "support/cache_scripted.h"
#include "support/test_node.h"

enum { WORKERS = 3, CLIENTS = 4, STEPS = 60, CHANNELS = 4, USERS = 3, EXPECTED = 256 };
enum { SEND_BUFFER = 4096, ROUNDS_MAX = 500, LEASE_MS = 4000, SETTLE_S = 6, SETTLE_LEASE_S = 10 };

static const char *const names[CHANNELS] = {"public", "cache-c", "presence-cache-p", "private-a"};
static const bool caches[CHANNELS] = {false, true, true, false};
enum { PRESENCE = 2, PRIVATE = 3 };

/* ---- the schedule ---- */

static const uint32_t WEBHOOKS_ALL = WEBHOOK_SUBSCRIPTION_COUNT * 2 - 1;
static uint64_t seed, state;
static char trace[STEPS * 3 + 8][96];
static int trace_count;

static uint32_t pick(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % n);
}

static void note(const char *fmt, ...) PRINTF(1, 2);
static void note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(trace[trace_count++], sizeof trace[0], fmt, ap);
    va_end(ap);
}

static void trace_print(void)
{
    printf("FAIL seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < trace_count; i++)
        printf("  %2d %s\n", i, trace[i]);
    fflush(stdout);
}

static _Noreturn void broken(int client, const char *what, str frame)
{
    trace_print();
    printf("client %d: %s\n  frame: %.*s\n", client, what, FMT(frame));
    exit(1);
}

static void aborted(int signal_number)
{
    (void)signal_number;
    trace_print();
}

/* A failed CHECK and what a sanitizer finds name their schedule too. */
static void trace_on_death(void)
{
    signal(SIGABRT, aborted);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    __sanitizer_set_death_callback(trace_print);
#endif
}

/* ---- the node ---- */

static struct test_node rig;
static struct hmac *hmac;
static bool is_slow;    /* the cache answers LATER */
static bool is_faulty;  /* and fails at times */
static bool is_far;     /* the adapter answers LATER, too */
static bool is_leasing; /* members stay for LEASE_MS */
static bool is_late;    /* the app gets webhooks while it runs */
static int64_t clock_ms;

static int64_t clock_now(void *unused)
{
    (void)unused;
    return clock_ms;
}

/* ---- what webhooks are told (webhooks.md §1.2; HOOK-16, HOOK-18) ---- */

static struct {
    bool occupied, members[USERS];
    uint32_t count;
} told[CHANNELS];
static unsigned long long seen_told;

static int channel_of(str name)
{
    for (int i = 0; i < CHANNELS; i++)
        if (str_eq(name, str_z(names[i])))
            return i;
    return -1;
}

static bool has_members(int channel)
{
    bool some = false;
    for (int user = 0; user < USERS; user++)
        some |= told[channel].members[user];
    return some;
}

/* Under the lock of the channel's partition, so in the order of its changes. */
static bool is_busy; /* whoever is told refuses now and then; all of it must be told again */

static bool is_refused(const struct channel_event *e)
{
    uint32_t once = WEBHOOK_CLIENT_EVENT | WEBHOOK_CACHE_MISS;
    return is_busy && !(e->kind & once) && pick(4) == 0;
}

static bool on_told(void *ctx, struct loop *from, const struct channel_event *e)
{
    int channel = channel_of(e->channel);
    bool came = e->kind == WEBHOOK_CHANNEL_OCCUPIED || e->kind == WEBHOOK_MEMBER_ADDED;
    (void)ctx;
    (void)from;
    if (is_refused(e))
        return false;
    seen_told++;
    if (channel < 0)
        broken(-1, "a webhook of a channel nobody knows", e->channel);
    if (e->kind == WEBHOOK_CHANNEL_OCCUPIED || e->kind == WEBHOOK_CHANNEL_VACATED) {
        if (told[channel].occupied == came)
            broken(-1, "a webhook says occupied or vacated twice", e->channel);
        if (has_members(channel))
            broken(-1, "a webhook says vacated before the members have left", e->channel);
        told[channel].occupied = came;
    } else if (e->kind == WEBHOOK_MEMBER_ADDED || e->kind == WEBHOOK_MEMBER_REMOVED) {
        int user = e->user_id.p[1] - '0';
        if (told[channel].members[user] == came || !told[channel].occupied)
            broken(-1, "a webhook says added or removed twice, or of a vacant one", e->user_id);
        told[channel].members[user] = came;
    } else if (e->kind == WEBHOOK_SUBSCRIPTION_COUNT) {
        if (told[channel].count == e->count || channel == PRESENCE)
            broken(-1, "a webhook tells a subscription count again", e->channel);
        told[channel].count = e->count;
    }
    return true;
}

static struct app *app_make(uint32_t webhook_events)
{
    struct app *app = test_app();
    app->enable_client_messages = app->enable_user_authentication = true;
    app->enable_watchlist_events = app->enable_subscription_count = true;
    app->webhook_events = webhook_events;
    return app;
}

static void node_open(void)
{
    test_node_open(&rig, &(struct test_node_options){.workers = WORKERS,
                                                     .clock = clock_now,
                                                     .app = app_make(is_late ? 0 : WEBHOOKS_ALL),
                                                     .cache = is_slow ? &cache_scripted : NULL,
                                                     .adapter = is_far ? &adapter_scripted : NULL});
    rig.node.settings->activity_timeout_ms = 1000000000;
    rig.node.settings->user_authentication_timeout_ms = 1000000000;
    if (is_slow)
        cache_scripted_mail(rig.node.cache, rig.loops);
    memset(told, 0, sizeof told);
    registry_set_teller(rig.node.registry, on_told, NULL);
    registry_set_lease(rig.node.registry, is_leasing ? LEASE_MS : 0);
}

/* As after SIGHUP. */
static void webhooks_begin(void)
{
    struct err e;
    struct app *app = app_make(WEBHOOKS_ALL);
    struct app_manager_options apps = {STR("memory"), &app, 1};
    struct app_list *all = app_list_create(&app, 1);
    note("the app has webhooks");
    CHECK(app_manager_reload(rig.node.apps, &apps, &e));
    for (int i = 0; i < WORKERS; i++) {
        worker_use_apps(&rig.threads[i], all);
        worker_turn(&rig.threads[i], 0);
    }
    app_list_unref(&all);
    app_unref(&app);
}

static void all_leave(void)
{
    for (int i = 0; i < WORKERS; i++)
        worker_close_streams(&rig.threads[i]);
    registry_tick(rig.node.registry, INT64_MAX);
    for (int channel = 0; channel < CHANNELS; channel++)
        if (told[channel].occupied || has_members(channel) || told[channel].count)
            broken(-1, "all have left, and webhooks do not say so", str_z(names[channel]));
}

static void node_close(void)
{
    all_leave();
    test_node_close(&rig);
}

/* ---- clients and what they know ---- */

enum answer { ANSWER_ESTABLISHED, ANSWER_PONG, ANSWER_SIGNIN, ANSWER_SUBSCRIBED /* + channel */ };
struct view {           /* of one channel */
    bool is_subscribed; /* succeeded was received, and no unsubscribe processed since */
    bool is_repeat;     /* the last succeeded answered a repeated subscribe */
    bool wants_cached;  /* the next frame must be the cached event or the miss */
    bool wanted;        /* the last command was a subscribe */
    long last;          /* number of the last HTTP event, 0: none seen */
    long floor;         /* what was published when the answered subscribe was written */
    long ceiling;       /* what was published when it was seen to be answered */
    long sent[CLIENTS]; /* number of the last client event of each sender */
    long count;         /* of subscriptions, as last told; 0: not told */
    uint8_t members[USERS];
};
struct client {
    int fd;
    int worker, user; /* user: whom it signs in as and brings to presence */
    char socket_id[32];
    int expected[EXPECTED], expected_head, expected_tail;
    long floors[EXPECTED]; /* beside `expected`: what the channel had published */
    int closes[EXPECTED];  /* a pong: the channel whose unsubscribe is processed by now, or -1 */
    int close_head, close_tail;
    struct view views[CHANNELS];
    long said_before[CHANNELS]; /* client events of the connection before this one */
    bool is_signed_in;          /* asked for */
    bool is_watching, wants_watch;
    bool is_doomed;  /* terminated after its sign-in was answered: must be closed */
    bool is_refused; /* the error before a Close has come */
    bool is_over;    /* the Close has come */
    uint8_t online[USERS];
    char buffer[65536];
    size_t n;
};
static struct client clients[CLIENTS];
static long published[CHANNELS], client_sent[CLIENTS][CHANNELS];
static bool is_terminated[USERS];
static bool has_vanished[CLIENTS]; /* what it said last may be lost */
static arena scratch;
static unsigned long long seen_events, seen_cached, seen_misses, seen_members, seen_watched,
    seen_closes; /* in all schedules: a check that nothing comes to proves nothing */

static size_t data_nothing(struct stream *s, char *in, size_t n, bool *more)
{
    (void)s;
    (void)in;
    (void)n;
    (void)more;
    return 0;
}

static void nothing(struct stream *s)
{
    (void)s;
}

static const struct stream_user opening = {data_nothing, nothing, nothing, nothing, nothing};

static void expect(struct client *c, int answer)
{
    int at = c->expected_tail++ % EXPECTED;
    c->expected[at] = answer;
    if (answer >= ANSWER_SUBSCRIBED)
        c->floors[at] = published[answer - ANSWER_SUBSCRIBED];
}

static void client_open(int i)
{
    struct client *c = &clients[i];
    int fd[2], size = SEND_BUFFER;
    memset(c, 0, sizeof *c);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    CHECK(setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    c->fd = fd[0];
    c->worker = (int)pick(WORKERS);
    memcpy(c->said_before, client_sent[i], sizeof c->said_before);
    c->user = i % USERS; /* two clients are one user */
    struct stream *s = stream_open(&rig.threads[c->worker].worker.pool, fd[1], &opening);
    CHECK(s);
    expect(c, ANSWER_ESTABLISHED);
    conn_upgrade(s, &(struct upgrade){.key = S("k"), .query = S("")});
}

/* The old connection vanishes with whatever it has not read. */
static void client_reopen(int i)
{
    close(clients[i].fd);
    client_open(i);
    has_vanished[i] = true;
    note("client %d vanishes and is back on worker %d", i, clients[i].worker);
}

static void say(struct client *c, const char *fmt, ...) PRINTF(2, 3);
static void say(struct client *c, const char *fmt, ...)
{
    char json[1024], frame[1100];
    va_list ap;
    va_start(ap, fmt);
    size_t n = (size_t)vsnprintf(json, sizeof json, fmt, ap), head = 2;
    va_end(ap);
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        frame[head++] = (char)(n >> 8);
        frame[head++] = (char)n;
    }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, json, n);
    ssize_t sent = send(c->fd, frame, head + 4 + n, MSG_NOSIGNAL);
    CHECK(sent == (ssize_t)(head + 4 + n) || (sent < 0 && errno == EPIPE));
}

static const char *auth_of(const char *text)
{
    static char auth[80];
    uint8_t mac[32];
    str part = str_z(text);
    hmac_sign(hmac, &part, 1, mac);
    memcpy(auth, "k:", 2);
    crypto_hex(mac, 32, auth + 2);
    auth[66] = 0;
    return auth;
}

static void subscribe(int i, int channel)
{
    struct client *c = &clients[i];
    char text[256];
    if (c->socket_id[0] == 0 && channel >= PRESENCE)
        return; /* it has nothing to sign yet */
    note("client %d subscribes %s", i, names[channel]);
    if (channel == PRESENCE) {
        snprintf(text, sizeof text, "%s:%s:{\"user_id\":\"u%d\"}", c->socket_id, names[channel],
                 c->user);
        say(c,
            "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s\","
            "\"channel_data\":\"{\\\"user_id\\\":\\\"u%d\\\"}\"}}",
            names[channel], auth_of(text), c->user);
    } else {
        snprintf(text, sizeof text, "%s:%s", c->socket_id, names[channel]);
        say(c, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s\"}}",
            names[channel], channel == PRIVATE ? auth_of(text) : "");
    }
    c->views[channel].wanted = true;
    expect(c, ANSWER_SUBSCRIBED + channel);
}

static void unsubscribe(int i, int channel)
{
    struct client *c = &clients[i];
    note("client %d leaves %s", i, names[channel]);
    say(c, "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}", names[channel]);
    say(c, "{\"event\":\"pusher:ping\",\"data\":{}}"); /* its pong tells that it is processed */
    c->views[channel].wanted = false;
    expect(c, ANSWER_PONG);
    c->closes[c->close_tail++ % EXPECTED] = channel;
}

static void sign_in(int i)
{
    struct client *c = &clients[i];
    char text[256];
    if (c->socket_id[0] == 0)
        return;
    note("client %d signs in as u%d", i, c->user);
    snprintf(text, sizeof text, "%s::user::{\"id\":\"u%d\",\"watchlist\":[\"u0\",\"u1\",\"u2\"]}",
             c->socket_id, c->user);
    say(c,
        "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"%s\",\"user_data\":"
        "\"{\\\"id\\\":\\\"u%d\\\",\\\"watchlist\\\":[\\\"u0\\\",\\\"u1\\\",\\\"u2\\\"]}\"}}",
        auth_of(text), c->user);
    c->is_signed_in = true;
    expect(c, ANSWER_SIGNIN);
}

static void client_event(int i, int channel)
{
    struct client *c = &clients[i];
    if (!c->views[channel].is_subscribed || !c->views[channel].wanted)
        return; /* only what will be accepted */
    note("client %d sends to %s", i, names[channel]);
    say(c, "{\"event\":\"client-e\",\"channel\":\"%s\",\"data\":\"%d %ld\"}", names[channel], i,
        ++client_sent[i][channel]);
}

static void publish(int channel)
{
    char data[32];
    uint32_t from = pick(WORKERS + 1);
    int n = snprintf(data, sizeof data, "\"%ld\"", ++published[channel]);
    note("publish %s to %s from %u", data, names[channel], from);
    registry_publish(rig.node.registry, from == WORKERS ? NULL : rig.loops[from],
                     message_create(S("1"), str_z(names[channel]), S("e"), str_of(data, (size_t)n),
                                    S(""), MESSAGE_HTTP));
}

/* Those who know that they are signed in must hear of it; others may. */
static void terminate(int user)
{
    char id[8];
    uint32_t from = pick(WORKERS + 1);
    snprintf(id, sizeof id, "u%d", user);
    note("terminate %s from %u", id, from);
    is_terminated[user] = true;
    for (int i = 0; i < CLIENTS; i++)
        clients[i].is_doomed |= clients[i].user == user && clients[i].is_watching;
    registry_close_user(rig.node.registry, from == WORKERS ? NULL : rig.loops[from], S("1"),
                        str_z(id), WIRE_TERMINATED);
}

static void cache_answer(void)
{
    bool fail = is_faulty && pick(4) == 0;
    if (is_slow && cache_scripted_release(rig.node.cache, fail))
        note("the cache %s", fail ? "fails" : "answers");
}

static void adapter_answer(void)
{
    if (is_far && adapter_scripted_release(rig.node.adapter, pick(4) != 0))
        note("the adapter answers");
}

/* ---- checking ---- */

static int user_of(str id)
{
    CHECK(id.n == 2 && id.p[0] == 'u');
    return id.p[1] - '0';
}

static struct json inner(struct json data)
{
    struct json v;
    size_t at;
    CHECK(json_parse(json_string(data, &scratch), &v, &at));
    return v;
}

static struct json member_of(struct json object, str name)
{
    struct json_field f = {name, {0}};
    json_fields(object, &f, 1);
    return f.value;
}

/* What had been published when the command was written. */
static long answered(int i, int answer, str frame)
{
    struct client *c = &clients[i];
    int at = c->expected_head++ % EXPECTED;
    if (c->expected_head > c->expected_tail || c->expected[at] != answer)
        broken(i, "answers are not in the order of the commands", frame);
    return c->floors[at];
}

static void on_snapshot(int i, struct view *v, struct json data, str frame)
{
    struct json id;
    struct json ids = member_of(member_of(inner(data), S("presence")), S("ids"));
    uint8_t members[USERS] = {0};
    struct json_iter it = json_iter(ids);
    while (json_next(&it, NULL, &id))
        if (members[user_of(json_string(id, &scratch))]++)
            broken(i, "a member is twice in the snapshot", frame);
    if (!members[clients[i].user])
        broken(i, "the joiner is not in its own snapshot", frame);
    if (v->is_repeat && memcmp(members, v->members, sizeof members) != 0)
        broken(i, "a repeated snapshot is not what the member stream told", frame);
    memcpy(v->members, members, sizeof members);
}

static void on_subscribed(int i, int channel, struct json data, str frame)
{
    struct view *v = &clients[i].views[channel];
    long floor = answered(i, ANSWER_SUBSCRIBED + channel, frame);
    if (v->wants_cached)
        broken(i, "neither cached event nor miss came", frame);
    v->is_repeat = v->is_subscribed;
    if (!v->is_repeat) {
        v->last = v->count = 0;
        v->floor = floor;
        v->ceiling = published[channel];
        memset(v->sent, 0, sizeof v->sent);
    }
    v->is_subscribed = true;
    v->wants_cached = caches[channel];
    if (channel == PRESENCE)
        on_snapshot(i, v, data, frame);
}

static void on_member(int i, struct view *v, struct json data, bool added, str frame)
{
    int user = user_of(json_string(member_of(inner(data), S("user_id")), &scratch));
    if (added ? v->members[user] : !v->members[user])
        broken(i, added ? "a member was added twice" : "nobody there was removed", frame);
    v->members[user] = added;
    seen_members++;
}

static void on_cached(int i, struct view *v, long n, str frame)
{
    v->wants_cached = false;
    seen_cached++;
    if (is_faulty)
        return; /* what could not be stored may be missing, and an older one there */
    if (v->is_repeat ? n != v->last : n < v->floor)
        broken(i, "the cached event is not the newest", frame);
}

static void on_http_event(int i, int channel, struct json data, str frame)
{
    struct view *v = &clients[i].views[channel];
    long n = strtol(json_string(data, &scratch).p, NULL, 10);
    if (v->wants_cached) {
        on_cached(i, v, n, frame);
        if (v->is_repeat)
            return;
    } else if (v->last && n != v->last + 1 && !(is_faulty && caches[channel] && n > v->last)) {
        broken(i, "an event is lost, doubled or out of order", frame);
    } else if (n <= v->floor || (v->last == 0 && n > v->ceiling + 1)) {
        broken(i, "an event from before the subscribe, or the first one after it is lost", frame);
    }
    v->last = n;
    seen_events++;
}

static void on_miss(int i, struct view *v, str frame)
{
    if (!v->wants_cached)
        broken(i, "a miss out of place", frame);
    v->wants_cached = false;
    seen_misses++;
    if (!is_faulty && (v->last || v->floor))
        broken(i, "a miss although there is an event", frame);
}

static void on_count(int i, struct view *v, struct json data, str frame)
{
    v->count = 0;
    for (str n = member_of(inner(data), S("subscription_count")).raw; n.n; n = str_from(n, 1))
        v->count = v->count * 10 + n.p[0] - '0';
    if (v->count < 1 || v->count > 2 * CLIENTS)
        broken(i, "a count that cannot be", frame);
}

static void on_client_message(int i, int channel, struct json data, str frame)
{
    struct view *v = &clients[i].views[channel];
    int from;
    long n;
    CHECK(sscanf(json_string(data, &scratch).p, "%d %ld", &from, &n) == 2);
    if (from == i && n > clients[i].said_before[channel])
        broken(i, "its own event came back", frame);
    if (n <= v->sent[from])
        broken(i, "a client event is doubled or out of order", frame);
    if (v->sent[from] && n != v->sent[from] + 1 && !has_vanished[from])
        broken(i, "a client event is lost", frame);
    v->sent[from] = n;
}

static void on_watch(int i, struct json data, str frame)
{
    struct client *c = &clients[i];
    struct json entry, id;
    struct json_iter it = json_iter(member_of(inner(data), S("events")));
    int total = 0;
    uint8_t now[USERS];
    memcpy(now, c->online, sizeof now);
    while (json_next(&it, NULL, &entry)) {
        bool online = str_eq(json_string(member_of(entry, S("name")), &scratch), S("online"));
        struct json_iter ids = json_iter(member_of(entry, S("user_ids")));
        for (; json_next(&ids, NULL, &id); total++)
            now[user_of(json_string(id, &scratch))] = online;
    }
    if (total == 1 && memcmp(now, c->online, sizeof now) == 0)
        broken(i, "a watched user changed to what he was", frame);
    if (total != (c->wants_watch ? USERS : 1))
        broken(i, "a change before the watch-list frame, or the frame without a sign-in", frame);
    seen_watched += !c->wants_watch;
    c->is_watching = true;
    c->wants_watch = false;
    memcpy(c->online, now, sizeof now);
}

static void on_pong(int i, str frame)
{
    struct client *c = &clients[i];
    answered(i, ANSWER_PONG, frame);
    int channel = c->closes[c->close_head++ % EXPECTED];
    c->views[channel].is_subscribed = false;
    if (c->views[channel].wants_cached)
        broken(i, "neither cached event nor miss came before the leave", frame);
}

static void on_channel_frame(int i, str event, int channel, struct json data, str frame)
{
    struct view *v = &clients[i].views[channel];
    if (str_eq(event, S("pusher_internal:subscription_succeeded"))) {
        on_subscribed(i, channel, data, frame);
        return;
    }
    if (!v->is_subscribed)
        broken(i, "a frame of a channel it is not subscribed to", frame);
    if (str_eq(event, S("pusher:cache_miss"))) {
        on_miss(i, v, frame);
    } else if (str_eq(event, S("e"))) {
        on_http_event(i, channel, data, frame);
    } else if (v->wants_cached) {
        broken(i, "something came before the cached event or the miss", frame);
    } else if (str_eq(event, S("client-e"))) {
        on_client_message(i, channel, data, frame);
    } else if (str_eq(event, S("pusher_internal:subscription_count"))) {
        on_count(i, v, data, frame);
    } else {
        on_member(i, v, data, str_eq(event, S("pusher_internal:member_added")), frame);
    }
}

static void on_signin_success(int i, str frame)
{
    answered(i, ANSWER_SIGNIN, frame);
    if (clients[i].wants_watch)
        broken(i, "the watch-list frame of the sign-in before did not come", frame);
    clients[i].wants_watch = true;
}

static void on_error(int i, struct json data, str frame)
{
    struct client *c = &clients[i];
    str code = member_of(data, S("code")).raw;
    if (!str_eq(code, S("4009")) || !c->is_signed_in || !is_terminated[c->user])
        broken(i, "an error nobody provoked", frame);
    c->is_refused = true;
}

static void on_close(int i, str frame)
{
    if (!clients[i].is_refused)
        broken(i, "a Close without its error", frame);
    clients[i].is_over = true;
    seen_closes++;
}

static void on_frame(int i, str frame)
{
    struct client *c = &clients[i];
    struct json top;
    size_t at;
    struct json_field f[] = {{S("event"), {0}}, {S("channel"), {0}}, {S("data"), {0}}};
    if (c->is_refused)
        broken(i, "something between the last error and the Close, or after it", frame);
    if (!json_parse(frame, &top, &at))
        broken(i, "not JSON", frame);
    json_fields(top, f, COUNT_OF(f));
    str event = json_string(f[0].value, &scratch);
    if (str_eq(event, S("pusher:connection_established"))) {
        str id = json_string(member_of(inner(f[2].value), S("socket_id")), &scratch);
        snprintf(c->socket_id, sizeof c->socket_id, "%.*s", FMT(id));
        answered(i, ANSWER_ESTABLISHED, frame);
    } else if (str_eq(event, S("pusher:pong"))) {
        on_pong(i, frame);
    } else if (str_eq(event, S("pusher:signin_success"))) {
        on_signin_success(i, frame);
    } else if (str_eq(event, S("pusher_internal:watchlist_events"))) {
        on_watch(i, f[2].value, frame);
    } else if (str_eq(event, S("pusher:error"))) {
        on_error(i, f[2].value, frame);
    } else if (f[1].value.type == JSON_STRING) {
        on_channel_frame(i, event, channel_of(json_string(f[1].value, &scratch)), f[2].value,
                         frame);
    } else {
        broken(i, "a frame nobody knows", frame);
    }
}

/* The frame at the begin of in; empty: not all of it is there. */
static str frame_split(str in, size_t *used)
{
    const uint8_t *p = (const uint8_t *)in.p;
    *used = 0;
    if (in.n < 4)
        return S("");
    CHECK((p[0] == 0x81 || p[0] == 0x88) && p[1] < 127);
    size_t head = p[1] == 126 ? 4 : 2, n = p[1] == 126 ? (size_t)p[2] << 8 | p[3] : p[1];
    if (in.n < head + n)
        return S("");
    *used = head + n;
    return str_of(in.p + head, n);
}

/* How many bytes came. */
static size_t listen_to(int i)
{
    struct client *c = &clients[i];
    ssize_t got = recv(c->fd, c->buffer + c->n, sizeof c->buffer - c->n, 0);
    if (got > 0)
        c->n += (size_t)got;
    size_t at = 0, used;
    for (str frame; frame = frame_split(str_of(c->buffer + at, c->n - at), &used), used;) {
        if (c->buffer[at] == (char)0x88)
            on_close(i, frame);
        else
            on_frame(i, frame);
        at += used;
    }
    memmove(c->buffer, c->buffer + at, c->n - at);
    c->n -= at;
    arena_clear(&scratch);
    if (c->is_over)
        client_reopen(i);
    return got > 0 ? (size_t)got : 0;
}

/* ---- running ---- */

static void turn(uint32_t w)
{
    note("worker %u turns", w);
    clock_ms++;
    worker_turn(&rig.threads[w], 0);
}

/* Only in a faulty schedule do answers come too late: a deadline of Confirm is a miss. */
static void time_passes(int64_t ms)
{
    for (bool more = !is_faulty && (is_far || is_slow); more;) {
        for (int w = 0; w < WORKERS; w++)
            worker_turn(&rig.threads[w], 0);
        more = is_far && adapter_scripted_release(rig.node.adapter, true);
        more |= is_slow && cache_scripted_release(rig.node.cache, false);
    }
    clock_ms += ms;
    registry_tick(rig.node.registry, clock_ms);
}

static void rare_step(int i)
{
    uint32_t kind = pick(4);
    if (kind < 2) {
        note("time passes");
        time_passes(100 + pick(1200));
    } else if (kind == 2) {
        client_reopen(i);
    } else {
        terminate((int)pick(USERS));
    }
}

static void step(void)
{
    int i = (int)pick(CLIENTS), channel = (int)pick(CHANNELS);
    uint32_t kind = pick(32);
    if (kind < 6)
        subscribe(i, channel);
    else if (kind < 8)
        unsubscribe(i, channel);
    else if (kind < 13)
        publish(channel);
    else if (kind < 15)
        client_event(i, PRESENCE + (int)pick(2));
    else if (kind < 17)
        sign_in(i);
    else if (kind < 20)
        pick(2) ? cache_answer() : adapter_answer();
    else if (kind < 22)
        rare_step(i);
    else
        turn(pick(WORKERS));
    for (i = 0; i < CLIENTS; i++)
        if (pick(4))
            listen_to(i);
}

/* Until nothing moves any more. */
static void settle_now(int enough)
{
    int quiet = 0;
    for (int round = 0; quiet < enough; round++) {
        size_t moved = 0;
        CHECK(round < ROUNDS_MAX);
        while (is_far && adapter_scripted_release(rig.node.adapter, true))
            moved++;
        while (is_slow && cache_scripted_release(rig.node.cache, false))
            moved++;
        for (int w = 0; w < WORKERS; w++)
            worker_turn(&rig.threads[w], 0);
        for (int i = 0; i < CLIENTS; i++)
            moved += listen_to(i);
        quiet = moved ? 0 : quiet + 1;
    }
}

static bool somebody_waits(void)
{
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].expected_head != clients[i].expected_tail)
            return true;
    return false;
}

/* And until what waits for its time has had it: graces of 3 s, repeats of one a second. */
static void settle(void)
{
    settle_now(4);
    int enough = is_leasing ? SETTLE_LEASE_S : SETTLE_S;
    for (int quiet = 0, second = 0; quiet < enough && second < 60; second++) {
        time_passes(1000);
        settle_now(2);
        quiet = somebody_waits() ? 0 : quiet + 1;
    }
    settle_now(3);
}

/* Who was there before the webhooks need not be told of. */
static void told_late_check(int channel, uint32_t count, const bool *members)
{
    if (told[channel].occupied && count == 0)
        broken(-1, "it is empty, and no webhook says so", str_z(names[channel]));
    for (int user = 0; channel == PRESENCE && user < USERS; user++)
        if (told[channel].members[user] && !members[user])
            broken(-1, "a member has left, and no webhook says so", str_z(names[channel]));
}

static void told_check(void)
{
    for (int channel = 0; channel < CHANNELS; channel++) {
        uint32_t count = 0;
        bool members[USERS] = {false};
        for (int i = 0; i < CLIENTS; i++) {
            count += clients[i].views[channel].is_subscribed;
            members[clients[i].user] |= clients[i].views[channel].is_subscribed;
        }
        if (is_late) {
            told_late_check(channel, count, members);
            continue;
        }
        if (told[channel].occupied != (count > 0))
            broken(-1,
                   count ? "it is occupied, and no webhook says so"
                         : "it is empty, and no webhook says so",
                   str_z(names[channel]));
        if (channel == PRESENCE && memcmp(told[channel].members, members, sizeof members) != 0)
            broken(-1, "webhooks do not tell who is there", str_z(names[channel]));
        if (channel != PRESENCE && told[channel].count != count)
            broken(-1, "webhooks do not tell the subscription count", str_z(names[channel]));
    }
}

static void channel_check(int i, int channel)
{
    const struct view *v = &clients[i].views[channel];
    long count = 0;
    if (v->is_subscribed != v->wanted || v->wants_cached)
        broken(i, "not subscribed as asked for", str_z(names[channel]));
    if (!v->is_subscribed)
        return;
    if ((v->last || v->ceiling < published[channel] || (caches[channel] && !is_faulty)) &&
        v->last != published[channel] && !(is_faulty && caches[channel]))
        broken(i, "the last event is missing", str_z(names[channel]));
    for (int k = 0; k < CLIENTS; k++)
        count += clients[k].views[channel].is_subscribed;
    if (v->count != (channel == PRESENCE ? 0 : count))
        broken(i, "the subscription count is not the truth", str_z(names[channel]));
}

static void user_check(int i, int user)
{
    const struct client *c = &clients[i];
    bool member = false, online = false;
    for (int k = 0; k < CLIENTS; k++) {
        member |= clients[k].user == user && clients[k].views[PRESENCE].is_subscribed;
        online |= clients[k].user == user && clients[k].is_signed_in;
    }
    if (c->views[PRESENCE].is_subscribed && c->views[PRESENCE].members[user] != member)
        broken(i, "its member list is not the truth", S(""));
    if (c->is_signed_in && c->online[user] != online)
        broken(i, "its watch list is not the truth", S(""));
}

static void truth_check(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *c = &clients[i];
        if (c->expected_head != c->expected_tail)
            broken(i, "a command was never answered", S(""));
        if (c->is_doomed)
            broken(i, "it was terminated but not closed", S(""));
        if (c->is_signed_in != c->is_watching || c->wants_watch)
            broken(i, "its sign-in brought no watch-list frame", S(""));
        for (int channel = 0; channel < CHANNELS; channel++)
            channel_check(i, channel);
        for (int user = 0; user < USERS; user++)
            user_check(i, user);
    }
    told_check();
}

static void schedule(uint64_t n)
{
    seed = n;
    state = n * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 4; i++)
        pick(2);
    trace_count = 0;
    is_slow = n % 2;
    is_faulty = n % 4 == 3;
    is_far = n % 3 == 0;
    is_leasing = n % 5 == 2;
    is_late = n % 7 == 3;
    memset(published, 0, sizeof published);
    memset(is_terminated, 0, sizeof is_terminated);
    memset(has_vanished, 0, sizeof has_vanished);
    memset(client_sent, 0, sizeof client_sent);
    node_open();
    for (int i = 0; i < CLIENTS; i++)
        client_open(i);
    settle();
    is_busy = n % 11 == 5;
    for (int i = 0; i < STEPS; i++) {
        step();
        if (is_late && i == STEPS / 3)
            webhooks_begin();
    }
    is_busy = false;
    settle();
    truth_check();
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i].fd);
    node_close();
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 20000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            first = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--schedules") == 0)
            count = strtoull(argv[i + 1], NULL, 10);
    }
    trace_on_death();
    hmac = hmac_create(S("s"));
    for (uint64_t n = first; n < first + count; n++)
        schedule(n);
    hmac_destroy(&hmac);
    arena_finish(&scratch);
    trace_count = 0;
    printf("interleave: %llu schedules of %d steps, seeds from %llu\n", (unsigned long long)count,
           STEPS, (unsigned long long)first);
    printf("seen: %llu events, %llu cached, %llu misses, %llu members, %llu watched, %llu closes, "
           "%llu webhooks\n",
           seen_events, seen_cached, seen_misses, seen_members, seen_watched, seen_closes,
           seen_told);
    return 0;
}
