/* server/memory_watch.h - what goes when memory becomes short, and what is given back when many
 * connections have left.
 *
 * From MEMORY_SHORT percent of the limit no WebSocket is admitted and publishes get 503. From
 * MEMORY_SHED on, down to MEMORY_ENOUGH, idle HTTP connections close, the memory cache forgets,
 * then the connections with most unsent bytes close. Channel state, logs and metrics stay.
 *
 * What malloc refuses comes from a reserve (base/base.h), which is made and made anew here; without
 * it memory is short too.
 *
 * Nature   the service thread
 * Source   security.md R10 (SEC-14); performance.md S6
 */
#ifndef SERVER_MEMORY_WATCH_H
#define SERVER_MEMORY_WATCH_H

#include "base/limits.h"
#include "server/worker.h"

enum {
    MEMORY_LOOK_MS = 1000,
    MEMORY_RECLAIM_MS = 10000,     /* between two trims while memory stays short */
    MEMORY_TRIM_CONNECTIONS = 256, /* below that many leaving nothing is worth giving back */
    MEMORY_SHEDS_MAX = 10,         /* each look in a row asks for twice as much, at most 2^10 */
};

struct memory_watch {
    uint64_t limit; /* bytes; 0: nothing is watched */
    int64_t look_ms, reclaim_ms;
    bool is_short, is_shedding;
    unsigned sheds;     /* looks in a row that did not help enough */
    uint64_t last;      /* connections of the last look: while they leave, there is more to come */
    bool gives_back;    /* the workers have been told to trim */
    bool has_begun;     /* the reserve was made */
    bool lacks_reserve; /* and there is no room to make it again */
};

void memory_watch_init(struct memory_watch *m, uint64_t limit);
/* Judges what is in use; changes is_short and is_shedding. Gives the bytes that should go, 0: none.
 */
uint64_t memory_watch_judge(struct memory_watch *m, uint64_t used);
/* The heap should be given back before so much is judged: what is free in it is no need. Always at
 * the beginning of a shortage and while shedding, else now and then, so that it ends. */
bool memory_watch_should_reclaim(struct memory_watch *m, uint64_t used, int64_t now_ms);
/* Enough connections have left since memory was given back. */
bool memory_watch_should_trim(struct memory_watch *m, uint64_t connections, uint64_t most);
/* To be called often; looks each MEMORY_LOOK_MS. */
void memory_watch_tick(struct memory_watch *m, struct node *n, int64_t now_ms);

#endif
