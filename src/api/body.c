#include "api/body.h"

#include "api/answer.h"

bool body_object(struct request *q, struct json *out)
{
    size_t at;
    if (!json_parse(q->body, out, &at)) {
        answer_error(q, 400, "invalid_input", "Invalid JSON: error at byte %zu", at);
        return false;
    }
    if (out->type != JSON_OBJECT) {
        answer_error(q, 400, "invalid_input", "Invalid JSON: the body must be an object");
        return false;
    }
    return true;
}
