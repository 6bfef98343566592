/* channel/channel_event.h - what the application's back end may be told of a channel's life.
 *
 * Nature   all slices are borrowed for the call; a teller runs on any thread, under the lock of the
 *          channel's partition when the registry calls it: it may only copy and post
 * Source   webhooks.md §1: the members that each kind has
 */
#ifndef CHANNEL_CHANNEL_EVENT_H
#define CHANNEL_CHANNEL_EVENT_H

#include "app/app.h"
#include "io/loop.h"

struct channel_event {
    enum app_webhook_event kind;
    str app, channel;
    str user_id;   /* member_added, member_removed; client_event on presence channels; else empty */
    str event;     /* client_event */
    str data;      /* client_event: a JSON string literal, with its quotes */
    str socket_id; /* client_event */
    uint32_t count; /* subscription_count */
};
/* from: the loop of the caller, NULL outside. False: too much waits already, it was not taken, and
 * the caller tells it again or counts it as dropped. */
typedef bool channel_tell_fn(void *ctx, struct loop *from, const struct channel_event *e);

#endif
