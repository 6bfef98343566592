#include "pusher/events.h"

static const str names[] = {
#define INBOUND(name, symbol) STR(name),
#include "pusher/events.def"
#undef INBOUND
};

enum inbound inbound_of(str event)
{
    if (str_starts(event, S("client-")))
        return IN_CLIENT;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(event, names[i]))
            return (enum inbound)i;
    return IN_OTHER;
}
