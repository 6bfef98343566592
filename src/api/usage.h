/* api/usage.h - memory of the machine or of the cgroup, as JSON.
 *
 * Source   http-api.md §9
 */
#ifndef API_USAGE_H
#define API_USAGE_H

#include "base/buf.h"

/* {"free":…,"used":…,"total":…,"percent":…} */
void memory_write(struct buf *b);

#endif
