/* unit/conn_conn - connections whose app store, adapter or cache is slow or away (WS-22; design §4,
 * Confirm), what must wait for its second (R12, R13) and what may be unread (R9), on one worker
 * that the test drives turn by turn, with a clock of its own. */
#include "conn/pending.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "api/http.h"
#include "base/crypto.h"
#include "support/adapter_scripted.h"
#include "support/app_scripted.h"
#include "support/cache_scripted.h"
#include "support/test_node.h"

static struct test_node rig;

static int64_t clock_ms = 1000000; /* stands still until the test moves it */
static bool is_far, is_slow, has_users, has_hooks;

static int64_t test_clock(void *unused)
{
    (void)unused;
    return clock_ms;
}

static int begin(void **state)
{
    (void)state;
    struct app *app = test_app();
    app->enable_user_authentication = has_users;
    app->enable_watchlist_events = has_users;
    app->enable_client_messages = has_users;
    app->webhook_events = has_hooks ? WEBHOOK_MEMBER_ADDED | WEBHOOK_MEMBER_REMOVED : 0;
    test_node_open(&rig, &(struct test_node_options){.workers = 1,
                                                     .clock = test_clock,
                                                     .app = app,
                                                     .apps = &app_scripted,
                                                     .cache = is_slow ? &cache_scripted : NULL,
                                                     .adapter = is_far ? &adapter_scripted : NULL});
    return 0;
}

static int begin_far(void **state)
{
    is_far = true;
    int rc = begin(state);
    is_far = false;
    return rc;
}

static int begin_far_and_slow(void **state)
{
    is_slow = true;
    int rc = begin_far(state);
    is_slow = false;
    return rc;
}

static int begin_with_users(void **state)
{
    has_users = true;
    int rc = begin(state);
    has_users = false;
    return rc;
}

static int begin_with_hooks(void **state)
{
    has_hooks = true;
    int rc = begin(state);
    has_hooks = false;
    return rc;
}

static int begin_far_with_users(void **state)
{
    is_far = true;
    int rc = begin_with_users(state);
    is_far = false;
    return rc;
}

static int end(void **state)
{
    (void)state;
    test_node_close(&rig);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        worker_turn(&rig.threads[0], 0);
}

/* Opens a connection and sends `text`; gives the client's end. */
static int say(const char *text)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_non_null(http_open(&rig.threads[0].worker, fd[1], HTTP_MAIN));
    assert_int_equal(send(fd[0], text, strlen(text), 0), (ssize_t)strlen(text));
    turn();
    return fd[0];
}

static const char upgrade[] = "GET /app/k?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static bool heard(int fd, const char *what)
{
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    return n > 0 && memmem(buffer, (size_t)n, what, strlen(what));
}

/* MET-25: it is counted too, of nobody's app. */
static void ws22_store_is_away(void **state)
{
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_FAIL);
    const metrics_cell *errors = metrics_app(S("unknown"))->cells.connection_errors;
    uint64_t before = errors[label_error_type_APP_VALIDATION_FAILED];
    int fd = say(upgrade);
    assert_true(heard(fd, "{\"code\":4100,\"message\":\"App lookup failed\"}"));
    assert_int_equal(errors[label_error_type_APP_VALIDATION_FAILED], before + 1);
    close(fd);
    fd = say("GET /up/1 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(heard(fd, "503"));
    close(fd);
    turn();
    assert_int_equal(atomic_load(&rig.node.connections), 0);
    assert_int_equal(rig.threads[0].worker.pool.live, 0);
}

static void ws22_store_is_slow(void **state)
{
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_LATER);
    int good = say(upgrade), bad = say(upgrade), gone = say(upgrade);
    int up = say("GET /up/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(heard(good, "101 Switching") && !heard(good, "established"));
    assert_int_equal(rig.threads[0].worker.parked, 3);
    close(gone);
    turn();
    assert_true(app_scripted_release(rig.node.apps, false));
    assert_true(app_scripted_release(rig.node.apps, true));
    assert_true(app_scripted_release(rig.node.apps, false)); /* nobody is there any more */
    assert_false(heard(up, "200"));
    assert_true(app_scripted_release(rig.node.apps, false));
    turn();
    assert_true(heard(good, "pusher:connection_established"));
    assert_true(heard(bad, "App lookup failed"));
    assert_true(heard(up, "X-Health-Check: OK"));
    assert_int_equal(rig.threads[0].worker.parked, 0);
    assert_int_equal(atomic_load(&rig.node.connections), 1);
    close(good);
    close(bad);
    close(up);
    turn();
    assert_int_equal(atomic_load(&rig.node.connections), 0);
    assert_int_equal(rig.threads[0].worker.pool.live, 0);
}

