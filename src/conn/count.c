#include "conn/count.h"

enum { NO_ERROR_TYPE = label_error_type_COUNT };

static unsigned type_of(enum wire_error_id id)
{
    switch (id) {
    case WIRE_APP_UNKNOWN:
        return label_error_type_APP_NOT_FOUND;
    case WIRE_APP_LOOKUP_FAILED:
        return label_error_type_APP_VALIDATION_FAILED;
    case WIRE_APP_DISABLED:
        return label_error_type_APP_DISABLED;
    case WIRE_ORIGIN_NOT_ALLOWED:
        return label_error_type_ORIGIN_NOT_ALLOWED;
    case WIRE_OVER_CAPACITY:
        return label_error_type_OVER_CAPACITY;
    case WIRE_APP_OVER_QUOTA:
        return label_error_type_OVER_QUOTA;
    case WIRE_UNSUPPORTED_PROTOCOL:
        return label_error_type_UNSUPPORTED_PROTOCOL;
    case WIRE_PONG_TIMEOUT:
        return label_error_type_PONG_TIMEOUT;
    case WIRE_BUFFER_FULL:
        return label_error_type_SLOW_CONSUMER;
    case WIRE_BAD_MESSAGE:
        return label_error_type_INVALID_MESSAGE_FORMAT;
    case WIRE_NO_EVENT:
        return label_error_type_MISSING_EVENT_NAME;
    case WIRE_USER_CHANNEL:
    case WIRE_AUTH_REQUIRED:
    case WIRE_AUTH_INVALID:
    case WIRE_SIGNIN_INVALID:
        return label_error_type_AUTHENTICATION_FAILED;
    case WIRE_AUTH_TIMEOUT:
    case WIRE_SIGNIN_OFF:
    case WIRE_SIGNIN_FIELD:
    case WIRE_SIGNIN_DATA:
    case WIRE_SIGNIN_ID:
    case WIRE_SIGNIN_OTHER:
        return label_error_type_AUTHENTICATION_ERROR;
    default:
        return NO_ERROR_TYPE;
    }
}

struct metrics_app *count_app(const struct conn *c)
{
    return c->app ? c->app->metrics : metrics_app(S("unknown"));
}

void count_error(const struct conn *c, enum wire_error_id id)
{
    unsigned type = type_of(id);
    if (type != NO_ERROR_TYPE)
        METRICS_APP(count_app(c), connection_errors[type], 1);
}

void count_close(const struct conn *c, uint16_t code)
{
    if (code == 1009)
        METRICS_APP(count_app(c), connection_errors[label_error_type_MESSAGE_TOO_LARGE], 1);
    else if (code == 1002 || code == 1007)
        METRICS_APP(count_app(c), connection_errors[label_error_type_SOCKET_HANDLING_FAILED], 1);
}

void count_sent(const struct conn *c, size_t payload)
{
    struct metrics_app *m = count_app(c);
    METRICS_APP(m, ws_messages_sent[0], 1);
    METRICS_APP(m, socket_transmitted_bytes[0], payload);
}
