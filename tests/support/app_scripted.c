/* support/app_scripted.c - see the header. */
#include "support/app_scripted.h"

#include "app/driver.h"

#include <stdlib.h>

enum { WAITING_MAX = 1024 };

struct scripted {
    struct app_manager base;
    enum app_scripted_mode mode;
    struct app **apps;
    size_t count, asked;
    struct {
        struct app_call *call;
        struct app *app; /* a reference, NULL: not found */
    } waiting[WAITING_MAX];
    size_t first, last;
};

static bool scripted_open(struct app_manager *m, const struct app_manager_options *opt,
                          struct err *e)
{
    (void)e;
    struct scripted *s = (struct scripted *)m;
    s->apps = mem_zero((opt->app_count + 1) * sizeof *s->apps);
    for (; s->count < opt->app_count; s->count++)
        s->apps[s->count] = app_ref(opt->apps[s->count]);
    return true;
}

static void scripted_close(struct app_manager *m)
{
    struct scripted *s = (struct scripted *)m;
    for (size_t i = s->first; i < s->last; i++)
        app_unref(&s->waiting[i % WAITING_MAX].app);
    for (size_t i = 0; i < s->count; i++)
        app_unref(&s->apps[i]);
    free(s->apps);
}

static enum when answer(struct scripted *s, struct app *found, struct app_answer *out,
                        struct app_call *call)
{
    s->asked++;
    if (s->mode == APP_ANSWER_FAIL) {
        err_set(&out->err, ERR_UNAVAILABLE, "scripted failure");
        return DONE;
    }
    if (s->mode == APP_ANSWER_NOW)
        return app_answer_with(out, found);
    CHECK(s->last - s->first < WAITING_MAX);
    size_t at = s->last++ % WAITING_MAX;
    s->waiting[at].call = app_call_keep(call);
    s->waiting[at].app = found ? app_ref(found) : NULL;
    return LATER;
}

static enum when scripted_by_key(struct app_manager *m, str key, struct app_answer *out,
                                 struct app_call *call)
{
    struct scripted *s = (struct scripted *)m;
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->apps[i]->key, key))
            return answer(s, s->apps[i], out, call);
    return answer(s, NULL, out, call);
}

static enum when scripted_by_id(struct app_manager *m, str id, struct app_answer *out,
                                struct app_call *call)
{
    struct scripted *s = (struct scripted *)m;
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->apps[i]->id, id))
            return answer(s, s->apps[i], out, call);
    return answer(s, NULL, out, call);
}

static bool scripted_is_empty(struct app_manager *m)
{
    return ((struct scripted *)m)->count == 0;
}

static void scripted_each(struct app_manager *m, app_each_fn *fn, void *ctx)
{
    struct scripted *s = (struct scripted *)m;
    for (size_t i = 0; i < s->count; i++)
        fn(ctx, s->apps[i]);
}

/* The records stay those of the open. */
static bool scripted_reload(struct app_manager *m, const struct app_manager_options *opt,
                            struct err *e)
{
    (void)m;
    (void)opt;
    (void)e;
    return true;
}

void app_scripted_mode(struct app_manager *m, enum app_scripted_mode mode)
{
    ((struct scripted *)m)->mode = mode;
}

size_t app_scripted_asked(const struct app_manager *m)
{
    return ((const struct scripted *)m)->asked;
}

bool app_scripted_release(struct app_manager *m, bool fail)
{
    struct scripted *s = (struct scripted *)m;
    if (s->first == s->last)
        return false;
    size_t at = s->first++ % WAITING_MAX;
    struct app_answer a = {.found = !fail && s->waiting[at].app != NULL};
    if (fail)
        err_set(&a.err, ERR_UNAVAILABLE, "scripted failure");
    if (a.found)
        a.app = s->waiting[at].app;
    else
        app_unref(&s->waiting[at].app);
    app_call_answer(s->waiting[at].call, &a);
    return true;
}

const struct app_driver app_scripted = {
    .name = "scripted",
    .size = sizeof(struct scripted),
    .open = scripted_open,
    .close = scripted_close,
    .by_key = scripted_by_key,
    .by_id = scripted_by_id,
    .is_empty = scripted_is_empty,
    .each = scripted_each,
    .reload = scripted_reload,
};
