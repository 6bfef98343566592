/* server/report.c - values for the metrics output that others hold. */
#include "server/state.h"

void server_report(void *ctx, struct metrics_report *r)
{
    struct server *s = ctx;
    uint64_t waiting = 0;
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        waiting += atomic_load_explicit(&s->threads[i].unsent, memory_order_relaxed);
    metrics_report(r, METRIC_send_queue_bytes, 0, 0, (double)waiting);
    metrics_report(r, METRIC_cluster_nodes, 0, 0, adapter_nodes(s->node.adapter));
    unsigned driver = metrics_label_find("queue_driver", s->queue_driver);
    for (unsigned i = 0; i < label_state_COUNT; i++)
        metrics_report(r, METRIC_queue_depth, driver, i,
                       (double)atomic_load_explicit(&s->service.jobs[i], memory_order_relaxed));
    for (unsigned b = 0; b < label_backend_COUNT; b++)
        metrics_report(r, METRIC_backend_up, b, 0, node_backend(&s->node, b) == BACKEND_UP);
}