/* Its answer comes when the drain has passed by: who would be told of it any more (WS-118)? */
static void ws118_store_answers_into_the_drain(void **state)
{
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_LATER);
    int fd = say(upgrade);
    atomic_store(&rig.node.draining, true);
    assert_true(app_scripted_release(rig.node.apps, false));
    turn();
    assert_true(heard(fd, "{\"code\":4100,\"message\":\"Server shutting down\"}"));
    assert_int_equal(atomic_load(&rig.node.connections), 0);
    close(fd);
    turn();
}

/* http-api.md §9: the look-up of /up/{app} takes health_check_timeout_ms at most; what the store
 * says later is not taken for the answer to the next request. */
static void up_does_not_wait_for_a_slow_store(void **state)
{
    static const char ask[] = "GET /up/1 HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_LATER);
    int fd = say(ask);
    clock_ms += rig.node.settings->health_check_timeout_ms - 100;
    turn();
    assert_false(heard(fd, "X-Health-Check"));
    clock_ms += 400;
    turn();
    assert_true(heard(fd, "503") && app_scripted_asked(rig.node.apps) == 1);
    assert_int_equal(send(fd, ask, strlen(ask), 0), (ssize_t)strlen(ask));
    turn();
    assert_true(app_scripted_release(rig.node.apps, true)); /* of the first */
    turn();
    assert_false(heard(fd, "X-Health-Check"));
    assert_true(app_scripted_release(rig.node.apps, false));
    turn();
    assert_true(heard(fd, "X-Health-Check: OK"));
    close(fd);
    turn();
    assert_int_equal(rig.threads[0].worker.pool.live, 0);
}

/* Turns until nothing more comes; gives the bytes the client heard. */
static size_t hear_all(int fd)
{
    static char buffer[1 << 16];
    size_t total = 0;
    for (int quiet = 0; quiet < 3; quiet++) {
        ssize_t n;
        turn();
        while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
            total += (size_t)n;
            quiet = 0;
        }
    }
    return total;
}

/* security.md R9: more small frames and requests in one packet than a turn may work on are kept
 * and answered in the turns that follow */
static void r9_packets_full_of_work(void **state)
{
    enum { PINGS = 10900, REQUESTS = 1800 };
    static const char request[] = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
    static char packet[PINGS * 6 + 1];
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    for (size_t i = 0; i < PINGS; i++)
        memcpy(packet + i * 6, "\x89\x80\1\1\1\1", 6);
    assert_int_equal(send(fd, packet, PINGS * 6, 0), PINGS * 6);
    assert_int_equal(hear_all(fd), PINGS * 2); /* a Pong each */
    close(fd);
    fd = say(request);
    size_t one = hear_all(fd);
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(packet + i * (sizeof request - 1), request, sizeof request - 1);
    assert_int_equal(send(fd, packet, REQUESTS * (sizeof request - 1), 0),
                     REQUESTS * (sizeof request - 1));
    assert_int_equal(hear_all(fd), REQUESTS * one);
    close(fd);
    turn();
}

/* SEC-2: a message that is not whole a minute after its first byte ends the connection, however
 * lively its bytes and the Pings between them are. */
