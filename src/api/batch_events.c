/* POST /apps/{id}/batch_events. Source: http-api.md §6: all are checked before the first is sent */
#include <stdio.h>

#include "api/answer.h"
#include "api/body.h"
#include "api/event.h"
#include "api/route.h"

/* Of the shortest element that is valid, with its comma. */
enum { ELEMENT_MIN = sizeof "{\"name\":\"a\",\"channel\":\"b\"}," - 1 };

struct batch {
    struct event *events;
    size_t n;
    bool wants_info;
};

static bool elements_read(struct request *q, struct json list, struct batch *b)
{
    struct json item;
    struct refusal r;
    struct json_iter it = json_iter(list);
    for (size_t i = 0; json_next(&it, NULL, &item); i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "batch[%zu]: ", i);
        if (!event_read(q, item, prefix, &b->events[i], &r)) {
            answer_error(q, r.status, r.code, "%s", r.text);
            return false;
        }
        b->wants_info |= b->events[i].wants_info;
    }
    return true;
}

static bool batch_read(struct request *q, struct batch *b)
{
    struct json top, item;
    struct json_field f[] = {{S("batch"), {0}}};
    uint32_t max = q->app->app->max_batch;
    if (!body_object(q, &top))
        return false;
    json_fields(top, f, 1);
    if (f[0].value.type != JSON_ARRAY) {
        answer_error(q, 400, "invalid_input", "'batch' must be an array");
        return false;
    }
    struct json_iter it = json_iter(f[0].value);
    while (json_next(&it, NULL, &item))
        b->n++;
    if (max && b->n > max) {
        answer_error(q, 400, "limit_exceeded", "Batch size (%zu) exceeds limit (%u)", b->n, max);
        return false;
    }
    /* Reading ends at the first that is wrong: a body of nothing but commas needs no more room. */
    size_t most = q->body.n / ELEMENT_MIN + 1;
    b->events = arena_get(&q->memory, (b->n < most ? b->n : most) * sizeof *b->events);
    return elements_read(q, f[0].value, b);
}

static void answer_info(struct request *q, const struct batch *b)
{
    struct buf out;
    buf_init(&out, SIZE_MAX);
    buf_add(&out, S("{\"batch\":["));
    for (size_t i = 0; i < b->n; i++) {
        const struct event *e = &b->events[i];
        if (i)
            buf_char(&out, ',');
        event_info(q, e, e->channels[0], &out); /* of its first channel */
    }
    buf_add(&out, S("]}"));
    answer_json(q, buf_str(&out));
    buf_finish(&out);
}

void endpoint_batch_events(struct request *q)
{
    struct batch b = {0};
    if (!batch_read(q, &b))
        return;
    for (size_t i = 0; i < b.n; i++)
        if (event_is_blocked(q, &b.events[i])) {
            answer_error(q, 503, "backpressure", "Server is overloaded, try again");
            return;
        }
    for (size_t i = 0; i < b.n; i++)
        event_send(q, &b.events[i]);
    if (b.wants_info)
        answer_info(q, &b);
    else
        answer_json(q, S("{}"));
}
