/* tests/fuzz/pusher_frames.c - whatever a peer names, frames and error texts are valid JSON and
 * UTF-8, and what went in comes out again. */
#include "pusher/frames.h"

#include "base/json.h"
#include "base/utf8.h"
#include "pusher/wire_error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENT, CHANNEL, DATA, USER_ID };

/* Takes the frame out of the buffer; its four members. */
static void read_frame(struct buf *b, arena *a, struct json_field f[4])
{
    struct json top;
    str text = arena_str(a, buf_str(b));
    buf_clear(b);
    CHECK(json_parse(text, &top, NULL) && top.type == JSON_OBJECT);
    f[EVENT] = (struct json_field){.name = S("event")};
    f[CHANNEL] = (struct json_field){.name = S("channel")};
    f[DATA] = (struct json_field){.name = S("data")};
    f[USER_ID] = (struct json_field){.name = S("user_id")};
    json_fields(top, f, 4);
    CHECK(f[EVENT].value.type == JSON_STRING);
}

static void check_error(struct buf *b, arena *a, str peer)
{
    struct json_field f[4], in[] = {{S("message"), {0}}};
    struct wire_error e = wire_error_f(WIRE_CHANNEL_NAME, "%.*s", FMT(peer));
    CHECK(utf8_ok(str_z(e.text)));
    str channel = utf8_ok(peer) ? peer : S(""); /* names come from checked JSON */
    frame_error(b, channel, e.code, str_z(e.text));
    read_frame(b, a, f);
    json_fields(f[DATA].value, in, 1);
    CHECK(str_eq(json_string(in[0].value, a), str_z(e.text)));
}

static void check_event(struct buf *b, arena *a, str one, str two)
{
    struct json_field f[4];
    struct buf literal;
    buf_init(&literal, SIZE_MAX);
    json_add_string(&literal, two);
    frame_event_raw(b, one, two, buf_str(&literal), one);
    read_frame(b, a, f);
    CHECK(str_eq(json_string(f[EVENT].value, a), one));
    CHECK(str_eq(json_string(f[CHANNEL].value, a), two));
    CHECK(str_eq(json_string(f[DATA].value, a), two));
    CHECK(str_eq(json_string(f[USER_ID].value, a), one));
    buf_finish(&literal);
}

static void check_user(struct buf *b, arena *a, str user_data)
{
    struct json_field f[4], in[] = {{S("user_data"), {0}}};
    frame_signin_success(b, user_data);
    read_frame(b, a, f);
    json_fields(f[DATA].value, in, 1);
    CHECK(str_eq(json_string(in[0].value, a), user_data));
}

/* The id is inside an array inside a string: escaped twice. */
static void check_watchlist(struct buf *b, arena *a, str id)
{
    struct json_field f[4];
    struct json inner;
    struct buf item;
    buf_init(&item, SIZE_MAX);
    json_add_string(&item, id);
    frame_watchlist(b, buf_str(&item), buf_str(&item));
    read_frame(b, a, f);
    CHECK(f[CHANNEL].value.type == JSON_NONE);
    CHECK(json_parse(json_string(f[DATA].value, a), &inner, NULL));
    struct json_field events[] = {{S("events"), {0}}};
    json_fields(inner, events, 1);
    struct json_iter it = json_iter(events[0].value);
    struct json event, user;
    size_t count = 0;
    for (; json_next(&it, NULL, &event); count++) {
        struct json_field ids[] = {{S("user_ids"), {0}}};
        json_fields(event, ids, 1);
        struct json_iter users = json_iter(ids[0].value);
        CHECK(json_next(&users, NULL, &user));
        CHECK(str_eq(json_string(user, a), id) && !json_next(&users, NULL, &user));
    }
    CHECK(count == 2);
    buf_finish(&item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a = {0};
    struct buf b;
    str one = str_of(data, size / 2), two = str_from(str_of(data, size), size / 2);
    buf_init(&b, SIZE_MAX);
    check_error(&b, &a, str_of(data, size));
    if (one.n && utf8_ok(one) && utf8_ok(two)) {
        check_event(&b, &a, one, two);
        check_user(&b, &a, one);
        check_watchlist(&b, &a, one);
    }
    buf_finish(&b);
    arena_finish(&a);
    return 0;
}