static void sec2_trickled_message(void **state)
{
    static const char first[] = {0x01, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char next[] = {0x00, (char)0x81, 0, 0, 0, 0, 'x'};
    static const char ping[] = {(char)0x89, (char)0x80, 0, 0, 0, 0};
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    assert_int_equal(send(fd, first, sizeof first, 0), sizeof first);
    turn();
    for (int s = 1; s < 60; s++) {
        const char *bytes = s % 2 ? next : ping;
        size_t n = s % 2 ? sizeof next : sizeof ping;
        clock_ms += 1000;
        assert_int_equal(send(fd, bytes, n, 0), (ssize_t)n);
        turn();
        assert_false(heard(fd, "\x03\xea"));
    }
    for (int i = 0; i < 4; i++) {
        clock_ms += 500;
        turn();
    }
    assert_true(heard(fd, "\x03\xeaMessage not completed in time"));
    close(fd);
    turn();
}

/* Who talks without a pause is in the middle of a message whenever we look, and each was in time.
 */
static void sec2_messages_without_a_pause(void **state)
{
    enum { HEAD = 10 };
    static const char message[] = "\x81\x8d\0\0\0\0{\"event\":\"x\"}";
    char turned[sizeof message - 1];
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    memcpy(turned, message + HEAD, sizeof turned - HEAD);
    memcpy(turned + sizeof turned - HEAD, message, HEAD);
    assert_int_equal(send(fd, message, HEAD, 0), HEAD);
    for (int s = 0; s < 2 * CONN_MESSAGE_TIMEOUT_MS / 1000; s++) {
        assert_int_equal(send(fd, turned, sizeof turned, 0), sizeof turned);
        turn();
        clock_ms += 1000;
        turn();
        assert_false(heard(fd, "not completed"));
    }
    close(fd);
    turn();
}

/* ---- Confirm (design §4): what is waited for, and for how long ---- */

static void send_text(int fd, const char *json)
{
    char frame[1024];
    size_t n = strlen(json), head = n < 126 ? 6 : 8;
    assert_true(n + head <= sizeof frame);
    memset(frame, 0, head); /* the mask changes nothing */
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        frame[2] = (char)(n >> 8);
        frame[3] = (char)n;
    }
    memcpy(frame + head, json, n);
    assert_int_equal(send(fd, frame, n + head, 0), (ssize_t)(n + head));
    turn();
}

static int subscriber(const char *channel)
{
    char text[128];
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    send_text(fd, text);
    return fd;
}

/* The wheel looks at a deadline up to two of its ticks late. */
static void time_passes(int64_t ms)
{
    clock_ms += ms;
    turn();
}

static void leave(int fd)
{
    close(fd);
    turn();
    assert_int_equal(rig.threads[0].worker.pool.live, 0);
}

static void subscribe_waits_for_the_adapter(void **state)
{
    (void)state;
    int fd = subscriber("a"), gone = subscriber("b");
    assert_false(heard(fd, "subscription_succeeded"));
    close(gone);
    turn();
    assert_int_equal(adapter_scripted_unsubscribed(rig.node.adapter), 1);
    assert_true(adapter_scripted_release(rig.node.adapter, true));
    turn();
    assert_true(heard(fd, "subscription_succeeded"));
    assert_true(adapter_scripted_release(rig.node.adapter, true)); /* nobody is there any more */
    leave(fd);
    assert_int_equal(adapter_scripted_unsubscribed(rig.node.adapter), 2);
}

static void adapter_is_away(void **state)
{
    (void)state;
    int fd = subscriber("a");
    time_passes(STEP_ADAPTER_MS - 500);
    assert_false(heard(fd, "subscription_succeeded"));
    time_passes(700);
    assert_true(heard(fd, "subscription_succeeded")); /* it goes on alone */
    assert_true(
        adapter_scripted_release(rig.node.adapter, true)); /* too late, and nothing happens */
    turn();
    assert_false(heard(fd, "subscription_succeeded"));
    leave(fd);
}

static void adapter_says_it_is_away(void **state)
{
    (void)state;
    int fd = subscriber("a");
    assert_true(adapter_scripted_release(rig.node.adapter, false));
    turn();
    assert_true(heard(fd, "subscription_succeeded"));
    leave(fd);
}

static void cache_is_asked_behind_the_adapter(void **state)
{
    (void)state;
    int fd = subscriber("cache-a");
    assert_int_equal(cache_scripted_waiting(rig.node.cache), 0);
    assert_true(adapter_scripted_release(rig.node.adapter, true));
    assert_int_equal(cache_scripted_waiting(rig.node.cache), 1);
    turn();
    assert_false(heard(fd, "subscription_succeeded"));
    time_passes(STEP_CACHE_MS + 200);
    assert_true(heard(fd, "pusher:cache_miss")); /* bounded wait, then a miss */
    assert_true(cache_scripted_release(rig.node.cache, false));
    turn();
    assert_false(heard(fd, "pusher"));
    leave(fd);
}

