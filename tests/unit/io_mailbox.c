/* unit/io_mailbox - what threads post is heard, in order, and nobody sleeps over it; the steps of a
 * turn come in their order (design §2). A lost wake-up makes this test hang.
 */
#include "io/loop.h"

#include "support/loop_owners.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BOUNCES = 20000, PRODUCERS = 4, MAILS = 20000, FOREVER_MS = 1 << 30 };

/* ---- two threads that sleep whenever they may ---- */

struct ball {
    struct mail mail;
    struct loop *side[2];
    int bounces, at;
};

static void bounced(void *owner, struct mail *m)
{
    struct ball *b = (struct ball *)m;
    struct loop *here = b->side[b->at];
    (void)owner;
    b->at = 1 - b->at;
    if (++b->bounces >= BOUNCES)
        here->stop = true;
    if (b->bounces > BOUNCES)
        free(b);
    else
        loop_post(here, b->side[b->at], m);
}

static void *turn_until_stopped(void *ctx)
{
    struct loop *l = ctx;
    while (!l->stop)
        loop_turn(l, FOREVER_MS);
    return NULL;
}

static void nobody_sleeps_over_a_post(void **state)
{
    static struct loop loops[2];
    struct err e;
    pthread_t threads[2];
    struct ball *b = mem_zero(sizeof *b);
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(loop_init(&loops[i], &idle_owner, NULL, NULL, NULL, &e));
        b->side[i] = &loops[i];
    }
    b->mail.run = bounced;
    loop_post(NULL, &loops[0], &b->mail);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, turn_until_stopped, &loops[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        loop_finish(&loops[i]);
}

/* ---- many producers ---- */

struct numbered {
    struct mail mail;
    int producer, number;
};
static struct loop target;
static int last[PRODUCERS], heard;

static void numbered_came(void *owner, struct mail *m)
{
    struct numbered *n = (struct numbered *)m;
    (void)owner;
    assert_int_equal(n->number, last[n->producer] + 1);
    last[n->producer] = n->number;
    heard++;
    free(n);
}

static void *produce(void *ctx)
{
    for (int i = 1; i <= MAILS; i++) {
        struct numbered *n = mem_zero(sizeof *n);
        n->mail.run = numbered_came;
        n->producer = (int)(intptr_t)ctx;
        n->number = i;
        loop_post(NULL, &target, &n->mail);
    }
    return NULL;
}

static void each_keeps_its_order(void **state)
{
    struct err e;
    pthread_t threads[PRODUCERS];
    (void)state;
    assert_true(loop_init(&target, &idle_owner, NULL, NULL, NULL, &e));
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, produce, (void *)(intptr_t)i), 0);
    while (heard < PRODUCERS * MAILS)
        loop_turn(&target, FOREVER_MS);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(target.mailbox.count, 0);
    loop_finish(&target);
}

/* ---- one turn ---- */

static struct loop turning, asleep;
static char story[64];

static void tell(const char *what)
{
    strncat(story, what, sizeof story - strlen(story) - 1);
}

static void mail_from_before(void *owner, struct mail *m)
{
    (void)owner;
    tell("before ");
    free(m);
}

static void mail_to_myself(void *owner, struct mail *m)
{
    (void)owner;
    tell("myself ");
    free(m);
}

static void mail_elsewhere(void *owner, struct mail *m)
{
    (void)owner;
    free(m);
}

static void post(struct loop *from, struct loop *to, mail_fn *run)
{
    struct mail *m = mem_zero(sizeof *m);
    m->run = run;
    m->bytes = 10;
    loop_post(from, to, m);
}

static void on_socket(void *ctx, uint32_t events)
{
    (void)ctx, (void)events;
    tell("socket ");
    post(&turning, &turning, mail_to_myself);
    for (int i = 0; i < 3; i++)
        post(&turning, &asleep, mail_elsewhere);
}

static void nothing_ready(void *ctx, uint64_t key, uint32_t events)
{
    (void)ctx, (void)key, (void)events;
}

static bool nothing_again(void *ctx)
{
    (void)ctx;
    return false;
}

static void nothing_due(void *ctx, struct timer *timer)
{
    (void)ctx, (void)timer;
}

static bool on_flush(void *ctx)
{
    uint64_t wakes = 0;
    (void)ctx;
    tell("flush ");
    assert_int_equal(read(asleep.mailbox.fd, &wakes, sizeof wakes), sizeof wakes);
    assert_int_equal(wakes, 1); /* for three posts, and before the flush */
    return false;
}

static void on_alarm(void *ctx)
{
    (void)ctx;
    tell("alarm ");
}

static void steps_come_in_order(void **state)
{
    static const struct loop_owner owner = {nothing_ready, nothing_again, nothing_due, on_flush};
    struct err e;
    struct alarm alarm = {.fn = on_alarm};
    uint64_t key;
    int fds[2];
    (void)state;
    assert_true(loop_init(&turning, &owner, NULL, NULL, NULL, &e));
    assert_true(loop_init(&asleep, &idle_owner, NULL, NULL, NULL, &e));
    assert_int_equal(pipe(fds), 0);
    assert_true(loop_watch(&turning, fds[0], EPOLLIN, on_socket, NULL, &key, &e));
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_true(mailbox_sleep(&asleep.mailbox));
    loop_alarm(&turning, &alarm, turning.now_ms);
    post(NULL, &turning, mail_from_before);
    loop_turn(&turning, 0);
    assert_string_equal(story, "before socket myself alarm flush ");
    assert_int_equal(asleep.mailbox.count, 3);
    assert_int_equal(asleep.mailbox.bytes, 30);
    loop_turn(&asleep, 0);
    assert_int_equal(asleep.mailbox.count + asleep.mailbox.bytes, 0);
    alarm_stop(&turning.alarms, &alarm);
    loop_unwatch(&turning, fds[0], key);
    close(fds[0]);
    close(fds[1]);
    loop_finish(&turning);
    loop_finish(&asleep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_sleeps_over_a_post),
        cmocka_unit_test(each_keeps_its_order),
        cmocka_unit_test(steps_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
