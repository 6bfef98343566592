/* interleave/interleave.c - several workers on one thread under a seeded scheduler.
 *
 * Random clients subscribe, repeat, leave, publish, join presence, use cache channels, sign in and
 * watch; random workers turn. After each step what the clients have received is checked against
 * the promises of websocket-protocol.md §17 (also §9.3, §10, §14.5): answers in the order of the
 * commands; per channel nothing before its subscription_succeeded, nothing lost, doubled or out of
 * order; snapshot and member stream agree; the cached event or the miss comes first; nothing after
 * an unsubscribe that was processed. At the end of a schedule every client's picture must be the
 * truth.
 *
 * interleave [--schedules N] [--seed S]: a failure prints its seed and the steps that led to it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "conn/conn.h"
#include "server/worker.h"
#include "support/cache_scripted.h"

enum { WORKERS = 2, CLIENTS = 4, STEPS = 40, CHANNELS = 4, USERS = 3, EXPECTED = 256 };

static const char *const names[CHANNELS] = {"public", "cache-c", "presence-cache-p", "private-a"};
static const bool caches[CHANNELS] = {false, true, true, false};
enum { PRESENCE = 2, PRIVATE = 3 };

/* ---- the schedule ---- */

static uint64_t seed, state;
static char trace[STEPS * 2][96];
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

static _Noreturn void broken(int client, const char *what, str frame)
{
    printf("FAIL seed %llu: client %d: %s\n  frame: %.*s\n", (unsigned long long)seed, client, what,
           FMT(frame));
    for (int i = 0; i < trace_count; i++)
        printf("  %2d %s\n", i, trace[i]);
    exit(1);
}

/* ---- the node ---- */

static struct node node;
static struct worker_thread threads[WORKERS];
static struct loop *loops[WORKERS];
static struct hmac *hmac;
static bool is_slow; /* the cache answers LATER */
static int64_t clock_ms;

static int64_t clock_now(void *unused)
{
    (void)unused;
    return clock_ms;
}

static void node_open(void)
{
    struct err e;
    struct app *app = app_create();
    app->id = arena_str(&app->memory, S("1"));
    app->key = arena_str(&app->memory, S("k"));
    app->secret = arena_str(&app->memory, S("s"));
    app->enabled = app->enable_client_messages = app->enable_user_authentication = true;
    app->enable_watchlist_events = true;
    struct app_manager_options apps = {STR("memory"), &app, 1};
    struct cache_options cache = {.driver = STR("memory"), .now_ms = clock_now};
    memset(&node, 0, sizeof node);
    app_lives_init(&node.lives);
    node.worker_count = WORKERS;
    node.settings = (struct settings){.activity_timeout_ms = 1000000000,
                                      .user_authentication_timeout_ms = 1000000000,
                                      .max_payload_bytes = 65536,
                                      .max_message_bytes = 65536,
                                      .max_frame_bytes = 65536};
    node.apps = app_manager_create(&apps, &e);
    node.cache =
        is_slow ? cache_create_with(&cache_scripted, &cache, &e) : cache_create(&cache, &e);
    CHECK(node.apps && node.cache);
    app_unref(&app);
    node_use(&node);
    for (uint16_t i = 0; i < WORKERS; i++) {
        CHECK(worker_init(&threads[i], &node, i, clock_now, NULL, &e));
        loops[i] = &threads[i].worker.loop;
    }
    node.registry = registry_create(WORKERS, loops, node.cache, 3600000);
}

static void node_close(void)
{
    for (int i = 0; i < WORKERS; i++)
        worker_close_streams(&threads[i]);
    for (int i = 0; i < WORKERS; i++)
        worker_finish(&threads[i]);
    registry_destroy(&node.registry);
    cache_destroy(&node.cache);
    app_manager_destroy(&node.apps);
    app_lives_finish(&node.lives);
    node_use(NULL);
}

/* ---- clients and what they know ---- */

enum answer { ANSWER_ESTABLISHED, ANSWER_PONG, ANSWER_SIGNIN, ANSWER_SUBSCRIBED /* + channel */ };
struct view {           /* of one channel */
    bool is_subscribed; /* succeeded was received, and no unsubscribe processed since */
    bool wants_cached;  /* the next frame must be the cached event or the miss */
    bool wanted;        /* the last command was a subscribe */
    long last;          /* number of the last HTTP event, 0: none seen */
    long sent[CLIENTS]; /* number of the last client event of each sender */
    uint8_t members[USERS];
};
struct client {
    int fd;
    int worker, user; /* user: whom it signs in as and brings to presence */
    char socket_id[32];
    int expected[EXPECTED], expected_head, expected_tail;
    int closes[EXPECTED]; /* a pong: the channel whose unsubscribe is processed by now, or -1 */
    int close_head, close_tail;
    struct view views[CHANNELS];
    bool is_signed_in, watch_begun;
    uint8_t online[USERS];
    char buffer[65536];
    size_t n;
};
static struct client clients[CLIENTS];
static long published[CHANNELS], client_sent[CLIENTS];
static arena scratch;

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
    c->expected[c->expected_tail++ % EXPECTED] = answer;
}

