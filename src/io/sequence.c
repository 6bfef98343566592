#include "io/sequence.h"

#include <stdlib.h>

void sequence_init(struct sequence *root)
{
    memset(root, 0, sizeof *root);
}

struct sequence *sequence_append(struct sequence *root, struct sequence *at, struct frame *f)
{
    struct sequence *parent = at ? at : root;
    struct sequence *s = parent->child;
    if (s && s->last == f) {
        s->refs++;
        if (at)
            sequence_unref(at);
        return s;
    }
    s = mem_alloc(sizeof *s);
    *s = (struct sequence){
        .parent = parent,
        .last = frame_ref(f),
        .refs = 1,
        .count = parent->count + 1,
        .bytes = parent->bytes + f->n,
        .has_large = parent->has_large || f->n >= SEQUENCE_LARGE,
    };
    parent->child = s; /* the socket's reference on the parent becomes the child's */
    return s;
}

void sequence_unref(struct sequence *s)
{
    while (s->parent && --s->refs == 0) {
        struct sequence *parent = s->parent;
        if (parent->child == s)
            parent->child = NULL;
        frame_unref(s->last);
        if (s->joined)
            frame_unref(s->joined);
        free(s);
        s = parent;
    }
}

const struct frame *sequence_joined(struct sequence *s)
{
    if (s->count == 1)
        return s->last;
    if (s->joined)
        return s->joined;
    if (s->has_large || s->bytes > SEQUENCE_JOIN_MAX)
        return NULL;
    s->joined = frame_create(s->bytes);
    char *end = s->joined->bytes + s->bytes;
    for (const struct sequence *at = s; at->parent; at = at->parent) {
        end -= at->last->n;
        memcpy(end, at->last->bytes, at->last->n);
    }
    return s->joined;
}

void sequence_frames(const struct sequence *s, struct frame **out)
{
    for (; s->parent; s = s->parent)
        out[s->count - 1] = s->last;
}
