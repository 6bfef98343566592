/* metrics/blocks.h - all blocks of cells, as the output walks them; private to this folder.
 *
 * Nature   blocks are never freed, so a reader needs the lock only to find them
 */
#ifndef METRICS_BLOCKS_H
#define METRICS_BLOCKS_H

#include "metrics/metrics.h"

struct metrics_app_row {
    str id;
    bool known; /* configured: zeros are written too */
    struct metrics_app **blocks;
    size_t block_count;
};
struct metrics_blocks {
    struct metrics_thread **threads;
    size_t thread_count;
    struct metrics_app_row *apps; /* sorted by id */
    size_t app_count, app_cap;
    struct metrics_app **places;
};
void metrics_blocks_take(struct metrics_blocks *b);
void metrics_blocks_release(struct metrics_blocks *b);
/* Sums of one cell over the threads. */
uint64_t metrics_app_value(const struct metrics_app_row *row, bool shared, size_t offset);
uint64_t metrics_node_value(const struct metrics_blocks *b, size_t offset);
const double *metrics_bounds(void); /* [METRICS_BOUNDS], ms */

#endif
