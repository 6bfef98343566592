/* conn/count.h - a connection's share of the metrics.
 *
 * Nature   the connection's worker
 * Source   metrics.md §2.1, §3
 */
#ifndef CONN_COUNT_H
#define CONN_COUNT_H

#include "conn/conn.h"

/* The counters of the connection's app; before admission those of "unknown". */
struct metrics_app *count_app(const struct conn *c);
/* connection_errors_total, if this error has a place there. */
void count_error(const struct conn *c, enum wire_error_id id);
/* The same for what the WebSocket layer refuses with a close code. */
void count_close(const struct conn *c, uint16_t code);
/* A data message has been queued. */
void count_sent(const struct conn *c, size_t payload);

#endif
