#include "api/http.h"

#include <stdlib.h>
#include <time.h>

#include "api/answer.h"
#include "api/auth.h"
#include "api/count.h"
#include "api/headless.h"
#include "api/limit.h"
#include "api/lookup.h"
#include "api/redirect.h"
#include "api/route.h"

enum phase {
    PHASE_HEAD, /* between requests and inside a head */
    PHASE_WAIT, /* a driver is asked */
    PHASE_BODY,
    PHASE_DROP, /* the rest of a body that nobody reads */
};
struct http_state {
    struct request request;
    enum phase phase;
    size_t scanned;                 /* of an unfinished head */
    bool head_begun;                /* the head's deadline is set */
    bool has_head;                  /* a first head was complete */
    bool must_go;                   /* others need its place, unless a head comes at once */
    struct headless_entry headless; /* until has_head */
    struct buf body;                /* of a request whose body did not arrive with its head */
    struct http1_chunks chunks;
    uint64_t body_left;
    int64_t counted; /* in node->body_bytes */
};

static const struct stream_user http_user;

static struct http_state *state_of(struct stream *s)
{
    return ((struct http *)s)->state;
}

/* ---- requests ---- */

str request_param(const struct request *q, str name)
{
    for (size_t i = 0; i < q->param_count; i++)
        if (str_eq(q->params[i].key, name))
            return q->params[i].value;
    return (str){0};
}

void request_keep(struct request *q)
{
    size_t scanned = 0, used;
    int status;
    if (q->is_kept)
        return;
    q->is_kept = true;
    q->head_text = arena_str(&q->memory, q->head_text);
    q->body = arena_str(&q->memory, q->body);
    enum parse again = http1_head(q->head_text, &scanned, &q->head, &used, &status);
    CHECK(again == PARSE_OK);
}

struct handle request_asker(struct request *q)
{
    struct handle h = stream_handle(q->stream);
    h.tag = ++q->asked;
    return h;
}

struct request *request_find(struct handle asker)
{
    struct stream *s = node_find(asker);
    if (!s || s->user != &http_user)
        return NULL;
    struct request *q = &state_of(s)->request;
    if (!q->is_waiting || q->asked != asker.tag)
        return NULL;
    q->is_waiting = false;
    return q;
}

static void deadline(struct stream *s, int64_t ms)
{
    timer_stop(&s->pool->loop->timers, &s->timer);
    stream_deadline(s, s->pool->loop->now_ms + ms);
}

void request_wait(struct request *q, int64_t ms)
{
    request_keep(q);
    q->is_waiting = true;
    q->wait_until_ms = q->worker->loop.now_ms + ms;
    deadline(q->stream, ms);
}

static void body_uncount(struct http_state *h, struct node *n)
{
    atomic_fetch_sub(&n->body_bytes, h->counted);
    h->counted = 0;
}

static void state_free(struct http_state *h)
{
    buf_finish(&h->body);
    arena_finish(&h->request.memory);
    free(h);
}

/* The answer is out: ready for the next request, or the end. */
static void request_end(struct stream *s)
{
    struct http_state *h = state_of(s);
    struct request *q = &h->request;
    bool close = q->must_close;
    body_uncount(h, q->worker->node);
    buf_finish(&h->body);
    arena_clear(&q->memory);
    q->segment_count = q->param_count = 0;
    q->app = NULL;
    q->route = NULL;
    q->complete_ns = q->wait_until_ms = 0;
    q->is_authentic = false;
    q->body = S("");
    q->is_kept = q->is_waiting = q->is_answered = q->must_close = q->has_unread = false;
    q->is_counted = false;
    h->phase = PHASE_HEAD;
    h->scanned = 0;
    h->head_begun = false;
    if (close) {
        stream_end(s, HTTP_LINGER_MS);
        return;
    }
    deadline(s, HTTP_IDLE_MS);
    if (stream_is_blocked(s))
        stream_pause(s); /* goes on when the answers have left */
}

