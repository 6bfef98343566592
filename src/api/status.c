/* GET /status, the page, and GET /status/data, its figures. On the service thread: no connection
 * waits for it. Source: configuration.md §9.1; metrics.md §6.4 */
#include "api/status.h"

#include <stdlib.h>
#include <time.h>

#include "api/answer.h"
#include "api/operator.h"
#include "api/route.h"
#include "api/usage.h"
#include "base/json.h"
#include "base/log.h"
#include "metrics/process.h"
#include "status_page.generated.h" /* made by the build */

enum { APPS_MAX = 500, CHANNELS_MAX = 100 };

void status_answer_json(struct request *q, str body)
{
    answer(q, 200, S("application/json"), body, S(STATUS_FIELDS STATUS_POLICY_NONE));
}

str status_param(struct request *q, str name)
{
    q->param_count = api_query_parse(q->head.query, true, &q->memory, &q->params);
    return request_param(q, name);
}

void endpoint_status(struct request *q)
{
    if (operator_may_see_page(q))
        answer(q, 200, S("text/html; charset=utf-8"), str_of(status_page, sizeof status_page - 1),
               S(STATUS_FIELDS "Content-Security-Policy: " STATUS_PAGE_POLICY "\r\n"));
}

/* ---- figures of the node ---- */

struct figures {
    int64_t connections;
    uint64_t channels, subscriptions, received, sent, requests, errors;
};

static void figures_write(struct buf *b, const struct figures *f)
{
    buf_printf(b,
               "\"connections\":%lld,\"channels\":%llu,\"subscriptions\":%llu,\"received\":%llu,"
               "\"sent\":%llu,\"requests\":%llu,\"errors\":%llu",
               (long long)f->connections, (unsigned long long)f->channels,
               (unsigned long long)f->subscriptions, (unsigned long long)f->received,
               (unsigned long long)f->sent, (unsigned long long)f->requests,
               (unsigned long long)f->errors);
}

/* Counters say it without a walk through the channels: begun less ended. */
static void node_figures(const struct node *n, struct figures *f)
{
    *f = (struct figures){
        .connections = atomic_load(&n->connections),
        .received = METRICS_SUM_APPS(ws_messages_received[0]),
        .sent = METRICS_SUM_APPS(ws_messages_sent[0]),
        .requests = METRICS_SUM_APPS(http_calls_received[0]),
    };
    for (unsigned i = 0; i < label_channel_type_COUNT; i++) {
        f->channels += METRICS_SUM_APPS(active_channels[i]);
        f->subscriptions += METRICS_SUM_APPS(channel_subscriptions[i]) -
                            METRICS_SUM_APPS(channel_unsubscriptions[i]);
    }
    for (unsigned i = 0; i < label_error_type_COUNT; i++)
        f->errors += METRICS_SUM_APPS(connection_errors[i]);
}

static void backends_write(struct buf *b, const struct node *n)
{
    static const char *const words[] = {
        [BACKEND_UP] = "up", [BACKEND_AWAY] = "away", [BACKEND_NEVER] = "never reached"};
    buf_add(b, S(",\"backends\":{"));
    for (unsigned i = 0; i < label_backend_COUNT; i++)
        buf_printf(b, "%s\"%s\":\"%s\"", i ? "," : "", metrics_label_text("backend", i),
                   words[node_backend(n, i)]);
    buf_char(b, '}');
}

static void errors_write(struct buf *b)
{
    const char *comma = "";
    buf_add(b, S(",\"connection_errors\":{"));
    for (unsigned i = 0; i < label_error_type_COUNT; i++) {
        uint64_t count = METRICS_SUM_APPS(connection_errors[i]);
        if (count) {
            buf_printf(b, "%s\"%s\":%llu", comma, metrics_label_text("error_type", i),
                       (unsigned long long)count);
            comma = ",";
        }
    }
    buf_char(b, '}');
}

static void log_lines_write(struct buf *b)
{
    uint64_t total;
    struct log_recent *lines = mem_alloc(LOG_RECENT * sizeof *lines);
    size_t n = log_recent(lines, &total);
    buf_printf(b, ",\"log_total\":%llu,\"log\":[", (unsigned long long)total);
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s{\"time_ms\":%lld,\"level\":\"%s\",\"module\":", i ? "," : "",
                   (long long)lines[i].time_ms, lines[i].level == LOG_ERROR ? "error" : "warn");
        json_add_string(b, str_z(lines[i].module));
        buf_add(b, S(",\"text\":"));
        json_add_string(b, str_of(lines[i].text, lines[i].text_n));
        buf_char(b, '}');
    }
    buf_char(b, ']');
    free(lines);
}

static void node_write(struct buf *b, const struct node *n)
{
    struct process_usage usage;
    struct figures f;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    process_usage(&usage);
    node_figures(n, &f);
    double now_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    buf_printf(b,
               "{\"version\":\"" SOCKUDO_VERSION "\",\"time_ms\":%.0f,\"uptime_s\":%.0f,"
               "\"draining\":%s,\"workers\":%u,\"cpu_s\":%.2f,\"resident_bytes\":%llu,\"node\":{",
               now_s * 1000, usage.start_time_s > 0 ? now_s - usage.start_time_s : 0,
               atomic_load(&n->draining) ? "true" : "false", n->worker_count, usage.cpu_s,
               (unsigned long long)usage.resident_bytes);
    figures_write(b, &f);
    buf_char(b, '}');
    backends_write(b, n);
    errors_write(b);
    log_lines_write(b);
}

