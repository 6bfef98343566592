/* support/test_node.c - see the header. */
#include "support/test_node.h"

static int64_t wall_s(void)
{
    return 1790000000;
}

struct app *test_app(void)
{
    struct app *app = app_create();
    app->id = arena_str(&app->memory, S("1"));
    app->key = arena_str(&app->memory, S("k"));
    app->secret = arena_str(&app->memory, S("s"));
    app->enabled = true;
    return app;
}

static struct settings *generous(void)
{
    struct settings *s = settings_create();
    s->activity_timeout_ms = 120000;
    s->health_check_timeout_ms = 2000;
    s->user_authentication_timeout_ms = 30000;
    s->max_payload_bytes = 65536;
    s->max_message_bytes = s->max_frame_bytes = 1 << 20;
    s->max_body_bytes = 1 << 20;
    return s;
}

static void families_open(struct node *n, const struct test_node_options *opt)
{
    struct err e;
    struct app *app = opt->app;
    struct app_manager_options apps = {STR("memory"), &app, 1};
    struct cache_options cache = {.driver = STR("memory"), .now_ms = opt->clock};
    struct adapter_options adapter = {.driver = STR("local")};
    n->apps =
        opt->apps ? app_manager_create_with(opt->apps, &apps, &e) : app_manager_create(&apps, &e);
    n->cache = opt->cache ? cache_create_with(opt->cache, &cache, &e) : cache_create(&cache, &e);
    n->adapter = opt->adapter ? adapter_create_with(opt->adapter, &adapter, &e)
                              : adapter_create(&adapter, &e);
    CHECK(n->apps && n->cache && n->adapter);
    app_unref(&app);
}

void test_node_open(struct test_node *t, const struct test_node_options *opt)
{
    struct err e;
    struct node *n = &t->node;
    CHECK(opt->workers <= TEST_WORKERS_MAX);
    memset(t, 0, sizeof *t);
    app_lives_init(&n->lives);
    n->wall_s = wall_s;
    n->worker_count = opt->workers;
    n->settings = generous();
    families_open(n, opt);
    node_use(n);
    for (uint16_t i = 0; i < opt->workers; i++) {
        CHECK(worker_init(&t->threads[i], n, i, opt->clock, NULL, &e));
        t->loops[i] = &t->threads[i].worker.loop;
    }
    n->registry = registry_create(opt->workers, t->loops, n->adapter, n->cache, 3600000);
}

void test_node_close(struct test_node *t)
{
    struct node *n = &t->node;
    for (uint16_t i = 0; i < n->worker_count; i++)
        worker_close_streams(&t->threads[i]);
    for (uint16_t i = 0; i < n->worker_count; i++)
        worker_finish(&t->threads[i]);
    registry_destroy(&n->registry);
    adapter_destroy(&n->adapter);
    cache_destroy(&n->cache);
    app_manager_destroy(&n->apps);
    app_lives_finish(&n->lives);
    settings_unref(&n->settings);
    node_use(NULL);
}
