/* support/queue_scripted.h - a queue that answers LATER, when a test says so.
 *
 * Pushes wait until queue_scripted_release takes or refuses the oldest; taken jobs come to the
 * consumer when the test hands one over. Ends of jobs are written down.
 */
#ifndef SUPPORT_QUEUE_SCRIPTED_H
#define SUPPORT_QUEUE_SCRIPTED_H

#include "queue/queue.h"

extern const struct queue_driver queue_scripted;
/* Answers the oldest waiting push; false: none waits. */
bool queue_scripted_release(struct queue *q, bool fail);
/* Hands over the oldest job that lies there, if the consumer wants one. */
bool queue_scripted_hand(struct queue *q);
size_t queue_scripted_waiting(const struct queue *q);
uint32_t queue_scripted_wanted(const struct queue *q);
/* "done", "later 250 lane 7 PAYLOAD", "bury REASON": the last end, empty at first. */
const char *queue_scripted_last(const struct queue *q);

#endif
