#include "server/logging.h"

#include <stdio.h>

#include "base/crypto.h"
#include "base/log.h"

void logging_use(const struct config *c)
{
    log_setup(&(struct log_options){
        .filter = c->log.filter,
        .fallback = c->debug ? LOG_DEBUG : LOG_INFO,
        .json = c->log.json,
        .hide_target = !c->log.include_target,
        .colors = c->log.colors,
        .places = c->debug,
    });
}

enum { UUID_CHARS = 36 };

/* Version 4, RFC 9562. */
static str uuid_random(char out[UUID_CHARS + 1])
{
    uint8_t b[16];
    crypto_random(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    size_t n = 0;
    for (size_t i = 0; i < sizeof b; i++)
        n += (size_t)snprintf(out + n, UUID_CHARS + 1 - n,
                              i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    return str_of(out, n);
}

void logging_begin(const struct config *c)
{
    char uuid[UUID_CHARS + 1];
    log_fields(LOG_INFO, "server", "starting", LOG_TEXT("version", S(SOCKUDO_VERSION)),
               LOG_TEXT("process_id", c->process_id.n ? c->process_id : uuid_random(uuid)));
}
