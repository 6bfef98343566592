#include "io/frame.h"

#include <stdlib.h>

struct frame *frame_create(size_t n)
{
    struct frame *f = mem_alloc(sizeof *f + n);
    atomic_init(&f->refs, 1);
    f->droppable = false;
    f->payload = 0;
    f->n = n;
    return f;
}

struct frame *frame_of(str bytes)
{
    struct frame *f = frame_create(bytes.n);
    memcpy(f->bytes, bytes.p, bytes.n);
    return f;
}

struct frame *frame_ref(struct frame *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void frame_unref(struct frame *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        free(f);
}
