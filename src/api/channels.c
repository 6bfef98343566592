/* GET /apps/{id}/channels. Source: http-api.md §7.1: decided by the parameters alone */
#include <stdlib.h>

#include "api/answer.h"
#include "api/route.h"
#include "base/json.h"

struct row {
    str name;
    struct channel_counts counts;
};
struct listing {
    struct request *q;
    struct row *rows;
    size_t n, cap;
};

static void row_add(void *ctx, str name, struct channel_counts counts)
{
    struct listing *l = ctx;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->rows = mem_resize(l->rows, l->cap * sizeof *l->rows);
    }
    l->rows[l->n++] = (struct row){arena_str(&l->q->memory, name), counts};
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void answer_rows(struct request *q, const struct listing *l, bool users, bool subscriptions)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"channels\":{"));
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_char(&b, ',');
        json_add_string(&b, l->rows[i].name);
        buf_add(&b, S(":{"));
        if (users)
            buf_printf(&b, "\"user_count\":%u", l->rows[i].counts.users);
        if (subscriptions)
            buf_printf(&b, "%s\"subscription_count\":%u", users ? "," : "",
                       l->rows[i].counts.subscriptions);
        buf_char(&b, '}');
    }
    buf_add(&b, S("}}"));
    answer_json(q, buf_str(&b));
    buf_finish(&b);
}

void endpoint_channels(struct request *q)
{
    str prefix = request_param(q, S("filter_by_prefix")), info = request_param(q, S("info")), word;
    bool users = false, subscriptions = false;
    while (http1_list_next(&info, &word)) {
        users |= str_eq(word, S("user_count"));
        subscriptions |= str_eq(word, S("subscription_count"));
    }
    if (users && !str_starts(prefix, S("presence-"))) {
        answer_error(q, 400, "invalid_input",
                     "user_count is only available for presence channels. "
                     "Use filter_by_prefix=presence-");
        return;
    }
    struct listing l = {.q = q};
    registry_each(q->worker->node->registry, q->app->app->id, prefix, row_add, &l);
    if (l.n)
        qsort(l.rows, l.n, sizeof *l.rows, by_name);
    answer_rows(q, &l, users, subscriptions);
    free(l.rows);
}
