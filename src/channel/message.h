/* channel/message.h - one event of one channel: counted, immutable, encoded once.
 *
 * Nature   any thread holds references (one per worker and mailbox entry); encodings are made by
 *          the first that needs them
 * Source   websocket-protocol.md §2.1, §2.2 (envelope), §13 (client events)
 */
#ifndef CHANNEL_MESSAGE_H
#define CHANNEL_MESSAGE_H

#include "io/frame.h"
#include "io/stream.h"

enum message_flags {
    MESSAGE_HTTP = 1, /* published over HTTP: cached on cache channels, held back while fetching */
    MESSAGE_SYSTEM = 2, /* member_added and the like: never left out for a slow reader */
};

/* The sender's socket, resolved once: where it is, and the number in its socket_id (design §4). */
struct message_exclude {
    bool set;
    uint16_t worker;
    uint32_t slot;
    uint64_t number;
};

struct message {
    _Atomic uint32_t refs;
    unsigned flags;
    str app, channel, event, data, user_id; /* slices of text[]; data is a JSON string literal */
    struct message_exclude exclude;
    struct frame *shared; /* holds `data` for several messages; NULL: it is in text[] */
    int64_t received_ns;  /* monotonic, when its request came; 0: not measured */
    _Atomic uint32_t workers, recipients; /* who still has to deliver it; how many got it */
    _Atomic(struct frame *) plain, deflated;
    char text[];
};

/* One reference. `data` is a JSON string literal with its quotes, copied verbatim; user_id.n 0:
 * none. */
struct message *message_create(str app, str channel, str event, str data, str user_id,
                               unsigned flags);
/* One of several messages with the same data, which is counted with them instead of copied. */
struct message *message_create_shared(str app, str channel, str event, struct frame *data,
                                      unsigned flags);
struct message *message_ref(struct message *m);
void message_unref(struct message *m);
/* The WebSocket frame, borrowed from the message. */
struct frame *message_frame(struct message *m, bool deflate);
size_t message_weight(const struct message *m); /* bytes, for mailbox limits */

#endif
