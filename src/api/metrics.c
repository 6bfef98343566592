/* GET /metrics on the metrics listener. Source: metrics.md §1 */
#include "metrics/metrics.h"

#include "api/answer.h"
#include "api/route.h"

void endpoint_metrics(struct request *q)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    metrics_write(&b, q->worker->node->metrics);
    answer(q, 200, S("text/plain; version=0.0.4; charset=utf-8"), buf_str(&b), S(""));
    buf_finish(&b);
}
