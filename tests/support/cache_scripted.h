/* support/cache_scripted.h - a cache that answers LATER, when a test says so.
 *
 * Every call waits; cache_scripted_release does the oldest one, on the table as it is then.
 */
#ifndef SUPPORT_CACHE_SCRIPTED_H
#define SUPPORT_CACHE_SCRIPTED_H

#include "cache/cache.h"
#include "io/loop.h"

extern const struct cache_driver cache_scripted;
/* Does and answers the oldest waiting call, or answers it ERR_UNAVAILABLE; false: none waits. */
bool cache_scripted_release(struct cache *c, bool fail);
/* Answers go by the mailbox of the asker's worker from now on, as those of a service thread do:
 * behind every event that was posted before. */
void cache_scripted_mail(struct cache *c, struct loop *const *loops);
size_t cache_scripted_waiting(const struct cache *c);

#endif
