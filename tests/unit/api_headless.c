/* unit/api_headless - who goes when too many connections have sent no head (security R4, SEC-4) */
#include "api/headless.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct client_address address(uint8_t last)
{
    return (struct client_address){.kind = CLIENT_IPV4, .bytes = {10, 0, 0, last}};
}

static uint32_t add(struct headless *h, struct headless_entry *x, uint32_t slot, uint8_t last)
{
    struct client_address a = address(last);
    struct handle loser = {.slot = 0};
    bool one_goes = headless_add(h, x, (struct handle){.slot = slot, .generation = 1},
                                 last ? &a : NULL, &loser);
    assert_int_equal(one_goes, loser.slot != 0);
    return loser.slot;
}

static void oldest_of_an_address_goes(void **state)
{
    (void)state;
    struct headless_entry x[HEADLESS_PER_ADDRESS + 4], other;
    struct headless *h = headless_create(1000);
    assert_int_equal(add(h, &other, 900, 2), 0);
    for (uint32_t i = 0; i < HEADLESS_PER_ADDRESS; i++)
        assert_int_equal(add(h, &x[i], i + 1, 1), 0);
    assert_int_equal(add(h, &x[HEADLESS_PER_ADDRESS], 500, 1), 1);
    assert_false(headless_remove(h, &x[0])); /* off the list already */
    assert_true(headless_remove(h, &x[1]));
    assert_false(headless_remove(h, &x[1]));
    assert_int_equal(add(h, &x[1], 501, 1), 0);
    assert_int_equal(add(h, &x[0], 502, 1), 3);
    assert_true(headless_remove(h, &other));
    headless_destroy(&h);
    assert_null(h);
}

static void oldest_of_all_goes(void **state)
{
    (void)state;
    struct headless_entry x[4];
    struct headless *h = headless_create(2);
    assert_int_equal(add(h, &x[0], 1, 0), 0);
    assert_int_equal(add(h, &x[1], 2, 1), 0);
    assert_int_equal(add(h, &x[2], 3, 2), 1);
    assert_int_equal(add(h, &x[3], 4, 0), 2);
    assert_true(headless_remove(h, &x[2]));
    assert_int_equal(add(h, &x[1], 5, 1), 0);
    headless_destroy(&h);
}

static void addresses_without_number(void **state)
{
    (void)state;
    static struct headless_entry x[5000];
    struct headless *h = headless_create(10000);
    for (uint32_t i = 0; i < COUNT_OF(x); i++)
        assert_int_equal(add(h, &x[i], i + 1, (uint8_t)(i % 200 + 1)), 0);
    for (uint32_t i = 0; i < COUNT_OF(x); i += 2)
        assert_true(headless_remove(h, &x[i]));
    headless_destroy(&h); /* what is still listed is forgotten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oldest_of_an_address_goes),
        cmocka_unit_test(oldest_of_all_goes),
        cmocka_unit_test(addresses_without_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
