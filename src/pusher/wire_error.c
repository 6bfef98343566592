#include "pusher/wire_error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    int code, status;
    const char *type, *text;
} rows[] = {
#define WIRE_ERROR(name, code, type, status, text) {code, status, type, text},
#include "pusher/errors.def"
#undef WIRE_ERROR
};

struct wire_error wire_error(enum wire_error_id id)
{
    struct wire_error e = {.code = rows[id].code, .type = rows[id].type, .status = rows[id].status};
    snprintf(e.text, sizeof e.text, "%s", rows[id].text);
    return e;
}

struct wire_error wire_error_f(enum wire_error_id id, const char *fmt, ...)
{
    struct wire_error e = {.code = rows[id].code, .type = rows[id].type, .status = rows[id].status};
    char filled[512];
    const char *text = rows[id].text, *hole = strstr(text, "%s");
    CHECK(hole);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(filled, sizeof filled, fmt, ap);
    va_end(ap);
    snprintf(e.text, sizeof e.text, "%.*s%s%s", (int)(hole - text), text, filled, hole + 2);
    return e;
}