/* All that has come, with blanks for NULs, "" if nothing has. Valid until the next call. */
static const char *all_heard(int fd)
{
    static char buffer[16384];
    ssize_t n = recv(fd, buffer, sizeof buffer - 1, 0);
    n = n < 0 ? 0 : n;
    for (ssize_t i = 0; i < n; i++)
        buffer[i] = buffer[i] ? buffer[i] : ' ';
    buffer[n] = '\0';
    return buffer;
}

/* One that waits holds back those behind it, in their order; both share the wait. */
static void answers_keep_their_order(void **state)
{
    (void)state;
    int fd = subscriber("a");
    send_text(fd, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"b\"}}");
    send_text(fd, "{\"event\":\"pusher:ping\",\"data\":{}}");
    time_passes(STEP_ADAPTER_MS + 200);
    const char *buffer = all_heard(fd);
    const char *a = strstr(buffer, "\"channel\":\"a\""), *b = strstr(buffer, "\"channel\":\"b\""),
               *pong = strstr(buffer, "pusher:pong");
    assert_true(a && b && pong && a < b && b < pong);
    leave(fd);
}

/* ---- what must wait for its second (security.md R12, R13; SEC-13) ---- */

#define PING "{\"event\":\"pusher:ping\",\"data\":{}}"
#define SUBSCRIBE(name) "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" name "\"}}"

/* The first repeat is free, the second waits, with all that stands behind it; others do not. */
static void r12_repeated_subscribes_wait(void **state)
{
    (void)state;
    int fd = subscriber("a"), other = subscriber("b");
    assert_true(heard(fd, "subscription_succeeded") && heard(other, "subscription_succeeded"));
    send_text(fd, SUBSCRIBE("a"));
    assert_true(heard(fd, "subscription_succeeded"));
    send_text(fd, SUBSCRIBE("a"));
    send_text(fd, PING);
    send_text(fd, SUBSCRIBE("a"));
    send_text(fd, SUBSCRIBE("c"));
    time_passes(CONN_REPEAT_MS - 1);
    assert_string_equal(all_heard(fd), "");
    send_text(other, SUBSCRIBE("b"));
    send_text(other, PING);
    const char *at = all_heard(other);
    assert_true(strstr(at, "subscription_succeeded") && strstr(at, "pusher:pong"));
    time_passes(200);
    at = strstr(all_heard(fd), "\"channel\":\"a\"");
    assert_true(at && strstr(at, "pusher:pong")); /* and the third waits for a second of its own */
    assert_null(strstr(at + 1, "subscription_succeeded"));
    time_passes(CONN_REPEAT_MS + 200);
    at = strstr(all_heard(fd), "\"channel\":\"a\"");
    assert_true(at && strstr(at, "\"channel\":\"c\""));
    time_passes(2 * CONN_REPEAT_MS);
    send_text(fd, SUBSCRIBE("a")); /* a second has passed: free again */
    assert_true(heard(fd, "subscription_succeeded"));
    close(other);
    leave(fd);
}

/* "Of a channel": who subscribes anew to all that he has does not wait a second for each. */
static void r12_each_channel_has_a_free_repeat(void **state)
{
    (void)state;
    int fd = subscriber("a");
    for (int i = 0; i < 2; i++) {
        send_text(fd, SUBSCRIBE("a"));
        send_text(fd, SUBSCRIBE("b"));
        send_text(fd, SUBSCRIBE("c"));
        send_text(fd, PING);
        assert_non_null(strstr(all_heard(fd), "pusher:pong"));
        if (i == 0) { /* of a the first repeat is used up */
            send_text(fd, SUBSCRIBE("a"));
            assert_string_equal(all_heard(fd), "");
            time_passes(CONN_REPEAT_MS + 200);
            assert_true(heard(fd, "subscription_succeeded"));
            time_passes(CONN_REPEAT_MS + 200);
        }
    }
    leave(fd);
}

struct client {
    int fd;
    char id[24];
};

static struct client connect_client(void)
{
    struct client c;
    char buffer[4096];
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    c.fd = say(upgrade);
    snprintf(buffer, sizeof buffer, "%s", all_heard(c.fd));
    const char *id = strstr(buffer, "socket_id\\\":\\\"");
    assert_non_null(id);
    assert_int_equal(sscanf(id + strlen("socket_id\\\":\\\""), "%23[0-9.]", c.id), 1);
    return c;
}

