/* pusher/wire_error.h - what a client is told when something is refused; one row each in
 * errors.def.
 *
 * Nature   pure
 * Source   websocket-protocol.md §5
 */
#ifndef PUSHER_WIRE_ERROR_H
#define PUSHER_WIRE_ERROR_H

#include "base/base.h"

enum { WIRE_NULL = -1, WIRE_TEXT_MAX = 640 };
enum wire_error_id {
#define WIRE_ERROR(name, code, type, status, text) WIRE_##name,
#include "pusher/errors.def"
#undef WIRE_ERROR
    WIRE_ERROR_COUNT
};
struct wire_error {
    enum wire_error_id id;
    int code;         /* WIRE_NULL: JSON null */
    const char *type; /* of pusher:subscription_error, "" if it has no place there */
    int status;
    char text[WIRE_TEXT_MAX];
};

struct wire_error wire_error(enum wire_error_id id);
/* Fills the %s of the row: up to 511 bytes of formatted text; what is no UTF-8 becomes '?'. */
struct wire_error wire_error_f(enum wire_error_id id, const char *fmt, ...) PRINTF(2, 3);

#endif