static void client_open(int i)
{
    struct client *c = &clients[i];
    int fd[2];
    memset(c, 0, sizeof *c);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    c->fd = fd[0];
    c->worker = i % WORKERS;
    c->user = i % USERS; /* two clients are one user */
    struct stream *s = stream_open(&threads[c->worker].worker.pool, fd[1], &opening);
    CHECK(s);
    expect(c, ANSWER_ESTABLISHED);
    conn_upgrade(s, &(struct upgrade){.key = S("k"), .query = S("")});
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
    CHECK(send(c->fd, frame, head + 4 + n, MSG_NOSIGNAL) == (ssize_t)(head + 4 + n));
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
        ++client_sent[i]);
}

static void publish(int channel)
{
    char data[32];
    uint32_t from = pick(WORKERS + 1);
    int n = snprintf(data, sizeof data, "\"%ld\"", ++published[channel]);
    note("publish %s to %s from %u", data, names[channel], from);
    registry_publish(node.registry, from == WORKERS ? NULL : loops[from],
                     message_create(S("1"), str_z(names[channel]), S("e"), str_of(data, (size_t)n),
                                    S(""), MESSAGE_HTTP));
}

/* ---- checking ---- */

static int channel_of(str name)
{
    for (int i = 0; i < CHANNELS; i++)
        if (str_eq(name, str_z(names[i])))
            return i;
    return -1;
}

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

static void answered(int i, int answer, str frame)
{
    struct client *c = &clients[i];
    if (c->expected_head == c->expected_tail ||
        c->expected[c->expected_head++ % EXPECTED] != answer)
        broken(i, "answers are not in the order of the commands", frame);
}

static void on_snapshot(int i, struct view *v, struct json data, str frame)
{
    struct json id;
    struct json ids = member_of(member_of(inner(data), S("presence")), S("ids"));
    memset(v->members, 0, sizeof v->members);
    struct json_iter it = json_iter(ids);
    while (json_next(&it, NULL, &id))
        v->members[user_of(json_string(id, &scratch))]++;
    if (!v->members[clients[i].user])
        broken(i, "the joiner is not in its own snapshot", frame);
}

static void on_subscribed(int i, int channel, struct json data, str frame)
{
    struct view *v = &clients[i].views[channel];
    answered(i, ANSWER_SUBSCRIBED + channel, frame);
    if (v->wants_cached)
        broken(i, "neither cached event nor miss came", frame);
    if (!v->is_subscribed) {
        v->last = 0;
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
}

static void on_http_event(int i, struct view *v, struct json data, str frame)
{
    long n = strtol(json_string(data, &scratch).p, NULL, 10);
    if (v->wants_cached) {
        if (n < v->last)
            broken(i, "an older event was replayed", frame);
    } else if (v->last && n != v->last + 1) {
        broken(i, "an event is lost, doubled or out of order", frame);
    }
    v->wants_cached = false;
    v->last = n;
}

static void on_client_message(int i, struct view *v, struct json data, str frame)
{
    int from;
    long n;
    CHECK(sscanf(json_string(data, &scratch).p, "%d %ld", &from, &n) == 2);
    if (from == i)
        broken(i, "its own event came back", frame);
    if (n <= v->sent[from])
        broken(i, "a client event is doubled or out of order", frame);
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
    if (!c->watch_begun && total != USERS)
        broken(i, "a change came before the first watch-list frame", frame);
    c->watch_begun = true;
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
        if (!v->wants_cached || v->last)
            broken(i, "a miss out of place", frame);
        v->wants_cached = false;
    } else if (str_eq(event, S("e"))) {
        on_http_event(i, v, data, frame);
    } else if (v->wants_cached && v->last == 0) {
        broken(i, "something came before the cached event or the miss", frame);
    } else if (str_eq(event, S("client-e"))) {
        on_client_message(i, v, data, frame);
    } else {
        on_member(i, v, data, str_eq(event, S("pusher_internal:member_added")), frame);
    }
}

