/* unit/queue_queue.c - the front of the queues with its memory, none and scripted drivers. */
#include "queue/queue.h"

#include "queue/driver.h"
#include "support/loop_owners.h"
#include "support/queue_scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static int64_t now;
static int64_t clock_of(void *ctx)
{
    (void)ctx;
    return now;
}

enum { TAKEN = 64 };
static struct {
    struct loop loop;
    struct queue *queue;
    struct queue_job *jobs[TAKEN]; /* in our hands, in order */
    size_t count;
    char seen[TAKEN][32]; /* payloads, in order */
    size_t seen_count;
    enum { KEEP, END_AT_ONCE } mode;
    int answers;
    enum err_kind answer;
} t;

static void turn(void)
{
    loop_turn(&t.loop, 0);
    loop_turn(&t.loop, 0);
}

static void work(void *ctx, struct queue_job *job)
{
    assert_ptr_equal(ctx, &t);
    snprintf(t.seen[t.seen_count++ % TAKEN], sizeof t.seen[0], "%.*s", FMT(job->payload));
    if (t.mode == END_AT_ONCE)
        queue_job_done(t.queue, job);
    else
        t.jobs[t.count++] = job;
}

static void open_with(const struct queue_driver *driver, struct queue_options opt)
{
    struct err e = {.kind = ERR_NONE};
    memset(&t, 0, sizeof t);
    now = 1000;
    assert_true(loop_init(&t.loop, &idle_owner, NULL, clock_of, NULL, &e));
    opt.loop = &t.loop;
    t.queue = driver ? queue_create_with(driver, &opt, &e) : queue_create(&opt, &e);
    assert_non_null(t.queue);
}

static void finish(void)
{
    queue_destroy(&t.queue);
    loop_finish(&t.loop);
}

static void on_pushed(void *ctx, const struct err *e)
{
    assert_ptr_equal(ctx, &t);
    t.answers++;
    t.answer = e->kind;
}

static enum err_kind push(const char *payload)
{
    struct err e;
    assert_int_equal(queue_push(t.queue, str_z(payload), &e, on_pushed, &t), DONE);
    return e.kind;
}

static struct queue_job *taken(size_t i)
{
    assert_true(i < t.count);
    struct queue_job *job = t.jobs[i];
    for (t.count--; i < t.count; i++)
        t.jobs[i] = t.jobs[i + 1];
    return job;
}

static void counts_are(uint64_t waiting, uint64_t delayed, uint64_t active, uint64_t dead)
{
    struct queue_counts c = queue_count(t.queue);
    assert_int_equal(c.waiting, waiting);
    assert_int_equal(c.delayed, delayed);
    assert_int_equal(c.active, active);
    assert_int_equal(c.dead, dead);
}

static void keeps_order_and_credits(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory")});
    for (int i = 0; i < 5; i++)
        assert_int_equal(push((const char *[]){"a", "b", "c", "d", "e"}[i]), ERR_NONE);
    queue_consume(t.queue, 2, work, &t);
    assert_int_equal(t.seen_count, 0); /* never from inside the call */
    turn();
    counts_are(3, 0, 2, 0);
    assert_false(queue_is_drained(t.queue));
    queue_job_done(t.queue, taken(1));
    turn();
    counts_are(2, 0, 2, 0);
    t.mode = END_AT_ONCE;
    queue_job_done(t.queue, taken(0));
    queue_job_done(t.queue, taken(0));
    for (int i = 0; i < 4; i++)
        turn();
    counts_are(0, 0, 0, 0);
    assert_true(queue_is_drained(t.queue));
    for (int i = 0; i < 5; i++)
        assert_int_equal(t.seen[i][0], 'a' + i);
    finish();
}

static void waits_without_a_credit(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory")});
    queue_consume(t.queue, 1, work, &t);
    push("first");
    push("second");
    turn();
    queue_job_later(t.queue, taken(0), S("changed"), 500, 0);
    turn();
    counts_are(0, 1, 1, 0); /* the second one has the credit */
    queue_job_done(t.queue, taken(0));
    now += 499;
    turn();
    counts_are(0, 1, 0, 0);
    now += 1;
    turn();
    assert_string_equal(t.seen[2], "changed");
    struct queue_job *job = taken(0);
    assert_int_equal(job->pickups, 1); /* it had a result */
    queue_job_done(t.queue, job);
    finish();
}

/* queue.reliability.max_attempts: pickups that ended without a result. */
static void gives_up_without_result(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory"),
                                           .max_attempts = 3,
                                           .failed_retention = 10,
                                           .retry_base_delay_ms = 100,
                                           .retry_max_delay_ms = 150});
    queue_consume(t.queue, 1, work, &t);
    push("x");
    turn();
    static const int64_t waits[] = {100, 150};
    for (uint32_t i = 0; i < 2; i++) {
        struct queue_job *job = taken(0);
        assert_int_equal(job->pickups, i + 1);
        queue_job_failed(t.queue, job, "away");
        now += waits[i] - 1;
        turn();
        counts_are(0, 1, 0, 0);
        now++;
        turn();
        counts_are(0, 0, 1, 0);
    }
    queue_job_failed(t.queue, taken(0), "away");
    counts_are(0, 0, 0, 1);
    assert_true(queue_is_drained(t.queue));
    finish();
}