/* Goes on with what follows on the connection, once the peer has read what it was answered. */
static void go_on(struct stream *s)
{
    if (!stream_is_blocked(s))
        stream_resume(s);
}

/* Answered before its body was read: a small rest is dropped, else the connection closes. */
static void body_skip(struct stream *s)
{
    struct http_state *h = state_of(s);
    struct request *q = &h->request;
    if (!q->must_close && q->head.has_length && q->head.length) {
        h->phase = PHASE_DROP;
        h->body_left = q->head.length;
        deadline(s, HTTP_BODY_MS);
        return;
    }
    request_end(s);
}

/* The request is complete. */
static void act(struct stream *s)
{
    struct request *q = &state_of(s)->request;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    q->complete_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (q->route->auth == UNSIGNED || auth_body(q))
        q->route->endpoint(q);
    if (s->user != &http_user)
        return; /* upgraded: the slot has another user */
    if (q->is_answered) {
        request_end(s);
    } else {
        CHECK(q->is_waiting && q->is_kept);
        state_of(s)->phase = PHASE_WAIT;
        stream_pause(s);
    }
}

void request_resume(struct request *q)
{
    request_end(q->stream);
    go_on(q->stream);
}

void http_upgrade(struct request *q, const struct upgrade *u)
{
    struct http_state *h = CONTAINER_OF(q, struct http_state, request);
    conn_upgrade(q->stream, u); /* forgets our pointer to h, reads slices in it */
    state_free(h);
}

/* ---- bodies ---- */

/* What has come, not what was declared: else a head alone would hold a share of the budget until
 * its deadline. */
static bool body_is_counted(struct http_state *h, int64_t n)
{
    struct node *node = h->request.worker->node;
    int64_t max = node->bodies_max ? node->bodies_max : HTTP_BODIES_MAX;
    h->counted += n;
    return atomic_fetch_add(&node->body_bytes, n) + n <= max;
}

static void bodies_too_many(struct request *q)
{
    q->must_close = true;
    answer_error(q, 503, "backpressure", "Too many request bodies in receipt");
}

static void body_too_large(struct request *q)
{
    q->must_close = true;
    answer_error(q, 413, "payload_too_large", "Request body exceeds %llu MB",
                 (unsigned long long)(q->worker->settings->max_body_bytes >> 20));
}

static void body_begin(struct stream *s)
{
    struct http_state *h = state_of(s);
    struct request *q = &h->request;
    uint64_t max = q->worker->settings->max_body_bytes;
    bool has_body = q->head.chunked || q->head.length > 0;
    bool is_unsigned = q->route->auth == UNSIGNED;
    q->has_unread = has_body && is_unsigned; /* strangers make us buffer nothing */
    if (!has_body || is_unsigned) {
        act(s);
        return;
    }
    if (q->head.has_length && q->head.length > max) {
        body_too_large(q);
        request_end(s);
        return;
    }
    h->phase = PHASE_BODY;
    h->body_left = q->head.length;
    h->chunks = (struct http1_chunks){0};
    buf_init(&h->body, max);
    h->body.soft = true;
    deadline(s, HTTP_BODY_MS);
    if (q->head.expect_continue) {
        struct frame *f = frame_of(S("HTTP/1.1 100 Continue\r\n\r\n"));
        stream_send(s, f);
        frame_unref(f);
    }
}

static void chunks_end(struct stream *s, enum parse result)
{
    struct request *q = &state_of(s)->request;
    if (result == PARSE_OK) {
        q->body = buf_str(&state_of(s)->body);
        act(s);
        return;
    }
    q->must_close = true;
    answer_error(q, 400, "invalid_input", "Malformed chunked body");
    request_end(s);
}

/* False: answered, the connection ends. */
static bool chunk_take(struct stream *s, str data)
{
    struct http_state *h = state_of(s);
    if (data.n > h->body.max - h->body.n)
        body_too_large(&h->request);
    else if (!body_is_counted(h, (int64_t)data.n) || !buf_add(&h->body, data))
        bodies_too_many(&h->request);
    else
        return true;
    request_end(s);
    return false;
}