/* user: the JSON text, escaped once for the string it goes into. */
static void sign_in(const struct client *c, const char *user, const char *escaped)
{
    char text[900];
    uint8_t raw[HMAC_BYTES];
    char hex[HMAC_HEX];
    str parts[] = {str_z(c->id), S("::user::"), str_z(user)};
    struct hmac *h = hmac_create(S("s"));
    hmac_sign(h, parts, COUNT_OF(parts), raw);
    hmac_destroy(&h);
    crypto_hex(raw, sizeof raw, hex);
    snprintf(text, sizeof text,
             "{\"event\":\"pusher:signin\",\"data\":{\"auth\":\"k:%.*s\",\"user_data\":\"%s\"}}",
             HMAC_HEX, hex, escaped);
    send_text(c->fd, text);
}

static void sign_in_u(const struct client *c)
{
    sign_in(c, "{\"id\":\"u\"}", "{\\\"id\\\":\\\"u\\\"}");
}

static void sign_in_watcher(const struct client *c)
{
    sign_in(c, "{\"id\":\"w\",\"watchlist\":[\"u\"]}",
            "{\\\"id\\\":\\\"w\\\",\\\"watchlist\\\":[\\\"u\\\"]}");
}

/* websocket-protocol.md §14.6; 0 seconds, as with other limits, are none. */
static void no_time_to_sign_in_is_no_limit(void **state)
{
    (void)state;
    rig.node.settings->user_authentication_timeout_ms = 0;
    struct client c = connect_client();
    time_passes(200);
    sign_in_u(&c);
    assert_true(heard(c.fd, "pusher:signin_success"));
    leave(c.fd);
}

static void r13_repeated_signins_wait(void **state)
{
    (void)state;
    struct client c = connect_client(), other = connect_client();
    sign_in_u(&c);
    assert_true(heard(c.fd, "pusher:signin_success"));
    sign_in_u(&c);
    assert_true(heard(c.fd, "pusher:signin_success"));
    sign_in_u(&c);
    send_text(c.fd, PING);
    time_passes(CONN_REPEAT_MS - 1);
    assert_string_equal(all_heard(c.fd), "");
    sign_in_u(&other);
    assert_true(heard(other.fd, "pusher:signin_success"));
    time_passes(200);
    const char *at = strstr(all_heard(c.fd), "pusher:signin_success");
    assert_true(at && strstr(at, "pusher:pong"));
    close(other.fd);
    leave(c.fd);
}

/* Signing in has the same three steps: the user's channel and those he watches are confirmed
 * before anybody hears of him, and what comes behind waits. */
static void signin_waits_for_the_adapter(void **state)
{
    (void)state;
    struct client w = connect_client(), gone = connect_client();
    sign_in_watcher(&w);
    send_text(w.fd, PING);
    sign_in_u(&gone);
    assert_true(adapter_scripted_release(rig.node.adapter, true));
    turn();
    assert_string_equal(all_heard(w.fd), ""); /* u, whom it watches, is not confirmed */
    close(gone.fd);
    turn();
    assert_true(adapter_scripted_release(rig.node.adapter, true));
    turn();
    const char *at = strstr(all_heard(w.fd), "pusher:signin_success");
    at = at ? strstr(at, "offline") : NULL;
    assert_true(at && strstr(at, "pusher:pong"));
    assert_true(adapter_scripted_release(rig.node.adapter, true)); /* nobody is there any more */
    size_t before = adapter_scripted_unsubscribed(rig.node.adapter);
    leave(w.fd);
    assert_int_equal(adapter_scripted_unsubscribed(rig.node.adapter), before + 2);
}

/* Who leaves while his sign-in waits leaves nothing behind. */
static void signin_is_undone(void **state)
{
    (void)state;
    struct client w = connect_client();
    struct registry_totals totals = {0};
    sign_in_watcher(&w);
    leave(w.fd);
    assert_int_equal(adapter_scripted_unsubscribed(rig.node.adapter), 2);
    str app = S("1");
    registry_totals(rig.node.registry, &app, 1, &totals);
    assert_int_equal(totals.users + totals.authenticated, 0);
    assert_true(adapter_scripted_release(rig.node.adapter, true));
    assert_true(adapter_scripted_release(rig.node.adapter, false));
    turn();
}

