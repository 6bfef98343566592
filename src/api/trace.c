/* GET /status/trace?app=ID&after=N: what has happened in an app; asking keeps its trace on.
 * POST /admin/trace?app=ID&seconds=N: the same into the log, whatever its level; 0 ends it.
 * Source: configuration.md §9.1; security.md I12; metrics.md §6.4 */
#include "app/trace.h"

#include <stdlib.h>

#include "api/answer.h"
#include "api/lookup.h"
#include "api/operator.h"
#include "api/route.h"
#include "api/status.h"
#include "base/json.h"
#include "base/log.h"

/* ---- lines ---- */

static void text_write(struct buf *b, const char *name, str value)
{
    if (!value.n)
        return;
    buf_printf(b, ",\"%s\":", name);
    json_add_string(b, value);
}

static void line_write(struct buf *b, const struct trace_line *l)
{
    bool is_event = l->what == TRACE_CLIENT_EVENT || l->what == TRACE_PUBLISHED;
    buf_printf(b, "{\"seq\":%llu,\"time_ms\":%lld,\"what\":\"%s\"", (unsigned long long)l->seq,
               (long long)l->time_ms, trace_text(l->what));
    text_write(b, "socket_id", str_of(l->socket_id, l->socket_id_n));
    text_write(b, "channel", str_of(l->channel, l->channel_n));
    text_write(b, l->what == TRACE_SIGNED_IN ? "user_id" : "event", str_of(l->name, l->name_n));
    if (l->code)
        buf_printf(b, ",\"code\":%d", l->code);
    if (l->channels)
        buf_printf(b, ",\"channels\":%u", l->channels);
    if (is_event)
        buf_printf(b, ",\"bytes\":%zu", l->bytes);
    buf_char(b, '}');
}

static void lines_answer(struct request *q, struct app_live *live, uint64_t after)
{
    struct buf b;
    uint64_t missed;
    struct trace_line *lines = mem_alloc(TRACE_EVENTS * sizeof *lines);
    size_t n = trace_read(&live->trace, after, lines, &missed);
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"app\":"));
    json_add_string(&b, str_of(live->id, live->id_n));
    buf_printf(&b, ",\"next\":%llu,\"missed\":%llu,\"events\":[",
               (unsigned long long)(n ? lines[n - 1].seq : after), (unsigned long long)missed);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(&b, ',');
        line_write(&b, &lines[i]);
    }
    buf_add(&b, S("]}"));
    status_answer_json(q, buf_str(&b));
    buf_finish(&b);
    free(lines);
}

/* ---- both endpoints, once the app is known ---- */

static bool number_param(struct request *q, str name, uint64_t max, uint64_t *out)
{
    str text = status_param(q, name);
    return str_u64(text, max, out) ||
           (answer_error(q, 400, "invalid_input", "'%.*s' must be a number up to %llu", FMT(name),
                         (unsigned long long)max),
            false);
}

static void watch(struct request *q, struct app_live *live)
{
    struct worker *w = q->worker;
    uint64_t after = 0;
    if (status_param(q, S("after")).p && !number_param(q, S("after"), INT64_MAX, &after))
        return;
    if (trace_watch(&w->node->lives, live, w->loop.now_ms))
        lines_answer(q, live, after);
    else
        answer_error(q, 503, "service_unavailable", "%d other apps are being traced", TRACE_APPS);
}

static void switch_log(struct request *q, struct app_live *live)
{
    struct worker *w = q->worker;
    uint64_t seconds;
    struct buf b;
    str id = str_of(live->id, live->id_n);
    if (!number_param(q, S("seconds"), TRACE_LOG_MAX_S, &seconds))
        return;
    trace_log(&w->node->lives, live, w->loop.now_ms, (int64_t)seconds * 1000);
    log_fields(LOG_INFO, "trace", "trace switched", LOG_TEXT("app_id", id),
               LOG_INTEGER("seconds", (int64_t)seconds));
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"app\":"));
    json_add_string(&b, id);
    buf_printf(&b, ",\"seconds\":%llu}", (unsigned long long)seconds);
    status_answer_json(q, buf_str(&b));
    buf_finish(&b);
}

static void app_found(struct request *q, const struct app_answer *a)
{
    if (a->err.kind != ERR_NONE) {
        answer_error(q, 503, "service_unavailable", "The app store does not answer");
    } else if (!a->found) {
        answer_error(q, 404, "not_found", "No such app");
    } else {
        struct app_live *live = app_live_get(&q->worker->node->lives, a->app->id);
        (q->route->endpoint == endpoint_admin_trace ? switch_log : watch)(q, live);
    }
}

void endpoint_status_trace(struct request *q)
{
    if (operator_may_see_data(q))
        lookup_app(q, status_param(q, S("app")), app_found);
}

void endpoint_admin_trace(struct request *q)
{
    if (operator_may_act(q))
        lookup_app(q, status_param(q, S("app")), app_found);
}
