/* base/log_filter.h - which module logs down to which level: "info,connections=debug".
 *
 * Nature   pure
 * Limits   LOG_RULES_MAX modules, names up to 31 bytes; what is more or longer is ignored
 * Source   metrics.md §6.1: a subset of RUST_LOG. `sockudo` and `sockudo_*` mean all own modules;
 *          unknown modules and what does not parse are ignored
 */
#ifndef BASE_LOG_FILTER_H
#define BASE_LOG_FILTER_H

#include "base/base.h"

enum { LOG_RULES_MAX = 16, LOG_MODULE_MAX = 31 };

enum log_level { LOG_OFF = -1, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

struct log_filter {
    struct {
        char module[LOG_MODULE_MAX + 1];
        enum log_level level;
    } rules[LOG_RULES_MAX];
    size_t rule_count;
    enum log_level others; /* for modules without a rule */
};

/* "error", "warn", "info", "debug", "trace", "off" in any case; false: unknown. */
NODISCARD bool log_level_parse(str name, enum log_level *out);
/* `fallback` is the level of all others if the text names none. Of two equal names the last wins.
 */
void log_filter_parse(struct log_filter *f, str text, enum log_level fallback);
enum log_level log_filter_level(const struct log_filter *f, const char *module);
/* The most that any module may write. */
enum log_level log_filter_max(const struct log_filter *f);

#endif
