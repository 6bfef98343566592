#include "api/count.h"

#include <time.h>

#include "api/route.h"

static unsigned method_of(str m)
{
    return str_eq(m, S("GET"))       ? label_method_GET
           : str_eq(m, S("POST"))    ? label_method_POST
           : str_eq(m, S("HEAD"))    ? label_method_HEAD
           : str_eq(m, S("OPTIONS")) ? label_method_OPTIONS
                                     : label_method_OTHER;
}

static unsigned status_of(int status)
{
    static const int statuses[] = {101, 200, 202, 308, 400, 401, 403, 404, 405,
                                   408, 413, 415, 426, 429, 431, 500, 501, 503};
    _Static_assert(COUNT_OF(statuses) == label_status_OTHER, "as in labels.def");
    unsigned i = 0;
    while (i < COUNT_OF(statuses) && statuses[i] != status)
        i++;
    return i;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void count_answer(const struct request *q, int status, size_t body)
{
    unsigned route = q->route ? q->route->label : label_route_OTHER;
    if (q->kind != HTTP_MAIN)
        return;
    METRICS_NODE(http_requests[(route * label_method_COUNT + method_of(q->head.method)) *
                                   label_status_COUNT +
                               status_of(status)],
                 1);
    if (q->complete_ns)
        metrics_sample(&metrics_thread()->cells.http_request_duration[route],
                       (double)(now_ns() - q->complete_ns) / 1e6);
    if (!q->app || !q->is_authentic)
        return;
    METRICS_APP(q->app->metrics, http_calls_received[0], 1);
    METRICS_APP(q->app->metrics, http_received_bytes[0], q->body.n);
    METRICS_APP(q->app->metrics, http_transmitted_bytes[0], body);
}

void count_late_handshake(const struct request *q)
{
    if (q->kind == HTTP_MAIN)
        METRICS_APP(metrics_app(S("unknown")),
                    connection_errors[label_error_type_HANDSHAKE_TIMEOUT], 1);
}

void count_refusal(enum label_auth_reason reason)
{
    METRICS_NODE(http_auth_failures[reason], 1);
}
