/* io/frame.h - bytes that many sockets send: encoded once, counted, immutable.
 *
 * Nature   frame_ref and frame_unref on any thread; the bytes are written before the first share
 */
#ifndef IO_FRAME_H
#define IO_FRAME_H

#include <stdatomic.h>

#include "base/base.h"

struct frame {
    _Atomic uint32_t refs;
    uint32_t payload; /* bytes of the message it carries, before compression; 0: no message */
    bool droppable;   /* a channel event: may be left out for a slow reader, if so configured */
    size_t n;
    char bytes[];
};

/* One reference, n bytes that the caller fills in. */
struct frame *frame_create(size_t n);
struct frame *frame_of(str bytes);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f);

#endif
