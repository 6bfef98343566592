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

void lookup_give_up(struct request *q)
{
    struct app_answer away = {0};
    err_set(&away.err, ERR_UNAVAILABLE, "the app store did not answer in time");
    q->found(q, &away);
}

void lookup_app(struct request *q, str app_id,
                void (*found)(struct request *q, const struct app_answer *a))
{
    struct app_answer a = {0};
    q->found = found;
    struct app_manager *m = q->worker->node->apps;
    if (app_by_id(m, request_asker(q), app_id, &a, found_later) == DONE) {
        found(q, &a);
        app_unref(&a.app);
    } else {
        request_wait(q, q->worker->settings->health_check_timeout_ms);
    }
}
