/* adapter/adapter.h - which channels this node wants to hear of, and who else is there.
 *
 * Nodes meet through a transport (design §6). A channel's topic is subscribed while the node has
 * subscribers of the channel; `local` is a cluster of one, which has nobody to ask.
 *
 * Nature   any thread, also under a partition's lock. DONE: what is published anywhere from now on
 *          arrives, and no callback comes; LATER: it comes exactly once, on the loop that asked
 * Source   design §4 (Confirm), §6
 */
#ifndef ADAPTER_ADAPTER_H
#define ADAPTER_ADAPTER_H

#include "base/base.h"

struct adapter; /* opaque; owned by struct server */
struct adapter_driver;

struct adapter_options {
    str driver; /* as in the config file */
};
/* The topic is subscribed; is_confirmed false: the transport is away, the node goes on alone. */
typedef void adapter_fn(struct handle asker, bool is_confirmed);

/* Opens the driver that opt->driver names.
 * Errors   ERR_CONFIG unknown or unbuilt driver. */
NODISCARD struct adapter *adapter_create(const struct adapter_options *opt, struct err *e);
/* The same with a driver that the table does not have (tests). */
NODISCARD struct adapter *adapter_create_with(const struct adapter_driver *driver,
                                              const struct adapter_options *opt, struct err *e);
/* Takes *a and sets it NULL; NULL is fine. Waiting callbacks come first, unconfirmed. */
void adapter_destroy(struct adapter **a);

/* Somebody of this node is about to subscribe to the channel. Each call of many is answered. */
enum when adapter_subscribe(struct adapter *a, struct handle asker, str app, str channel,
                            adapter_fn *cb);
/* Nobody of this node is interested any more. */
void adapter_unsubscribe(struct adapter *a, str app, str channel);
/* Live nodes known, this one included. */
uint32_t adapter_nodes(const struct adapter *a);

#endif
