/* support/rate_scripted.h - a rate limiter that answers when a test tells it. One at a time. */
#ifndef SUPPORT_RATE_SCRIPTED_H
#define SUPPORT_RATE_SCRIPTED_H

#include "rate_limiter/rate_limiter.h"

extern const struct rate_limiter_driver rate_scripted;
/* Answers the oldest waiting call; false: none waits. */
bool rate_scripted_release(struct rate_limiter *r, const struct rate_answer *a);
/* The key it was asked about last. */
str rate_scripted_key(const struct rate_limiter *r);

#endif
