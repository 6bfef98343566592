/* base/log_out.h - carries finished lines to stdout; private to base/log.c.
 *
 * Nature   log_out_line: any thread, never waits for the reader once started. One writer thread
 * Limits   1 MiB wait for a slow reader; what does not fit is dropped, counted and reported
 */
#ifndef BASE_LOG_OUT_H
#define BASE_LOG_OUT_H

#include "base/base.h"
#include "base/buf.h"

enum { LOG_OUT_BYTES = 1 << 20, LOG_NOTICE_MAX = 512 };

/* Adds the line that tells of `count` lost ones. Called by the writer thread, with a lock held. */
typedef void log_out_notice(struct buf *b, uint64_t count);

NODISCARD bool log_out_start(log_out_notice *notice, struct err *e);
/* Waits up to wait_ms until all is written. After a success lines are written directly, as before
 * the start; else the reader is stuck, and further lines are lost. */
void log_out_stop(int64_t wait_ms);
void log_out_line(str line);

#endif
