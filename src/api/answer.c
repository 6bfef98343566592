#include "api/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/cors.h"
#include "api/count.h"
#include "api/limit.h"
#include "base/json.h"
#include "base/log.h"

enum { HEAD_ROOM = 512 };

/* The fields that do not depend on who answers. */
static void common_fields(const struct request *q, int status, struct buf *head)
{
    const struct cors *cors = q->worker->settings->cors;
    limit_fields(q, status, head);
    if (cors && q->kind == HTTP_MAIN)
        cors_fields(cors, http1_header_get(&q->head, S("origin")),
                    str_eq(q->head.method, S("OPTIONS")), head);
    buf_add(head, S("\r\n"));
}

void answer(struct request *q, int status, str content_type, str body, str more)
{
    struct buf head;
    CHECK(!q->is_answered);
    q->is_answered = true;
    if (!q->head.keep_alive || q->head.has_upgrade || q->has_unread ||
        atomic_load(&q->worker->node->draining))
        q->must_close = true;
    struct http1_answer a = {
        .status = status,
        .content_type = content_type,
        .length = body.n,
        .close = q->must_close,
        .name_keep_alive = q->head.minor == 0 && !q->must_close,
        .more = more,
        .is_open = true,
    };
    buf_init(&head, SIZE_MAX);
    buf_room(&head, HEAD_ROOM + body.n);
    http1_response(&head, &a);
    common_fields(q, status, &head);
    if (!str_eq(q->head.method, S("HEAD")))
        buf_add(&head, body);
    struct frame *f = frame_of(buf_str(&head));
    stream_send(q->stream, f);
    frame_unref(f);
    buf_finish(&head);
    count_answer(q, status, str_eq(q->head.method, S("HEAD")) ? 0 : body.n);
}

void answer_json(struct request *q, str body)
{
    answer(q, 200, S("application/json"), body, S(""));
}

void answer_error(struct request *q, int status, const char *code, const char *fmt, ...)
{
    char text[2048];
    struct buf b;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_fields(LOG_DEBUG, "api", "request refused", LOG_TEXT("method", q->head.method),
               LOG_TEXT("path", q->head.path), LOG_INTEGER("status", status),
               LOG_TEXT("code", str_z(code))); /* no text: it may hold what was to be signed */
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"error\":"));
    json_add_string(&b, str_z(text));
    buf_add(&b, S(",\"code\":"));
    json_add_string(&b, str_z(code));
    buf_printf(&b, ",\"status\":%d}", status);
    answer(q, status, S("application/json"), buf_str(&b),
           status == 503 ? S("Retry-After: 1\r\n") : S(""));
    buf_finish(&b);
}
