/* unit/channel_registry - where a channel's record lies cannot be known from outside; what is kept
 * of a cache channel. */
#include "channel/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"

static int partition_of(struct registry *r, str name)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, S("app"), name, &hash);
    partition_unlock(p);
    return (int)(p - r->parts);
}

/* SEC-16: names that share a partition on one node are spread over those of another, as each makes
 * a key of its own (security.md R16). */
static void each_registry_has_a_key_of_its_own(void **state)
{
    enum { NAMES = 64 };
    static struct loop loop, *loops[] = {&loop};
    struct err e;
    struct cache_options cache = {.driver = STR("none")};
    struct adapter_options adapter = {.driver = STR("local")};
    char seen[REGISTRY_PARTITIONS] = "";
    int first = -1, made = 0, places = 0;
    (void)state;
    struct cache *c = cache_create(&cache, &e);
    struct adapter *a = adapter_create(&adapter, &e);
    struct registry *one = registry_create(1, loops, a, c, 1000);
    struct registry *other = registry_create(1, loops, a, c, 1000);
    for (int i = 0; made < NAMES; i++) {
        char name[24];
        str s = str_of(name, (size_t)snprintf(name, sizeof name, "room-%d", i));
        int at = partition_of(one, s);
        first = first < 0 ? at : first;
        if (at != first)
            continue;
        made++;
        at = partition_of(other, s);
        places += !seen[at];
        seen[at] = 1;
    }
    assert_true(places > NAMES / 2); /* random ones: 62 */
    registry_destroy(&one);
    registry_destroy(&other);
    adapter_destroy(&a);
    cache_destroy(&c);
}

static void publish(struct registry *r, size_t bytes)
{
    char data[256];
    memset(data, '"', sizeof data);
    memset(data + 1, 'x', bytes);
    registry_publish(r, NULL,
                     message_create(S("app"), S("cache-a"), S("e"), str_of(data, bytes + 2), S(""),
                                    MESSAGE_HTTP));
}

static bool is_cached(struct cache *c)
{
    arena a = {0};
    struct buf key;
    struct cache_answer got;
    buf_init(&key, SIZE_MAX);
    registry_cache_key(&key, S("app"), S("cache-a"));
    assert_int_equal(cache_get(&a, c, (struct handle){0}, buf_str(&key), &got, NULL), DONE);
    buf_finish(&key);
    arena_finish(&a);
    return got.found;
}

/* Only the newest event is replayed (WS-83): one that cannot be kept leaves none, not an older. */
static void too_large_an_event_forgets_the_one_before(void **state)
{
    static struct loop loop, *loops[] = {&loop};
    struct err e;
    struct cache_options cache = {.driver = STR("memory"), .max_value_bytes = 200};
    struct adapter_options adapter = {.driver = STR("local")};
    (void)state;
    struct cache *c = cache_create(&cache, &e);
    struct adapter *a = adapter_create(&adapter, &e);
    struct registry *r = registry_create(1, loops, a, c, 1000000);
    publish(r, 1);
    assert_true(is_cached(c));
    publish(r, 250);
    assert_false(is_cached(c));
    registry_destroy(&r);
    adapter_destroy(&a);
    cache_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_registry_has_a_key_of_its_own),
        cmocka_unit_test(too_large_an_event_forgets_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
