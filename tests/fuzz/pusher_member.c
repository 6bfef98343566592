/* fuzz/pusher_member - channel_data, user_data, origins, socket ids and names hold their bounds. */
#include "pusher/member.h"

#include <stdlib.h>

#include "base/json.h"
#include "pusher/channel_name.h"
#include "pusher/origin.h"
#include "pusher/socket_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool x)
{
    if (!x)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a = {0};
    struct wire_error e;
    struct member_data m;
    struct user_data u;
    struct socket_id id;
    struct json v;
    size_t at;
    str s = str_of(data, size);
    if (member_parse(s, 1024, 1, &a, &m, &e)) {
        expect(m.user_id.n >= 1 && m.user_id.n <= MEMBER_ID_MAX);
        expect(json_parse(m.user_info, &v, &at)); /* goes into every snapshot */
    }
    if (user_data_parse(s, &a, &u, &e)) {
        expect(u.id.n >= 1 && u.id.n <= MEMBER_ID_MAX && u.watch_count <= WATCHLIST_MAX);
        expect(json_parse(u.user_info, &v, &at));
    }
    if (channel_name_check(s, 200, NULL) && channel_kind(s).base != CHANNEL_USER)
        expect(size >= 1 && size <= 200 && !memchr(data, ':', size));
    if (socket_id_parse(s, &id)) {
        uint16_t worker;
        uint32_t slot;
        if (socket_id_place(id, &worker, &slot))
            expect(worker < 256);
    }
    size_t half = size / 2;
    if (origin_matches(str_of(data, half), str_of(data + half, size - half)))
        expect(half > 0);
    arena_finish(&a);
    return 0;
}
