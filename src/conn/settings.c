#include "conn/settings.h"

#include <stdlib.h>

struct settings *settings_create(void)
{
    struct settings *s = mem_zero(sizeof *s);
    atomic_init(&s->refs, 1);
    return s;
}

struct settings *settings_ref(struct settings *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void settings_unref(struct settings **ps)
{
    struct settings *s = *ps;
    *ps = NULL;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_finish(&s->memory);
    free(s);
}
