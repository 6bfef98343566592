/* fuzz/webhook_job.c - jobs that lie in a queue others can write to (SEC-25): whatever is read is
 * written again to the same, and the body made of it is JSON with no more events than there are. */
#include <stdlib.h>

#include "webhook/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(str a, str b)
{
    CHECK(str_eq(a, b));
}

static void body_is_json(arena *a, const struct job *job)
{
    struct app_webhook all = {.events = 0x7f};
    struct buf body;
    struct json whole;
    buf_init(&body, JOB_BYTES_MAX * 2);
    size_t count = job_body(&body, a, job, &all);
    CHECK((count == 0) == (body.n == 0));
    CHECK(count == 0 || json_parse(buf_str(&body), &whole, NULL));
    buf_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    arena a = {0};
    struct job one, two;
    struct err e;
    if (job_read(&a, str_of(data, n), &one, &e)) {
        struct buf text;
        CHECK(one.job_id.n > 0 && one.job_id.n <= JOB_ID_MAX);
        buf_init(&text, JOB_BYTES_MAX * 2);
        CHECK(job_write(&text, &one));
        CHECK(job_read(&a, buf_str(&text), &two, &e));
        same(one.app_id, two.app_id);
        same(one.job_id, two.job_id);
        same(one.events, two.events);
        CHECK(one.time_ms == two.time_ms && one.webhook == two.webhook);
        CHECK(one.attempts == two.attempts);
        body_is_json(&a, &one);
        buf_finish(&text);
    }
    arena_finish(&a);
    return 0;
}