/* The client did its part in time (websocket-protocol.md §14.6), and the adapter has 3 s. */
static void signin_goes_on_alone(void **state)
{
    (void)state;
    struct client c = connect_client();
    time_passes(rig.node.settings->user_authentication_timeout_ms - 1000);
    sign_in_u(&c);
    time_passes(STEP_ADAPTER_MS - 500);
    assert_string_equal(all_heard(c.fd), "");
    time_passes(700);
    assert_true(heard(c.fd, "pusher:signin_success"));
    assert_true(
        adapter_scripted_release(rig.node.adapter, true)); /* too late, and nothing happens */
    turn();
    assert_string_equal(all_heard(c.fd), "");
    leave(c.fd);
}

static void look(void)
{
    registry_tick(rig.node.registry, clock_ms);
    turn();
}

/* A user's state is told at once, then once a second; of changes in between only what is left. */
static void r13_online_and_offline(void **state)
{
    (void)state;
    struct client w = connect_client(), late, u[4];
    sign_in_watcher(&w);
    assert_true(heard(w.fd, "offline"));
    u[0] = connect_client();
    sign_in_u(&u[0]);
    assert_true(heard(w.fd, "online"));
    close(u[0].fd);
    turn();
    u[1] = connect_client();
    sign_in_u(&u[1]);
    close(u[1].fd);
    turn();
    time_passes(WATCH_SLOW_MS / 2);
    look();
    assert_string_equal(all_heard(w.fd), "");
    late = connect_client(); /* he is not here, but nobody has been told */
    sign_in_watcher(&late);
    const char *first = all_heard(late.fd);
    assert_true(strstr(first, "online") && !strstr(first, "offline"));
    time_passes(WATCH_SLOW_MS);
    look();
    assert_true(heard(w.fd, "offline"));
    assert_true(heard(late.fd, "offline"));
    time_passes(WATCH_SLOW_MS);
    u[2] = connect_client();
    sign_in_u(&u[2]);
    assert_true(heard(w.fd, "online"));
    close(u[2].fd);
    turn();
    u[3] = connect_client();
    sign_in_u(&u[3]);
    time_passes(2 * WATCH_SLOW_MS);
    look();
    assert_string_equal(all_heard(w.fd), ""); /* he is what was told */
    close(late.fd);
    close(u[3].fd);
    leave(w.fd);
}

/* ---- somebody who does not read (websocket-protocol.md §16) ---- */

static void publish(size_t bytes)
{
    char *data = mem_alloc(bytes);
    memset(data, 'x', bytes);
    data[0] = data[bytes - 1] = '"';
    registry_publish(rig.node.registry, NULL,
                     message_create(S("1"), S("a"), S("e"), str_of(data, bytes), S(""), 0));
    free(data);
}

/* He is sent away in the turn in which he proves too slow: he hears why he is sent away. */
static void a_slow_one_who_is_terminated_hears_it(void **state)
{
    enum { LARGE = 300000 };
    static char got[4 * LARGE];
    size_t n = 0;
    (void)state;
    struct client c = connect_client();
    sign_in_u(&c);
    send_text(c.fd, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"a\"}}");
    rig.threads[0].worker.pool.limits.max_messages = 2;
    for (int i = 0; i < 2; i++) {
        publish(LARGE);
        turn();
    }
    publish(1000);
    registry_close_user(rig.node.registry, NULL, S("1"), S("u"), WIRE_TERMINATED);
    turn();
    assert_true(rig.threads[0].worker.pool.dropped > 0);
    for (ssize_t more = 1; more > 0; turn()) {
        more = recv(c.fd, got + n, sizeof got - n, 0);
        n += more > 0 ? (size_t)more : 0;
    }
    assert_non_null(memmem(got, n, "{\"code\":4009,\"message\":\"You got", 30));
    assert_non_null(memmem(got, n, "\x0f\xa9You got", 9));
    leave(c.fd);
}

/* ---- more members than a text may hold ---- */

