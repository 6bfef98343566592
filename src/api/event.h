/* api/event.h - one event to publish: read, checked, sent. Shared by /events and /batch_events.
 *
 * Nature   the worker's thread; slices point into the body or the request's arena
 * Source   http-api.md §5
 */
#ifndef API_EVENT_H
#define API_EVENT_H

#include "api/request.h"
#include "base/json.h"

struct event {
    str name;
    str *channels; /* each once, in order */
    size_t channel_count;
    str data; /* a JSON string literal */
    struct message_exclude exclude;
    bool wants_info, wants_users, wants_subscriptions;
};
struct refusal {
    int status;
    const char *code;
    char text[1024];
};

/* `prefix` stands in front of the refusal's text ("" or "batch[3]: "). */
NODISCARD bool event_read(struct request *q, struct json object, const char *prefix,
                          struct event *out, struct refusal *r);
/* One of its channels has a full mailbox, or memory is short: nothing may be sent. */
bool event_is_blocked(struct request *q, const struct event *e);
void event_send(struct request *q, const struct event *e);
/* {"user_count":…,"subscription_count":…} of one channel, as far as asked for. */
void event_info(struct request *q, const struct event *e, str channel, struct buf *b);

#endif
