/* unit/webhook_retry.c - when a failed delivery is tried again (webhooks.md §5). */
#include "webhook/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct retry_policy usual = {true, 0, 300000, 1000, 60000};

static void statuses(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum webhook_outcome outcome;
    } rows[] = {{200, OUTCOME_DELIVERED}, {299, OUTCOME_DELIVERED}, {302, OUTCOME_PERMANENT},
                {304, OUTCOME_PERMANENT}, {400, OUTCOME_PERMANENT}, {401, OUTCOME_PERMANENT},
                {404, OUTCOME_PERMANENT}, {408, OUTCOME_RETRY},     {409, OUTCOME_RETRY},
                {410, OUTCOME_PERMANENT}, {425, OUTCOME_RETRY},     {429, OUTCOME_RETRY},
                {500, OUTCOME_RETRY},     {503, OUTCOME_RETRY},     {599, OUTCOME_RETRY}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(webhook_outcome_of(rows[i].status), rows[i].outcome);
}

/* With the defaults: at about 0, 1, 3, 7, 15, 31, 63, 123, 183, 243 s. */
static void defaults(void **state)
{
    (void)state;
    static const int64_t at[] = {1, 3, 7, 15, 31, 63, 123, 183, 243};
    int64_t elapsed = 0;
    uint32_t n = 1;
    for (; n <= COUNT_OF(at); n++) {
        elapsed += retry_delay(&usual, n, elapsed, 0, 0);
        assert_int_equal(elapsed, at[n - 1] * 1000);
    }
    assert_int_equal(retry_delay(&usual, n, elapsed, 0, 0), -1); /* 303 s */
    assert_int_equal(retry_delay(&usual, 1, 0, 1, 0), 1200);
    assert_int_equal(retry_delay(&usual, 1, 0, -1, 0), 800);
    assert_int_equal(retry_delay(&usual, UINT32_MAX, 0, 0, 0), 60000);
}

static void limits(void **state)
{
    (void)state;
    struct retry_policy p = usual;
    p.max_attempts = 2;
    assert_int_equal(retry_delay(&p, 1, 0, 0, 0), 1000);
    assert_int_equal(retry_delay(&p, 2, 1000, 0, 0), -1);
    p = usual;
    p.enabled = false;
    assert_int_equal(retry_delay(&p, 1, 0, 0, 0), -1);
    assert_int_equal(retry_delay(&usual, 1, 299000, 0, 0), 1000);
    assert_int_equal(retry_delay(&usual, 1, 299001, 0, 0), -1);
}

/* A wait of 0 is none at all. */
static void never_without_a_wait(void **state)
{
    (void)state;
    static const struct webhook_options opt = {.retry = {.enabled = true, .max_elapsed_ms = 1000}};
    struct app_webhook h = {.events = 0};
    struct retry_policy p = retry_policy_of(&opt, &h);
    assert_int_equal(p.initial_ms, 1000);
    assert_int_equal(p.max_ms, 60000);
    assert_int_equal(p.max_elapsed_ms, 1000);
    h.retry.initial_backoff_ms = 5;
    assert_int_equal(retry_policy_of(&opt, &h).initial_ms, 5);
}

/* Used when it is longer than the computed wait and still inside the budget. */
static void retry_after(void **state)
{
    (void)state;
    assert_int_equal(retry_delay(&usual, 1, 0, 0, 5000), 5000);
    assert_int_equal(retry_delay(&usual, 5, 0, 0, 5000), 16000);
    assert_int_equal(retry_delay(&usual, 1, 0, 0, 300000), 300000);
    assert_int_equal(retry_delay(&usual, 1, 0, 0, 300001), 1000);
}

static void overrides(void **state)
{
    (void)state;
    struct webhook_options opt = {.retry = {true, 3, 1000, 10, 100}};
    struct app_webhook h = {.retry = {.enabled = true}};
    struct retry_policy p = retry_policy_of(&opt, &h);
    assert_true(p.enabled && p.max_attempts == 3 && p.max_elapsed_ms == 1000);
    opt.retry.enabled = false;
    assert_false(retry_policy_of(&opt, &h).enabled);
    h.retry.is_set = true;
    h.retry.max_elapsed_time_ms = UINT64_MAX;
    h.retry.max_backoff_ms = 7;
    p = retry_policy_of(&opt, &h);
    assert_true(p.enabled && p.max_ms == 7 && p.initial_ms == 10);
    assert_true(p.max_elapsed_ms > 0); /* bounded, so that sums do not overflow */
    assert_int_equal(retry_delay(&p, 1, 0, 0, 0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),    cmocka_unit_test(defaults),
        cmocka_unit_test(limits),      cmocka_unit_test(never_without_a_wait),
        cmocka_unit_test(retry_after), cmocka_unit_test(overrides)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