static size_t chunks_step(struct stream *s, char *in, size_t n)
{
    struct http_state *h = state_of(s);
    size_t done = 0;
    request_keep(&h->request);
    while (done < n) {
        size_t used;
        str data;
        enum parse result =
            http1_chunks_read(&h->chunks, str_of(in + done, n - done), &used, &data);
        done += used;
        if (!chunk_take(s, data))
            return done;
        if (result != PARSE_MORE) {
            chunks_end(s, result);
            return done;
        }
    }
    return done;
}

static size_t body_step(struct stream *s, char *in, size_t n)
{
    struct http_state *h = state_of(s);
    struct request *q = &h->request;
    if (q->head.chunked)
        return chunks_step(s, in, n);
    if (h->body.n == 0 && n >= h->body_left) { /* all at hand: no copy */
        size_t used = h->body_left;
        q->body = str_of(in, used);
        act(s);
        return used;
    }
    request_keep(q);
    size_t take = n < h->body_left ? n : h->body_left;
    if (!body_is_counted(h, (int64_t)take) || !buf_add(&h->body, str_of(in, take))) {
        bodies_too_many(q);
        request_end(s);
        return take;
    }
    h->body_left -= take;
    if (h->body_left == 0) {
        q->body = buf_str(&h->body);
        act(s);
    }
    return take;
}

/* ---- connections without a head (security R4) ---- */

struct spare_mail {
    struct mail mail;
    struct handle connection;
};

/* Its head may lie in the kernel while we accept others by the dozen: it gets a moment. */
static void spare(struct stream *s)
{
    state_of(s)->must_go = true;
    deadline(s, HTTP_SPARE_MS);
}

static void spare_loser(void *owner, struct mail *m)
{
    struct stream *s = node_find(((struct spare_mail *)m)->connection);
    (void)owner;
    free(m);
    if (s && s->user == &http_user && !state_of(s)->has_head)
        spare(s);
}

static void headless_begin(struct stream *s)
{
    struct http_state *h = state_of(s);
    struct worker *w = h->request.worker;
    const struct settings *set = w->settings;
    struct handle loser;
    if (!w->node->headless)
        return;
    /* Behind a proxy all have one address, and a Unix socket's peers have none. */
    struct client_address a = *limit_peer(&h->request);
    bool is_single = set->api_trust_hops == 0 && set->connect_trust_hops == 0 &&
                     (a.kind == CLIENT_IPV4 || a.kind == CLIENT_IPV6);
    client_mask(&a, set->ipv6_prefix);
    if (!headless_add(w->node->headless, &h->headless, stream_handle(s), is_single ? &a : NULL,
                      &loser))
        return;
    struct spare_mail *m = mem_zero(sizeof *m);
    m->mail.run = spare_loser;
    m->connection = loser;
    loop_post(&w->loop, &w->node->workers[loser.worker]->loop, &m->mail);
}

static void headless_end(struct http_state *h)
{
    struct headless *list = h->request.worker->node->headless;
    if (list && !h->has_head)
        headless_remove(list, &h->headless);
    h->has_head = true;
    h->must_go = false;
}

/* ---- heads ---- */

/* The head is judged, perhaps by a late answer of the app store. */
static void head_decided(struct request *q)
{
    if (q->is_answered)
        body_skip(q->stream);
    else
        body_begin(q->stream);
}

static void head_decided_later(struct request *q)
{
    struct stream *s = q->stream;
    state_of(s)->phase = PHASE_HEAD;
    stream_resume(s); /* what comes of it may pause it anew, also the WebSocket that it becomes */
    head_decided(q);
}

static void answer_unknown(struct request *q)
{
    if (str_starts(q->head.path, S("/apps/")))
        answer_error(q, 404, "not_found", "Not found");
    else
        answer(q, 404, S("text/plain"), S("404 NOT FOUND"), S(""));
}

