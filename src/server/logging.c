#include "server/logging.h"

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
