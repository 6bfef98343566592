#include "pusher/wire_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

static const struct {
    int code, status;
    const char *type, *text;
} rows[] = {
#define WIRE_ERROR(name, code, type, status, text) {code, status, type, text},
#include "pusher/errors.def"
#undef WIRE_ERROR
};

static struct wire_error row_of(enum wire_error_id id)
{
    return (struct wire_error){
        .id = id, .code = rows[id].code, .type = rows[id].type, .status = rows[id].status};
}

struct wire_error wire_error(enum wire_error_id id)
{
    struct wire_error e = row_of(id);
    snprintf(e.text, sizeof e.text, "%s", rows[id].text);
    return e;
}

/* Bytes of the character at p, 0 if there is none. */
static size_t character(const char *p)
{
    for (size_t n = 1; n <= 4 && p[n - 1]; n++)
        if (utf8_ok(str_of(p, n)))
            return n;
    return 0;
}

/* Peers' bytes may be no UTF-8, and the cut may halve a character; a client would close on it. */
static void mend(char *p)
{
    for (size_t n; *p; p += n ? n : 1) {
        n = character(p);
        if (n == 0)
            *p = '?';
    }
}

struct wire_error wire_error_f(enum wire_error_id id, const char *fmt, ...)
{
    struct wire_error e = row_of(id);
    char filled[512];
    const char *text = rows[id].text, *hole = strstr(text, "%s");
    CHECK(hole);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(filled, sizeof filled, fmt, ap);
    va_end(ap);
    mend(filled);
    snprintf(e.text, sizeof e.text, "%.*s%s%s", (int)(hole - text), text, filled, hole + 2);
    return e;
}
