#include "channel/message.h"

#include <stdlib.h>

#include "pusher/frames.h"
#include "wire/ws_encode.h"

static str put(char **at, str s)
{
    str copy = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

struct message *message_create(str app, str channel, str event, str data, str user_id,
                               unsigned flags)
{
    size_t n = app.n + channel.n + event.n + data.n + user_id.n;
    struct message *m = mem_alloc(sizeof *m + n);
    char *at = m->text;
    memset(m, 0, sizeof *m);
    atomic_init(&m->refs, 1);
    m->flags = flags;
    m->app = put(&at, app);
    m->channel = put(&at, channel);
    m->event = put(&at, event);
    m->data = put(&at, data);
    m->user_id = put(&at, user_id);
    return m;
}

struct message *message_create_shared(str app, str channel, str event, struct frame *data,
                                      unsigned flags)
{
    struct message *m = message_create(app, channel, event, S(""), S(""), flags);
    m->shared = frame_ref(data);
    m->data = str_of(data->bytes, data->n);
    return m;
}

struct message *message_ref(struct message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

void message_unref(struct message *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct frame *f = atomic_load(&m->plain);
    if (f)
        frame_unref(f);
    f = atomic_load(&m->deflated);
    if (f)
        frame_unref(f);
    if (m->shared)
        frame_unref(m->shared);
    free(m);
}

static struct frame *encode(const struct message *m, bool deflate)
{
    struct buf json;
    buf_init(&json, SIZE_MAX);
    frame_event_raw(&json, m->event, m->channel, m->data, m->user_id);
    struct frame *f = ws_text_frame(buf_str(&json), deflate);
    f->droppable = !(m->flags & MESSAGE_SYSTEM);
    buf_finish(&json);
    return f;
}

struct frame *message_frame(struct message *m, bool deflate)
{
    _Atomic(struct frame *) *place = deflate ? &m->deflated : &m->plain;
    struct frame *f = atomic_load_explicit(place, memory_order_acquire);
    if (f)
        return f;
    struct frame *mine = encode(m, deflate), *theirs = NULL;
    if (atomic_compare_exchange_strong(place, &theirs, mine))
        return mine;
    frame_unref(mine); /* another worker was first */
    return theirs;
}

size_t message_weight(const struct message *m)
{
    return sizeof *m + m->app.n + m->channel.n + m->event.n + 2 * m->data.n + m->user_id.n;
}
