/* support/adapter_scripted.h - an adapter that confirms when the test says so. */
#ifndef SUPPORT_ADAPTER_SCRIPTED_H
#define SUPPORT_ADAPTER_SCRIPTED_H

#include "adapter/driver.h"

extern const struct adapter_driver adapter_scripted;

/* Answers the oldest subscribe that waits. False: none. */
bool adapter_scripted_release(struct adapter *a, bool is_confirmed);
/* How often a topic was given up. */
size_t adapter_scripted_unsubscribed(const struct adapter *a);

#endif
