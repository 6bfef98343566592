/* GET /stats and /operator/stats: this node only. Source: http-api.md §9; configuration.md §9.1:
 * they tell app ids and load, so they need the bearer token http_api.usage_token. */
#include <stdlib.h>

#include "api/answer.h"
#include "api/operator.h"
#include "api/route.h"
#include "api/usage.h"
#include "base/json.h"

struct stats {
    struct request *q;
    struct app **known; /* one reference each */
    size_t known_count, known_cap;
    struct buf apps;
    size_t app_count;
    int64_t connections;
    struct registry_totals sum;
};

static void occupancy_write(struct buf *b, const struct registry_totals *t)
{
    buf_printf(b,
               "\"occupancy\":{\"channels\":%llu,\"subscriptions\":%llu,\"presence_channels\":%llu,"
               "\"presence_subscriptions\":%llu,\"presence_members\":%llu}",
               (unsigned long long)t->channels, (unsigned long long)t->subscriptions,
               (unsigned long long)t->presence_channels,
               (unsigned long long)t->presence_subscriptions,
               (unsigned long long)t->presence_members);
}

static void counts_write(struct buf *b, int64_t connections, const struct registry_totals *t)
{
    buf_printf(b,
               "\"connections\":%lld,\"authenticated_connections\":%llu,\"users\":%llu,"
               "\"connections_with_meta\":0,",
               (long long)connections, (unsigned long long)t->authenticated,
               (unsigned long long)t->users);
    occupancy_write(b, t);
}

static void sum_add(struct registry_totals *sum, const struct registry_totals *t)
{
    sum->channels += t->channels;
    sum->subscriptions += t->subscriptions;
    sum->presence_channels += t->presence_channels;
    sum->presence_subscriptions += t->presence_subscriptions;
    sum->presence_members += t->presence_members;
    sum->users += t->users;
    sum->authenticated += t->authenticated;
}

/* Apps without state are left out. */
static void app_write(struct stats *s, struct app *app, const struct registry_totals *t)
{
    struct node *n = s->q->worker->node;
    int64_t connections = atomic_load(&app_live_get(&n->lives, app->id)->connections);
    if (connections == 0 && t->channels == 0)
        return;
    buf_add(&s->apps, s->app_count++ ? S(",{\"app_id\":") : S("{\"app_id\":"));
    json_add_string(&s->apps, app->id);
    buf_char(&s->apps, ',');
    counts_write(&s->apps, connections, t);
    buf_char(&s->apps, '}');
    s->connections += connections;
    sum_add(&s->sum, t);
}

static void app_collect(void *ctx, struct app *app)
{
    struct stats *s = ctx;
    if (s->known_count == s->known_cap) {
        s->known_cap = s->known_cap ? s->known_cap * 2 : 16;
        s->known = mem_resize(s->known, s->known_cap * sizeof *s->known);
    }
    s->known[s->known_count++] = app_ref(app);
}

static int by_id(const void *a, const void *b)
{
    return str_cmp((*(struct app *const *)a)->id, (*(struct app *const *)b)->id);
}

static void apps_write(struct stats *s)
{
    app_manager_each(s->q->worker->node->apps, app_collect, s);
    if (s->known_count)
        qsort(s->known, s->known_count, sizeof *s->known, by_id);
    str *ids = mem_alloc((s->known_count + 1) * sizeof *ids);
    struct registry_totals *totals = mem_alloc((s->known_count + 1) * sizeof *totals);
    for (size_t i = 0; i < s->known_count; i++)
        ids[i] = s->known[i]->id;
    registry_totals(s->q->worker->node->registry, ids, s->known_count, totals);
    for (size_t i = 0; i < s->known_count; i++) {
        app_write(s, s->known[i], &totals[i]);
        app_unref(&s->known[i]);
    }
    free(totals);
    free(ids);
    free(s->known);
}

static void history_write(struct buf *b, str name)
{
    json_add_string(b, name);
    buf_add(b, S(":{\"enabled\":false,\"backend\":\"disabled\",\"state_authority\":\"disabled\","
                 "\"degraded_channels\":0,\"reset_required_channels\":0,\"queue_depth\":0},"));
}

void endpoint_stats(struct request *q)
{
    struct stats s = {.q = q};
    struct buf b;
    if (!operator_is_allowed(q))
        return;
    buf_init(&s.apps, SIZE_MAX);
    buf_init(&b, SIZE_MAX);
    apps_write(&s);
    buf_add(&b, S("{\"memory\":"));
    memory_write(&b);
    buf_char(&b, ',');
    history_write(&b, S("history"));
    history_write(&b, S("presence_history"));
    buf_printf(&b, "\"totals\":{\"apps\":%zu,", s.app_count);
    counts_write(&b, s.connections, &s.sum);
    buf_add(&b, S("},\"apps\":["));
    buf_add(&b, buf_str(&s.apps));
    buf_add(&b, S("]}"));
    answer_json(q, buf_str(&b));
    buf_finish(&s.apps);
    buf_finish(&b);
}