static void answer_method(struct request *q)
{
    static const char *const allow[] = {"Allow: GET,HEAD,OPTIONS\r\n", "Allow: POST,OPTIONS\r\n",
                                        "Allow: GET,OPTIONS\r\n"};
    bool upgrade = q->route->endpoint == endpoint_upgrade;
    str more = str_z(allow[upgrade ? 2 : str_eq(q->route->method, S("POST"))]);
    if (str_eq(q->head.method, S("OPTIONS")))
        answer(q, 200, S(""), S(""), more);
    else
        answer(
            q, 405, S("application/json"),
            S("{\"error\":\"Method not allowed\",\"code\":\"method_not_allowed\",\"status\":405}"),
            more);
}

static bool coding_is_fine(const struct request *q)
{
    str coding = http1_header_get(&q->head, S("content-encoding"));
    return coding.n == 0 || str_eq_nocase(coding, S("identity"));
}

static void head_route(struct request *q, enum route_result found)
{
    switch (found) {
    case ROUTE_NOT_FOUND:
        answer_unknown(q);
        return;
    case ROUTE_BAD_PATH:
        answer_error(q, 400, "invalid_input", "Path is not valid UTF-8");
        return;
    case ROUTE_WRONG_METHOD:
        answer_method(q);
        return;
    case ROUTE_FOUND:
        break;
    }
    if (!coding_is_fine(q))
        answer_error(q, 415, "unsupported_media_type", "Content-Encoding not supported");
    else if (q->is_surplus && q->route->auth != UNSIGNED)
        answer_error(q, 503, "backpressure", "Server is overloaded, try again");
    else if (q->route->auth != UNSIGNED)
        auth_head(q, head_decided_later);
}

/* The limiter has answered late. */
static void head_counted(struct request *q)
{
    if (!q->is_answered)
        head_route(q, route_find(q));
    if (!q->is_waiting)
        head_decided_later(q);
}

static void head_judge(struct request *q)
{
    if (q->kind == HTTP_REDIRECT) {
        endpoint_redirect(q);
        return;
    }
    enum route_result found = route_find(q);
    limit_head(q, head_counted);
    if (!q->is_answered && !q->is_waiting)
        head_route(q, found);
}

static void answer_malformed(struct stream *s, int status)
{
    struct request *q = &state_of(s)->request;
    memset(&q->head, 0, sizeof q->head);
    q->head.minor = 1;
    q->must_close = true;
    if (status == 431)
        answer(q, 431, S(""), S(""), S(""));
    else
        answer_error(q, status, status == 408 ? "timeout" : "invalid_input", "%s",
                     status == 408 ? "Request timeout" : "Malformed request");
    request_end(s);
}

/* Bytes used, 0: the head is not complete. */
static size_t head_step(struct stream *s, char *in, size_t n)
{
    struct http_state *h = state_of(s);
    struct request *q = &h->request;
    size_t used = 0;
    int status;
    switch (http1_head(str_of(in, n), &h->scanned, &q->head, &used, &status)) {
    case PARSE_MORE:
        if (!h->head_begun && !h->must_go)
            deadline(s, HTTP_HEAD_MS);
        h->head_begun = true;
        return 0;
    case PARSE_BAD:
        answer_malformed(s, status);
        return n;
    case PARSE_OK:
        break;
    }
    headless_end(h);
    q->head_text = str_of(in, used);
    q->must_close = q->is_surplus;
    q->has_unread = q->head.chunked || (q->head.has_length && q->head.length > HTTP_DROP_MAX) ||
                    (q->head.expect_continue && q->head.length);
    head_judge(q);
    if (q->is_waiting) {
        request_keep(q);
        h->phase = PHASE_WAIT;
        stream_pause(s);
    } else {
        head_decided(q);
    }
    return used;
}

/* ---- the stream's user ---- */

