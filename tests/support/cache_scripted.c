/* support/cache_scripted.c - see the header. Keeps a few entries in a plain list, without expiry.
 */
#include "support/cache_scripted.h"

#include "cache/driver.h"

#include <stdlib.h>

enum operation { GET, SET, REMOVE };
struct item {
    struct item *next;
    char *key, *value;
    size_t key_n, value_n;
    int64_t ttl_ms;
};
struct waiting {
    struct waiting *next;
    enum operation operation;
    struct item *item; /* its key; SET: becomes the entry */
    struct cache_call *call;
};
struct scripted {
    struct cache base;
    struct item *items;
    struct waiting *first, **end;
    size_t count;
    struct loop *const *loops; /* NULL: answers are calls */
};

static void item_free(struct item *x)
{
    free(x->key);
    free(x->value);
    free(x);
}

static bool scripted_open(struct cache *c, const struct cache_options *opt, struct err *e)
{
    (void)opt, (void)e;
    ((struct scripted *)c)->end = &((struct scripted *)c)->first;
    return true;
}

static struct waiting *pop(struct scripted *s)
{
    struct waiting *w = s->first;
    if (w == NULL)
        return NULL;
    s->first = w->next;
    if (s->first == NULL)
        s->end = &s->first;
    s->count--;
    return w;
}

static void scripted_close(struct cache *c)
{
    struct scripted *s = (struct scripted *)c;
    for (struct waiting *w; (w = pop(s)) != NULL; free(w))
        item_free(w->item);
    for (struct item *x; (x = s->items) != NULL; item_free(x))
        s->items = x->next;
}

static enum when push(struct cache *c, enum operation op, str key, str value, int64_t ttl_ms,
                      struct cache_call *call)
{
    struct scripted *s = (struct scripted *)c;
    struct waiting *w = mem_zero(sizeof *w);
    struct item *x = w->item = mem_zero(sizeof *x);
    *x = (struct item){.key = mem_dup(key),
                       .key_n = key.n,
                       .value = mem_dup(value),
                       .value_n = value.n,
                       .ttl_ms = ttl_ms};
    w->operation = op;
    w->call = cache_call_keep(call);
    *s->end = w;
    s->end = &w->next;
    s->count++;
    return LATER;
}

static enum when scripted_get(arena *a, struct cache *c, str key, struct cache_answer *out,
                              struct cache_call *call)
{
    (void)a, (void)out;
    return push(c, GET, key, S(""), 0, call);
}

static enum when scripted_set(struct cache *c, str key, str value, int64_t ttl_ms,
                              struct cache_answer *out, struct cache_call *call)
{
    (void)out;
    return push(c, SET, key, value, ttl_ms, call);
}

static enum when scripted_remove(struct cache *c, str key, struct cache_answer *out,
                                 struct cache_call *call)
{
    (void)out;
    return push(c, REMOVE, key, S(""), 0, call);
}

static struct item **find(struct scripted *s, const struct item *key)
{
    struct item **at = &s->items;
    while (*at != NULL && !str_eq(str_of((*at)->key, (*at)->key_n), str_of(key->key, key->key_n)))
        at = &(*at)->next;
    return at;
}

/* What has to be freed afterwards, or NULL. */
static struct item *perform(struct scripted *s, struct waiting *w, struct cache_answer *a)
{
    struct item **at = find(s, w->item), *old = *at;
    a->found = old != NULL;
    if (w->operation == GET && old != NULL) {
        a->value = str_of(old->value, old->value_n);
        a->ttl_ms = old->ttl_ms;
    }
    if (w->operation == GET || old == NULL)
        old = NULL;
    else
        *at = old->next;
    if (w->operation == SET) {
        w->item->next = s->items;
        s->items = w->item;
    }
    return old;
}

struct answer_mail {
    struct mail mail;
    struct cache_call *call;
    struct cache_answer answer;
    char value[];
};

static void answer_read(void *owner, struct mail *m)
{
    struct answer_mail *x = (struct answer_mail *)m;
    (void)owner;
    cache_call_answer(x->call, &x->answer);
    free(x);
}

static void answer(struct scripted *s, struct cache_call *call, const struct cache_answer *a)
{
    if (s->loops == NULL) {
        cache_call_answer(call, a);
        return;
    }
    struct answer_mail *x = mem_zero(sizeof *x + a->value.n);
    x->mail.run = answer_read;
    x->call = call;
    x->answer = *a;
    x->answer.value = str_of(x->value, a->value.n);
    if (a->value.n > 0)
        memcpy(x->value, a->value.p, a->value.n);
    loop_post(NULL, s->loops[call->asker.worker], &x->mail);
}

void cache_scripted_mail(struct cache *c, struct loop *const *loops)
{
    ((struct scripted *)c)->loops = loops;
}

bool cache_scripted_release(struct cache *c, bool fail)
{
    struct scripted *s = (struct scripted *)c;
    struct waiting *w = pop(s);
    struct cache_answer a = {.found = false};
    struct item *gone = NULL;
    if (w == NULL)
        return false;
    if (fail)
        err_set(&a.err, ERR_UNAVAILABLE, "scripted failure");
    else
        gone = perform(s, w, &a);
    answer(s, w->call, &a);
    if (gone != NULL)
        item_free(gone);
    if (fail || w->operation != SET)
        item_free(w->item);
    free(w);
    return true;
}

size_t cache_scripted_waiting(const struct cache *c)
{
    return ((const struct scripted *)c)->count;
}

const struct cache_driver cache_scripted = {
    .name = "scripted",
    .caps = CACHE_SHARED,
    .size = sizeof(struct scripted),
    .open = scripted_open,
    .close = scripted_close,
    .get = scripted_get,
    .set = scripted_set,
    .remove = scripted_remove,
};