static void on_frame(int i, str frame)
{
    struct client *c = &clients[i];
    struct json top;
    size_t at;
    struct json_field f[] = {{S("event"), {0}}, {S("channel"), {0}}, {S("data"), {0}}};
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
        answered(i, ANSWER_SIGNIN, frame);
    } else if (str_eq(event, S("pusher_internal:watchlist_events"))) {
        on_watch(i, f[2].value, frame);
    } else if (f[1].value.type == JSON_STRING && !str_eq(event, S("pusher:error"))) {
        on_channel_frame(i, event, channel_of(json_string(f[1].value, &scratch)), f[2].value,
                         frame);
    } else {
        broken(i, "an error nobody provoked", frame);
    }
}

static void listen_to(int i)
{
    struct client *c = &clients[i];
    ssize_t got = recv(c->fd, c->buffer + c->n, sizeof c->buffer - c->n, 0);
    if (got > 0)
        c->n += (size_t)got;
    size_t at = 0;
    while (c->n - at >= 2) {
        const uint8_t *p = (const uint8_t *)c->buffer + at;
        size_t len = p[1], head = 2;
        if (len == 126) {
            if (c->n - at < 4)
                break;
            len = (size_t)p[2] << 8 | p[3];
            head = 4;
        }
        CHECK(p[0] == 0x81 && p[1] < 127);
        if (c->n - at < head + len)
            break;
        on_frame(i, str_of(c->buffer + at + head, len));
        at += head + len;
    }
    memmove(c->buffer, c->buffer + at, c->n - at);
    c->n -= at;
    arena_clear(&scratch);
}

static void listen_all(void)
{
    for (int i = 0; i < CLIENTS; i++)
        listen_to(i);
}

/* ---- running ---- */

static void step(void)
{
    int i = (int)pick(CLIENTS), channel = (int)pick(CHANNELS);
    switch (pick(12)) {
    case 0:
    case 1:
    case 2:
        subscribe(i, channel);
        break;
    case 3:
        unsubscribe(i, channel);
        break;
    case 4:
    case 5:
        publish(channel);
        break;
    case 6:
        client_event(i, PRESENCE + (int)pick(2));
        break;
    case 7:
        sign_in(i);
        break;
    case 8:
        if (is_slow)
            cache_scripted_release(node.cache, false);
        break;
    default: {
        uint32_t w = pick(WORKERS);
        note("worker %u turns", w);
        clock_ms++;
        worker_turn(&threads[w], 0);
    }
    }
    listen_all();
}

static void settle(void)
{
    for (int round = 0; round < 12; round++) {
        while (is_slow && cache_scripted_release(node.cache, false))
            ;
        for (int w = 0; w < WORKERS; w++)
            worker_turn(&threads[w], 0);
        listen_all();
    }
}

static void truth_check(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        if (c->expected_head != c->expected_tail)
            broken(i, "a command was never answered", S(""));
        for (int ch = 0; ch < CHANNELS; ch++) {
            struct view *v = &c->views[ch];
            if (v->is_subscribed != v->wanted || v->wants_cached)
                broken(i, "not subscribed as asked for", str_z(names[ch]));
            if (v->is_subscribed && (v->last || caches[ch]) && v->last != published[ch])
                broken(i, "the last event is missing", str_z(names[ch]));
        }
        for (int u = 0; u < USERS; u++) {
            bool member = false, online = false;
            for (int k = 0; k < CLIENTS; k++) {
                member |= clients[k].user == u && clients[k].views[PRESENCE].is_subscribed;
                online |= clients[k].user == u && clients[k].is_signed_in;
            }
            if (c->views[PRESENCE].is_subscribed && (c->views[PRESENCE].members[u] > 0) != member)
                broken(i, "its member list is not the truth", S(""));
            if (c->is_signed_in && c->online[u] != online)
                broken(i, "its watch list is not the truth", S(""));
        }
    }
}

static void schedule(uint64_t n)
{
    seed = n;
    state = n * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 4; i++)
        pick(2);
    trace_count = 0;
    is_slow = n % 2;
    memset(published, 0, sizeof published);
    memset(client_sent, 0, sizeof client_sent);
    node_open();
    for (int i = 0; i < CLIENTS; i++)
        client_open(i);
    settle();
    for (int i = 0; i < STEPS; i++)
        step();
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
    hmac = hmac_create(S("s"));
    for (uint64_t n = first; n < first + count; n++)
        schedule(n);
    hmac_destroy(&hmac);
    arena_finish(&scratch);
    printf("interleave: %llu schedules of %d steps, seeds from %llu\n", (unsigned long long)count,
           STEPS, (unsigned long long)first);
    return 0;
}