static void is_bounded(void **state)
{
    (void)state;
    open_with(NULL,
              (struct queue_options){.driver = S("memory"), .capacity = 2, .failed_retention = 2});
    assert_int_equal(push("1"), ERR_NONE);
    assert_int_equal(push("2"), ERR_NONE);
    assert_int_equal(push("3"), ERR_LIMIT);
    queue_consume(t.queue, 10, work, &t);
    turn();
    assert_int_equal(push("3"), ERR_LIMIT); /* what is worked on counts */
    queue_job_bury(t.queue, taken(0), "never");
    assert_int_equal(push("3"), ERR_NONE);
    turn();
    queue_job_bury(t.queue, taken(0), "never");
    queue_job_bury(t.queue, taken(0), "never");
    counts_are(0, 0, 0, 2); /* the oldest dead one is gone */
    finish();
}

static void bytes_are_bounded(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory"), .capacity_bytes = 8});
    assert_int_equal(push("12345"), ERR_NONE);
    assert_int_equal(push("1234"), ERR_LIMIT);
    assert_int_equal(push("123"), ERR_NONE);
    finish();
    /* Alone, a job has room whatever its size: refused for ever it would stop all behind it. */
    open_with(NULL, (struct queue_options){.driver = S("memory"), .capacity_bytes = 4});
    assert_int_equal(push("12345"), ERR_NONE);
    assert_int_equal(push("1"), ERR_LIMIT);
    finish();
}

static void calls_the_oldest_of_a_lane(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory")});
    queue_consume(t.queue, 10, work, &t);
    push("1");
    push("2");
    push("3");
    turn();
    assert_false(queue_call(t.queue, 7));
    queue_job_later(t.queue, taken(1), S(""), 60000, 7); /* the second goes first */
    queue_job_later(t.queue, taken(0), S(""), 60000, 7);
    queue_job_later(t.queue, taken(0), S(""), 60000, 9);
    push("4");
    assert_true(queue_call(t.queue, 7));
    turn();
    assert_string_equal(t.seen[3], "1"); /* before what was pushed later */
    assert_true(t.jobs[0]->is_called && t.jobs[0]->lane == 7);
    assert_string_equal(t.seen[4], "4");
    assert_true(queue_call(t.queue, 7) && !queue_call(t.queue, 7));
    now += 60000;
    turn();
    assert_string_equal(t.seen[6], "3");
    assert_false(t.jobs[3]->is_called);
    finish();
}

static void hurries(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("memory")});
    queue_consume(t.queue, 10, work, &t);
    push("1");
    push("2");
    turn();
    queue_job_later(t.queue, taken(0), S(""), 60000, 0);
    queue_job_later(t.queue, taken(0), S(""), 60000, 3);
    queue_hurry(t.queue);
    turn();
    counts_are(0, 1, 1, 0); /* who waits for room still does */
    finish();
}

static void none_takes_and_forgets(void **state)
{
    (void)state;
    open_with(NULL, (struct queue_options){.driver = S("none")});
    assert_true(queue_caps(t.queue) & QUEUE_NOWHERE);
    queue_consume(t.queue, 10, work, &t);
    assert_int_equal(push("1"), ERR_NONE);
    turn();
    assert_int_equal(t.seen_count, 0);
    counts_are(0, 0, 0, 0);
    assert_true(queue_is_drained(t.queue));
    assert_false(queue_call(t.queue, 1));
    queue_hurry(t.queue);
    queue_leave(t.queue);
    finish();
}

static void answers_later(void **state)
{
    (void)state;
    struct err e;
    open_with(&queue_scripted, (struct queue_options){.driver = S("scripted")});
    for (int i = 0; i < 4; i++)
        assert_int_equal(queue_push(t.queue, S("x"), &e, on_pushed, &t), LATER);
    assert_int_equal(t.answers, 0);
    assert_false(queue_is_drained(t.queue)); /* a push under way would be lost */
    assert_true(queue_scripted_release(t.queue, false));
    assert_int_equal(t.answer, ERR_NONE);
    assert_true(queue_scripted_release(t.queue, true));
    assert_int_equal(t.answer, ERR_UNAVAILABLE);
    assert_int_equal(t.answers, 2);
    queue_consume(t.queue, 3, work, &t);
    turn();
    assert_int_equal(queue_scripted_wanted(t.queue), 3);
    assert_true(queue_scripted_hand(t.queue));
    queue_job_later(t.queue, taken(0), S("y"), 250, 7);
    assert_string_equal(queue_scripted_last(t.queue), "later 250 lane 7 y");
    turn();
    assert_int_equal(queue_scripted_wanted(t.queue), 3);
    queue_consume(t.queue, 0, work, &t);
    assert_int_equal(queue_scripted_wanted(t.queue), 0);
    queue_leave(t.queue);
    queue_scripted_release(t.queue, false);
    assert_int_equal(t.answers, 2); /* nobody hears after a leave */
    finish();
    open_with(&queue_scripted, (struct queue_options){.driver = S("scripted")});
    assert_int_equal(queue_push(t.queue, S("x"), &e, on_pushed, &t), LATER);
    finish();
    assert_int_equal(t.answer, ERR_UNAVAILABLE);
}

static void refuses_unknown_drivers(void **state)
{
    (void)state;
    struct err e = {.kind = ERR_NONE};
    struct queue_options opt = {.driver = S("kafka"), .loop = &t.loop};
    assert_null(queue_create(&opt, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "kafka"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_order_and_credits),
                                       cmocka_unit_test(waits_without_a_credit),
                                       cmocka_unit_test(gives_up_without_result),
                                       cmocka_unit_test(is_bounded),
                                       cmocka_unit_test(bytes_are_bounded),
                                       cmocka_unit_test(calls_the_oldest_of_a_lane),
                                       cmocka_unit_test(hurries),
                                       cmocka_unit_test(none_takes_and_forgets),
                                       cmocka_unit_test(answers_later),
                                       cmocka_unit_test(refuses_unknown_drivers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