static void join(const struct client *c, const char *id, const char *escaped_info)
{
    char text[900], data[400];
    uint8_t raw[HMAC_BYTES];
    char hex[HMAC_HEX];
    snprintf(data, sizeof data, "{\"user_id\":\"%s\",\"user_info\":\"%s\"}", id, escaped_info);
    str parts[] = {str_z(c->id), S(":presence-a:"), str_z(data)};
    struct hmac *h = hmac_create(S("s"));
    hmac_sign(h, parts, COUNT_OF(parts), raw);
    hmac_destroy(&h);
    crypto_hex(raw, sizeof raw, hex);
    snprintf(
        text, sizeof text,
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"presence-a\",\"auth\":\"k:%.*s\","
        "\"channel_data\":\"{\\\"user_id\\\":\\\"%s\\\",\\\"user_info\\\":\\\"%s\\\"}\"}}",
        HMAC_HEX, hex, id, escaped_info);
    send_text(c->fd, text);
}

/* Half a list would be no JSON: who comes last is refused and is nobody's member. */
static void a_list_that_does_not_fit_is_refused(void **state)
{
    char info[200];
    (void)state;
    memset(info, 'x', sizeof info - 1);
    info[sizeof info - 1] = '\0';
    struct client a = connect_client(), b = connect_client();
    rig.threads[0].worker.json->max = 500;
    join(&a, "a", info);
    assert_true(heard(a.fd, "subscription_succeeded"));
    join(&b, "b", info);
    const char *answer = all_heard(b.fd);
    assert_null(strstr(answer, "subscription_succeeded"));
    assert_non_null(strstr(answer, "pusher:subscription_error"));
    assert_non_null(strstr(answer, "{\"code\":4100,\"message\":\"Over capacity\"}"));
    assert_true(heard(a.fd, "member_removed"));
    struct channel_counts counts = registry_counts(rig.node.registry, S("1"), S("presence-a"));
    assert_true(counts.users == 1 && counts.subscriptions == 1);
    close(b.fd);
    leave(a.fd);
}

/* ---- many members of whom webhooks must be told (webhooks.md §1.2) ---- */

static struct {
    bool refuses;
    size_t added, removed;
} told;

static bool on_told(void *ctx, struct loop *from, const struct channel_event *e)
{
    (void)ctx;
    (void)from;
    if (told.refuses)
        return false;
    told.added += e->kind == WEBHOOK_MEMBER_ADDED;
    told.removed += e->kind == WEBHOOK_MEMBER_REMOVED;
    return true;
}

/* Nobody holds the lock for all of them: so many at once, and the others at the next tick. */
static void many_members_are_told_bit_by_bit(void **state)
{
    enum { MEMBERS = HOOKS_TOLD_AT_ONCE + 20 };
    static struct client c[MEMBERS];
    char id[16];
    (void)state;
    registry_set_teller(rig.node.registry, on_told, NULL);
    memset(&told, 0, sizeof told);
    told.refuses = true;
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(id, sizeof id, "m%d", i);
        c[i] = connect_client();
        join(&c[i], id, "");
    }
    told.refuses = false;
    time_passes(HOOKS_RETELL_MS + DEADLINE_SLOT_MS);
    look();
    assert_int_equal(told.added, HOOKS_TOLD_AT_ONCE);
    time_passes(DEADLINE_SLOT_MS);
    look();
    assert_int_equal(told.added, MEMBERS);
    for (int i = 0; i < MEMBERS; i++)
        close(c[i].fd);
    turn();
    time_passes(HOOKS_GRACE_MS + DEADLINE_SLOT_MS);
    look();
    assert_int_equal(told.removed, HOOKS_TOLD_AT_ONCE);
    time_passes(DEADLINE_SLOT_MS);
    look();
    assert_int_equal(told.removed, MEMBERS);
    assert_int_equal(told.added, MEMBERS);
}

/* What others would get of it could be read by nobody. */
static void data_that_does_not_fit_is_refused(void **state)
{
    char text[400];
    (void)state;
    struct client a = connect_client(), b = connect_client();
    join(&a, "a", "");
    join(&b, "b", "");
    all_heard(a.fd);
    all_heard(b.fd);
    rig.threads[0].worker.json->max = 250;
    snprintf(text, sizeof text,
             "{\"event\":\"client-e\",\"channel\":\"presence-a\",\"data\":{\"k\":\"%0250d\"}}", 0);
    send_text(a.fd, text);
    assert_true(heard(a.fd, "Event payload size (258 bytes) exceeds limit"));
    assert_string_equal(all_heard(b.fd), "");
    close(b.fd);
    leave(a.fd);
}

