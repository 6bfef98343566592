#include "conn/pending.h"

#include <stdlib.h>

#include "pusher/channel_name.h"

bool pending_is_clear(const struct conn *c)
{
    return !c->steps || c->is_settling;
}

bool pending_may_overlap(const struct conn *c, str channel_name)
{
    if (pending_is_clear(c))
        return true;
    for (const struct step *s = c->steps; s; s = s->next)
        if (s->kind == STEP_COMMAND || s->kind == STEP_SIGNIN ||
            str_eq(s->channel_name, channel_name))
            return false;
    return true;
}

bool pending_will_authorize(const struct conn *c)
{
    for (const struct step *s = c->steps; s; s = s->next)
        if (s->kind == STEP_SIGNIN ||
            (s->kind == STEP_SUBSCRIBE && channel_needs_auth(channel_kind(s->channel_name))))
            return true;
    return false;
}

static struct step **end_of(struct conn *c)
{
    struct step **at = &c->steps;
    while (*at)
        at = &(*at)->next;
    return at;
}

struct step *pending_add(struct conn *c, struct step *from)
{
    struct step *s = mem_alloc(sizeof *s);
    struct step **place = c->is_settling ? &c->steps : end_of(c);
    *s = *from;
    s->next = *place;
    *place = s;
    c->step_count++;
    if (c->step_count >= CONN_STEPS_MAX && !c->paused_steps) {
        c->paused_steps = true;
        stream_pause(conn_stream(c));
    }
    return s;
}

void pending_defer(struct conn *c, str text)
{
    struct step s = {.kind = STEP_COMMAND};
    s.text = arena_str(&s.memory, text);
    pending_add(c, &s);
}

struct step *pending_asked(struct handle asker, enum step_wait wait, struct conn **c)
{
    struct stream *stream = node_find(asker);
    if (!stream || stream->user != &conn_stream_user || !conn_of(stream)->is_open)
        return NULL;
    *c = conn_of(stream);
    for (struct step *s = (*c)->steps; s; s = s->next)
        if (s->id == asker.tag)
            return s->wait == wait ? s : NULL;
    return NULL;
}

void pending_wait(struct conn *c, struct step *s, enum step_wait wait, int64_t ms)
{
    s->wait = wait;
    s->wait_until_ms = ms ? conn_worker(c)->loop.now_ms + ms : 0;
    if (ms && conn_stream(c)->timer.due_ms > s->wait_until_ms)
        stream_deadline(conn_stream(c), s->wait_until_ms);
}

void step_finish(struct step *s)
{
    local_channel_release(&s->hold);
    snapshot_release(&s->snapshot);
    arena_finish(&s->memory);
}

static void step_run(struct conn *c, struct step *s)
{
    if (s->kind == STEP_COMMAND)
        conn_execute(c, s->text);
    else if (s->kind == STEP_SUBSCRIBE)
        subscribe_activate(c, s);
    else if (s->kind == STEP_SIGNIN)
        signin_activate(c, s);
    else
        subscribe_answer_again(c, s);
}

void pending_settle(struct conn *c)
{
    if (c->is_settling)
        return;
    while (c->is_open && !c->is_blocked && c->steps && c->steps->wait == WAIT_NOTHING) {
        struct step *s = c->steps;
        c->steps = s->next;
        c->step_count--;
        c->is_settling = true;
        step_run(c, s);
        c->is_settling = false;
        step_finish(s);
        free(s);
    }
    if (c->is_open && !c->is_blocked && c->paused_steps && c->step_count < CONN_STEPS_MAX / 2) {
        c->paused_steps = false;
        c->active_ms = conn_worker(c)->loop.now_ms; /* the silence was ours */
        stream_resume(conn_stream(c));
    }
}

static void go_on(struct conn *c, struct step *s)
{
    log_limited(LOG_WARN, "conn", "the %s did not answer a %s in time, going on without it",
                s->wait == WAIT_ADAPTER ? "adapter" : "cache",
                s->kind == STEP_SIGNIN ? "sign-in" : "subscribe");
    if (s->kind == STEP_SIGNIN)
        pending_wait(c, s, WAIT_NOTHING, 0);
    else
        subscribe_go_on(c, s);
}

int64_t pending_expire(struct conn *c)
{
    int64_t now = conn_worker(c)->loop.now_ms, next = 0;
    c->is_settling = true; /* a cache that answers at once must not free the step under the walk */
    for (struct step *s = c->steps; s; s = s->next)
        if (s->wait_until_ms && s->wait_until_ms <= now)
            go_on(c, s);
    c->is_settling = false;
    pending_settle(c);
    for (const struct step *s = c->steps; s; s = s->next)
        if (s->wait_until_ms && (next == 0 || s->wait_until_ms < next))
            next = s->wait_until_ms;
    return next;
}

void pending_finish(struct conn *c)
{
    struct worker *w = conn_worker(c);
    while (c->steps) {
        struct step *s = c->steps;
        c->steps = s->next;
        local_channel_release(&s->hold);
        if (s->kind == STEP_SUBSCRIBE)
            registry_unreserve(w->node->registry, w->index, s->channel);
        if (s->kind == STEP_SIGNIN)
            signin_unreserve(c, s);
        step_finish(s);
        free(s);
    }
    c->step_count = 0;
}
