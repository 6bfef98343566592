/* io/sequence.h - pending output as one pointer into a shared tree of frame sequences.
 *
 * A sequence is a node: its parent's frames and one more. Thousands of sockets to which the same
 * frames were sent hold the same node, so appending to all of them makes one node, and the
 * contiguous piece that goes out is built once (design §5).
 *
 * Nature   one thread: a tree belongs to a worker
 * Limits   a piece is joined up to SEQUENCE_JOIN_MAX bytes and if no frame is SEQUENCE_LARGE
 */
#ifndef IO_SEQUENCE_H
#define IO_SEQUENCE_H

#include "io/frame.h"

enum { SEQUENCE_JOIN_MAX = 1024 * 1024, SEQUENCE_LARGE = 8 * 1024 };

struct sequence {
    struct sequence *parent; /* NULL: the root, the empty sequence */
    struct sequence *child;  /* the newest only: a burst goes the same way for all */
    struct frame *last;
    struct frame *joined; /* all frames in one piece, NULL until somebody needs it */
    uint32_t refs;        /* sockets and children; the root is not counted */
    uint32_t count;
    size_t bytes;
    bool has_large;
};

void sequence_init(struct sequence *root);
/* The socket's sequence `at` (NULL: empty) with `f` behind it. Takes the socket's reference on
 * `at`, gives one on the result. `f` is referenced, not taken. */
struct sequence *sequence_append(struct sequence *root, struct sequence *at, struct frame *f);
void sequence_unref(struct sequence *s);
/* All bytes in one frame, borrowed from the sequence; NULL if it is too large to join. */
const struct frame *sequence_joined(struct sequence *s);
/* Writes the frames in order into out[s->count], borrowed. */
void sequence_frames(const struct sequence *s, struct frame **out);

#endif
