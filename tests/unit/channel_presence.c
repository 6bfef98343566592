/* unit/channel_presence - the snapshot's texts through joins and leaves, and those that were taken
 * before (websocket-protocol.md §9.3). */
#include "channel/presence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"

enum { USERS = 40, STEPS = 4000, TAKEN = 8 };

static struct presence *p;
static struct member *in[USERS]; /* NULL: not there */
static unsigned order[USERS], count;

static str id_of(unsigned i, char out[16])
{
    return str_of(out, (size_t)snprintf(out, 16, "u\"%u", i));
}

static str info_of(unsigned i, char out[64])
{
    return str_of(out, (size_t)snprintf(out, 64, "{\"a\":\"%0*u\\n\"}", (int)(i % 30) + 1, i));
}

/* What a snapshot must be now, made without pieces. */
static void model(struct buf *ids, struct buf *hash)
{
    struct buf id;
    char a[16], b[64];
    buf_init(&id, SIZE_MAX);
    for (unsigned i = 0; i < count; i++) {
        buf_clear(&id);
        json_add_string(&id, id_of(order[i], a));
        buf_add(ids, i ? S(",") : S(""));
        buf_add(hash, i ? S(",") : S(""));
        json_add_escaped(ids, buf_str(&id));
        json_add_escaped(hash, buf_str(&id));
        buf_char(hash, ':');
        json_add_escaped(hash, info_of(order[i], b));
    }
    buf_finish(&id);
}

static void come_or_go(unsigned i)
{
    char a[16], b[64];
    bool is_first;
    unsigned at = 0;
    if (!in[i]) {
        in[i] = presence_join(p, id_of(i, a), info_of(i, b), &is_first);
        assert_true(is_first);
        order[count++] = i;
        return;
    }
    assert_true(presence_leave(p, in[i]));
    free(in[i]);
    in[i] = NULL;
    while (order[at] != i)
        at++;
    for (count--; at < count; at++)
        order[at] = order[at + 1];
}

static void snapshots_tell_who_is_there(void **state)
{
    static struct {
        struct snapshot snapshot;
        struct buf ids, hash;
    } taken[TAKEN];
    uint32_t random = 12345;
    (void)state;
    p = presence_create();
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        come_or_go((random >> 8) % USERS);
        while (step % 500 == 499 && count > 0)
            come_or_go(order[0]);
        if (random >> 24 & 1)
            continue;
        unsigned i = step % TAKEN;
        snapshot_release(&taken[i].snapshot);
        buf_clear(&taken[i].ids);
        buf_clear(&taken[i].hash);
        taken[i].ids.max = taken[i].hash.max = SIZE_MAX;
        model(&taken[i].ids, &taken[i].hash);
        snapshot_take(p, &taken[i].snapshot);
        assert_int_equal(taken[i].snapshot.count, count);
        for (unsigned k = 0; k < TAKEN; k++) /* the earlier ones too */
            if (taken[k].snapshot.ids) {
                assert_true(str_eq(snapshot_ids(&taken[k].snapshot), buf_str(&taken[k].ids)));
                assert_true(str_eq(snapshot_hash(&taken[k].snapshot), buf_str(&taken[k].hash)));
            }
    }
    for (unsigned k = 0; k < TAKEN; k++) {
        snapshot_release(&taken[k].snapshot);
        buf_finish(&taken[k].ids);
        buf_finish(&taken[k].hash);
    }
    presence_destroy(p);
}

/* A text of thousands is not made anew because one of them left: it would be under the lock. */
static void pieces_are_made_once(void **state)
{
    char a[16], b[64];
    bool is_first;
    struct snapshot s;
    (void)state;
    p = presence_create();
    for (unsigned i = 0; i < 3; i++)
        in[i] = presence_join(p, id_of(i, a), info_of(i, b), &is_first);
    snapshot_take(p, &s);
    snapshot_release(&s);
    assert_true(presence_leave(p, in[0]));
    free(in[0]);
    assert_non_null(p->hash);
    memcpy(p->hash->bytes + in[1]->piece_at, "1", 1); /* would not be seen again otherwise */
    snapshot_take(p, &s);
    assert_int_equal(snapshot_hash(&s).p[0], '1');
    snapshot_release(&s);
    presence_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_tell_who_is_there),
        cmocka_unit_test(pieces_are_made_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
