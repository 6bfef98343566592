#include "api/lookup.h"

static void found_later(struct handle asker, struct app_answer *a)
{
    struct request *q = request_find(asker);
    if (q) {
        q->found(q, a);
        request_resume(q);
    }
    app_unref(&a->app);
}

void lookup_app(struct request *q, str app_id,
                void (*found)(struct request *q, const struct app_answer *a))
{
    struct app_answer a = {0};
    q->found = found;
    struct app_manager *m = q->worker->node->apps;
    if (app_by_id(m, stream_handle(q->stream), app_id, &a, found_later) == DONE) {
        found(q, &a);
        app_unref(&a.app);
    } else {
        request_keep(q);
        q->is_waiting = true;
    }
}
