/* support/test_node.h - a node whose workers turn when the test says so: apps, adapter, cache and
 * registry around them, and no thread.
 *
 * Nature   one at a time: node_use() points to it
 */
#ifndef SUPPORT_TEST_NODE_H
#define SUPPORT_TEST_NODE_H

#include "server/worker.h"

enum { TEST_WORKERS_MAX = 4 };

struct test_node {
    struct node node;
    struct worker_thread threads[TEST_WORKERS_MAX];
    struct loop *loops[TEST_WORKERS_MAX];
};
struct test_node_options {
    uint16_t workers;
    int64_t (*clock)(void *ctx); /* milliseconds; the ctx is NULL */
    struct app *app;             /* the only one; the reference is taken */
    const struct app_driver *apps;
    const struct adapter_driver *adapter;
    const struct cache_driver *cache; /* of each NULL: memory or local */
};

/* An app with id 1, key k and secret s, enabled; the caller sets the rest. */
struct app *test_app(void);
/* Settings are generous, and may be changed until the first connection. */
void test_node_open(struct test_node *t, const struct test_node_options *opt);
/* Closes what is still connected, too. */
void test_node_close(struct test_node *t);

#endif