/* ---- Pings whose answers nobody reads (security.md R9; SEC-10) ---- */

static void r9_only_the_newest_pong_waits(void **state)
{
    enum { ROUNDS = 250, PINGS = 4000, BYTES = 6 + 7 };
    static char packet[PINGS * BYTES], tail[8];
    char digits[8];
    (void)state;
    app_scripted_mode(rig.node.apps, APP_ANSWER_NOW);
    int fd = say(upgrade);
    assert_true(heard(fd, "pusher:connection_established"));
    for (unsigned i = 0; i < ROUNDS * PINGS;) {
        for (char *at = packet; at < packet + sizeof packet; at += BYTES) {
            snprintf(digits, sizeof digits, "%07u", i++);
            memcpy(at, "\x89\x87\0\0\0\0", 6);
            memcpy(at + 6, digits, 7);
        }
        for (size_t sent = 0; sent < sizeof packet; turn()) {
            ssize_t n = send(fd, packet + sent, sizeof packet - sent, 0);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(rig.threads[0].worker.pool.unsent <= CONN_FRAMES_PER_TURN * (2 + 7));
    }
    size_t heard_bytes = 0;
    for (int quiet = 0; quiet < PINGS; quiet++) {
        static char got[1 << 16];
        ssize_t n = recv(fd, got, sizeof got, 0);
        if (n > 0) {
            assert_int_equal(n % (2 + 7), 0); /* whole Pongs, each as long as its Ping */
            memcpy(tail, got + n - 7, 7);
            heard_bytes += (size_t)n;
        }
        quiet = n > 0 ? 0 : quiet;
        turn();
    }
    assert_string_equal(tail, "0999999");
    assert_true(heard_bytes < (1 << 20));
    leave(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ws22_store_is_away, begin, end),
        cmocka_unit_test_setup_teardown(ws22_store_is_slow, begin, end),
        cmocka_unit_test_setup_teardown(ws118_store_answers_into_the_drain, begin, end),
        cmocka_unit_test_setup_teardown(up_does_not_wait_for_a_slow_store, begin, end),
        cmocka_unit_test_setup_teardown(many_members_are_told_bit_by_bit, begin_with_hooks, end),
        cmocka_unit_test_setup_teardown(r9_packets_full_of_work, begin, end),
        cmocka_unit_test_setup_teardown(sec2_trickled_message, begin, end),
        cmocka_unit_test_setup_teardown(sec2_messages_without_a_pause, begin, end),
        cmocka_unit_test_setup_teardown(subscribe_waits_for_the_adapter, begin_far, end),
        cmocka_unit_test_setup_teardown(adapter_is_away, begin_far, end),
        cmocka_unit_test_setup_teardown(adapter_says_it_is_away, begin_far, end),
        cmocka_unit_test_setup_teardown(cache_is_asked_behind_the_adapter, begin_far_and_slow, end),
        cmocka_unit_test_setup_teardown(answers_keep_their_order, begin_far, end),
        cmocka_unit_test_setup_teardown(r12_repeated_subscribes_wait, begin, end),
        cmocka_unit_test_setup_teardown(r12_each_channel_has_a_free_repeat, begin, end),
        cmocka_unit_test_setup_teardown(no_time_to_sign_in_is_no_limit, begin_with_users, end),
        cmocka_unit_test_setup_teardown(r13_repeated_signins_wait, begin_with_users, end),
        cmocka_unit_test_setup_teardown(signin_waits_for_the_adapter, begin_far_with_users, end),
        cmocka_unit_test_setup_teardown(signin_is_undone, begin_far_with_users, end),
        cmocka_unit_test_setup_teardown(signin_goes_on_alone, begin_far_with_users, end),
        cmocka_unit_test_setup_teardown(r13_online_and_offline, begin_with_users, end),
        cmocka_unit_test_setup_teardown(a_slow_one_who_is_terminated_hears_it, begin_with_users,
                                        end),
        cmocka_unit_test_setup_teardown(a_list_that_does_not_fit_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(data_that_does_not_fit_is_refused, begin_with_users, end),
        cmocka_unit_test_setup_teardown(r9_only_the_newest_pong_waits, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