/* ---- apps ---- */

struct row {
    struct app *app; /* a reference */
    int64_t connections;
};
struct rows {
    struct node *node;
    struct row *list;
    size_t n, cap;
};

static void row_add(void *ctx, struct app *app)
{
    struct rows *r = ctx;
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->list = mem_resize(r->list, r->cap * sizeof *r->list);
    }
    r->list[r->n++] = (struct row){
        app_ref(app), atomic_load(&app_live_get(&r->node->lives, app->id)->connections)};
}

static int busiest_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->connections != y->connections)
        return x->connections < y->connections ? 1 : -1;
    return str_cmp(x->app->id, y->app->id);
}

static void app_figures(const struct row *r, struct figures *f)
{
    str id = r->app->id;
    *f = (struct figures){
        .connections = r->connections,
        .received = METRICS_SUM_APP(id, ws_messages_received[0]),
        .sent = METRICS_SUM_APP(id, ws_messages_sent[0]),
        .requests = METRICS_SUM_APP(id, http_calls_received[0]),
    };
    for (unsigned i = 0; i < label_channel_type_COUNT; i++) {
        f->channels += METRICS_SUM_APP(id, active_channels[i]);
        f->subscriptions += METRICS_SUM_APP(id, channel_subscriptions[i]) -
                            METRICS_SUM_APP(id, channel_unsubscriptions[i]);
    }
    for (unsigned i = 0; i < label_error_type_COUNT; i++)
        f->errors += METRICS_SUM_APP(id, connection_errors[i]);
}

static void app_write(struct buf *b, const struct row *r)
{
    struct figures f;
    app_figures(r, &f);
    buf_add(b, S("{\"id\":"));
    json_add_string(b, r->app->id);
    buf_printf(b, ",\"enabled\":%s,\"max_connections\":%lld,", r->app->enabled ? "true" : "false",
               (long long)r->app->max_connections);
    figures_write(b, &f);
    buf_char(b, '}');
}

static void apps_write(struct buf *b, struct node *n)
{
    struct rows r = {.node = n};
    app_manager_each(n->apps, row_add, &r);
    if (r.n)
        qsort(r.list, r.n, sizeof *r.list, busiest_first);
    buf_printf(b, ",\"app_count\":%zu,\"apps\":[", r.n);
    for (size_t i = 0; i < r.n; i++) {
        if (i < APPS_MAX) {
            if (i)
                buf_char(b, ',');
            app_write(b, &r.list[i]);
        }
        app_unref(&r.list[i].app);
    }
    buf_char(b, ']');
    free(r.list);
}

/* ---- the largest channels of one app ---- */

struct place {
    struct buf name;
    struct channel_counts counts;
};
struct ranking {
    struct place places[CHANNELS_MAX]; /* most subscriptions first */
    size_t n;
};

/* The last place is given away, and its memory with it. */
static void rank(void *ctx, str name, struct channel_counts counts)
{
    struct ranking *r = ctx;
    size_t at = r->n < CHANNELS_MAX ? r->n : CHANNELS_MAX - 1;
    if (r->n == CHANNELS_MAX && counts.subscriptions <= r->places[at].counts.subscriptions)
        return;
    struct place taken = r->places[at];
    if (r->n < CHANNELS_MAX) {
        r->n++;
        buf_init(&taken.name, SIZE_MAX);
    }
    for (; at && r->places[at - 1].counts.subscriptions < counts.subscriptions; at--)
        r->places[at] = r->places[at - 1];
    buf_clear(&taken.name);
    buf_add(&taken.name, name);
    taken.counts = counts;
    r->places[at] = taken;
}

static void channels_write(struct buf *b, struct node *n, str app)
{
    struct ranking *r = mem_zero(sizeof *r);
    registry_each(n->registry, app, S(""), rank, r);
    buf_add(b, S(",\"selected\":{\"app\":"));
    json_add_string(b, app);
    buf_add(b, S(",\"channels\":["));
    for (size_t i = 0; i < r->n; i++) {
        buf_add(b, i ? S(",{\"name\":") : S("{\"name\":"));
        json_add_string(b, buf_str(&r->places[i].name));
        buf_printf(b, ",\"subscriptions\":%u,\"users\":%u}", r->places[i].counts.subscriptions,
                   r->places[i].counts.users);
        buf_finish(&r->places[i].name);
    }
    buf_add(b, S("]}"));
    free(r);
}

void endpoint_status_data(struct request *q)
{
    struct buf b;
    if (!operator_may_see_data(q))
        return;
    str app = status_param(q, S("app"));
    buf_init(&b, SIZE_MAX);
    node_write(&b, q->worker->node);
    apps_write(&b, q->worker->node);
    if (app.n)
        channels_write(&b, q->worker->node, app);
    buf_char(&b, '}');
    status_answer_json(q, buf_str(&b));
    buf_finish(&b);
}