static size_t drop_step(struct stream *s, size_t n)
{
    struct http_state *h = state_of(s);
    size_t take = n < h->body_left ? n : h->body_left;
    h->body_left -= take;
    if (h->body_left == 0)
        request_end(s);
    return take;
}

static size_t http_data(struct stream *s, char *in, size_t n, bool *more)
{
    struct http_state *h = state_of(s);
    size_t done = 0, used;
    int requests = 0;
    while (done < n && !s->paused && !s->ending && h->phase != PHASE_WAIT) {
        if (h->phase == PHASE_HEAD) {
            if (requests++ == HTTP_REQUESTS_PER_TURN) {
                *more = true;
                break;
            }
            used = head_step(s, in + done, n - done);
        } else if (h->phase == PHASE_BODY) {
            used = body_step(s, in + done, n - done);
        } else {
            used = drop_step(s, n - done);
        }
        done += used;
        if (s->user != &http_user || used == 0)
            break;
    }
    if (s->user == &http_user && !s->ending && h->phase == PHASE_BODY)
        request_keep(&h->request); /* the buffer is not ours any more */
    return done;
}

/* The answer is ours to give. */
static void still_waits(struct stream *s)
{
    struct request *q = &state_of(s)->request;
    if (!q->is_waiting || !q->wait_until_ms || s->pool->loop->now_ms < q->wait_until_ms) {
        deadline(s, HTTP_IDLE_MS);
        return;
    }
    q->is_waiting = false;
    lookup_give_up(q);
    request_resume(q);
}

static void http_timer(struct stream *s)
{
    struct http_state *h = state_of(s);
    int64_t stalls_ms = stream_stalls_ms(s);
    if (!h->has_head && !h->must_go)
        count_late_handshake(&h->request);
    if (h->must_go)
        stream_end(s, 0);
    else if (h->phase == PHASE_HEAD && !h->head_begun && stalls_ms > s->pool->loop->now_ms)
        stream_deadline(s, stalls_ms); /* a long answer is on its way, and is taken */
    else if (h->phase == PHASE_WAIT)
        still_waits(s);
    else if (h->phase == PHASE_DROP || (h->phase == PHASE_HEAD && !h->head_begun))
        stream_end(s, 0); /* answered already; or idle, perhaps not reading its answers */
    else
        answer_malformed(s, 408);
}

static void http_gone(struct stream *s)
{
    struct http_state *h = state_of(s);
    if (s->late)
        count_late_handshake(&h->request);
    body_uncount(h, h->request.worker->node);
    headless_end(h);
    state_free(h);
}

static void http_full(struct stream *s)
{
    stream_end(s, 0); /* not reached: these streams have no limits */
}

static void http_drained(struct stream *s)
{
    const struct http_state *h = state_of(s);
    if (h->phase == PHASE_HEAD && !h->head_begun && h->has_head)
        deadline(s, HTTP_IDLE_MS);
    if (s->paused && state_of(s)->phase != PHASE_WAIT)
        stream_resume(s);
}

static const struct stream_user http_user = {
    .data = http_data,
    .timer = http_timer,
    .gone = http_gone,
    .full = http_full,
    .drained = http_drained,
};

struct stream *http_open(struct worker *w, int fd, enum http_kind kind)
{
    struct stream *s = stream_open(&w->pool, fd, &http_user);
    if (!s)
        return NULL;
    struct http_state *h = mem_zero(sizeof *h);
    h->request.worker = w;
    h->request.stream = s;
    h->request.kind = kind;
    h->request.is_surplus = kind == HTTP_MAIN && w->node->full_fd && fd >= w->node->full_fd;
    ((struct http *)s)->state = h;
    deadline(s, HTTP_HEAD_MS);
    headless_begin(s);
    return s;
}

void http_leave_if_idle(struct stream *s)
{
    const struct http_state *h = state_of(s);
    if (h->phase != PHASE_HEAD || h->head_begun)
        return;
    if (h->has_head)
        stream_end(s, 0);
    else
        spare(s); /* it has just come, and should hear why it cannot stay */
}
