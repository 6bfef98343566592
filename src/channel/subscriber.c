#include "channel/subscriber.h"

#include <stdlib.h>

struct subscription *subscriber_find(struct subscriber *s, const struct local_channel *c,
                                     bool watches)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->list[i].channel == c && s->list[i].watches == watches)
            return &s->list[i];
    return NULL;
}

struct subscription *subscriber_add(struct subscriber *s)
{
    if (s->cap == 0) {
        s->list = &s->lone;
        s->cap = 1;
    } else if (s->count == s->cap) {
        struct subscription *old = s->list == &s->lone ? NULL : s->list;
        struct subscription *v = mem_resize(old, s->cap * 2 * sizeof *v);
        if (!old)
            v[0] = s->lone;
        s->list = v;
        s->cap *= 2;
    }
    struct subscription *x = &s->list[s->count++];
    memset(x, 0, sizeof *x);
    return x;
}

void subscriber_finish(struct subscriber *s)
{
    if (s->list != &s->lone)
        free(s->list);
    s->list = NULL;
    s->count = s->cap = 0;
}
