#include "api/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"

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
    };
    buf_init(&head, SIZE_MAX);
    http1_response(&head, &a);
    if (!str_eq(q->head.method, S("HEAD")))
        buf_add(&head, body);
    struct frame *f = frame_of(buf_str(&head));
    stream_send(q->stream, f);
    frame_unref(f);
    buf_finish(&head);
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
