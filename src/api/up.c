/* Health: /up, /up/{app}, /ready, /live, /. Source: http-api.md §9; design §9 */
#include "api/answer.h"
#include "api/lookup.h"
#include "api/route.h"

static void answer_word(struct request *q, int status, str word)
{
    struct buf more;
    buf_init(&more, SIZE_MAX);
    http1_field(&more, S("X-Health-Check"), word);
    answer(q, status, S("text/plain"), word, buf_str(&more));
    buf_finish(&more);
}

static bool has_been_reached(const struct request *q, enum label_backend b)
{
    return node_backend(q->worker->node, b) != BACKEND_NEVER;
}

static bool node_is_fine(struct request *q)
{
    if (atomic_load(&q->worker->node->draining)) {
        answer_word(q, 503, S("DRAINING"));
        return false;
    }
    bool fine = !app_manager_is_empty(q->worker->node->apps) &&
                has_been_reached(q, label_backend_ADAPTER) &&
                has_been_reached(q, label_backend_APP_STORE);
    if (!fine)
        answer_word(q, 503, S("ERROR"));
    return fine;
}

static void answer_fine(struct request *q)
{
    const struct node *n = q->worker->node;
    for (unsigned b = 0; b < label_backend_COUNT; b++)
        if (node_backend(n, b) != BACKEND_UP) {
            answer_word(q, 200, S("DEGRADED"));
            return;
        }
    answer_word(q, 200, S("OK"));
}

void endpoint_up(struct request *q)
{
    if (node_is_fine(q))
        answer_fine(q);
}

static void app_found(struct request *q, const struct app_answer *a)
{
    if (a->err.kind != ERR_NONE)
        answer_word(q, 503, S("ERROR"));
    else if (!a->found)
        answer_word(q, 404, S("NOT_FOUND"));
    else if (!a->app->enabled)
        answer_word(q, 503, S("ERROR"));
    else
        answer_fine(q);
}

void endpoint_up_app(struct request *q)
{
    if (node_is_fine(q))
        lookup_app(q, q->segments[1], app_found);
}

void endpoint_live(struct request *q)
{
    answer(q, 200, S("text/plain"), S(""), S(""));
}

void endpoint_root(struct request *q)
{
    answer(q, 200, S("text/plain"), S("OK"), S(""));
}
