/* tests/unit/pusher_events.c - inbound events by exact name (websocket-protocol.md §2.3). */
#include "pusher/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void names(void **state)
{
    static const struct {
        str event;
        enum inbound inbound;
    } t[] = {
        {STR("pusher:ping"), IN_PING},
        {STR("pusher:pong"), IN_PONG},
        {STR("pusher:subscribe"), IN_SUBSCRIBE},
        {STR("pusher:unsubscribe"), IN_UNSUBSCRIBE},
        {STR("pusher:signin"), IN_SIGNIN},
        {STR("client-"), IN_CLIENT},
        {STR("client-x"), IN_CLIENT},
        {STR("client"), IN_OTHER},
        {STR("Client-x"), IN_OTHER},
        {STR("my-client-x"), IN_OTHER}, /* anchored at the start */
        {STR("pusher:pin"), IN_OTHER},
        {STR("pusher:ping "), IN_OTHER},
        {STR("pusher:ping\0"), IN_OTHER},
        {STR("Pusher:ping"), IN_OTHER},
        {STR("pusher:error"), IN_OTHER},
        {STR("pusher:connection_established"), IN_OTHER},
        {STR("pusher_internal:member_added"), IN_OTHER},
        {STR("pusher:resume"), IN_OTHER},
        {STR(""), IN_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(inbound_of(t[i].event), t[i].inbound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
