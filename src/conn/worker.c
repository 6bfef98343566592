#include "conn/worker.h"

static struct node *current;

void node_use(struct node *n)
{
    current = n;
}

struct stream *node_find(struct handle h)
{
    if (!current || h.worker > current->worker_count || !current->workers[h.worker])
        return NULL;
    return stream_find(&current->workers[h.worker]->pool, h);
}
