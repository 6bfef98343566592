/* POST /apps/{id}/events. Source: http-api.md §5 */
#include "api/answer.h"
#include "api/body.h"
#include "api/event.h"
#include "api/route.h"

static void answer_info(struct request *q, const struct event *e)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"channels\":{"));
    for (size_t i = 0; i < e->channel_count; i++) {
        if (i)
            buf_char(&b, ',');
        json_add_string(&b, e->channels[i]);
        buf_char(&b, ':');
        event_info(q, e, e->channels[i], &b);
    }
    buf_add(&b, S("}}"));
    answer_json(q, buf_str(&b));
    buf_finish(&b);
}

void endpoint_events(struct request *q)
{
    struct json top;
    struct event e;
    struct refusal r;
    if (!body_object(q, &top))
        return;
    if (!event_read(q, top, "", &e, &r)) {
        answer_error(q, r.status, r.code, "%s", r.text);
    } else if (event_is_blocked(q, &e)) {
        answer_error(q, 503, "backpressure", "Server is overloaded, try again");
    } else {
        event_send(q, &e);
        if (e.wants_info)
            answer_info(q, &e);
        else
            answer_json(q, S("{}"));
    }
}
