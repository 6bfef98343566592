/* base/log.h - one line per event on stderr, as text or JSON.
 *
 * Nature   any thread; each line is one write, so lines of threads do not mix. Blocking: who reads
 *          stderr must keep up; a closed or non-blocking one loses the line (SIGPIPE must be off)
 * Limits   a message is cut at LOG_MESSAGE_MAX bytes; log_limited: 10 lines per second and site
 * Source   SEC-20: control bytes and broken UTF-8 come out escaped, nobody can forge a line.
 *          Callers cut peers' text themselves: LOG_PEER(s) is the argument pair of "%.*s"
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

enum { LOG_MESSAGE_MAX = 1900, LOG_PEER_MAX = 256, LOG_SITE_PER_SECOND = 10 };

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* May be called again at any time, e.g. after SIGHUP. Before the first call: LOG_INFO, text.
 * Colors are left out if stderr is no terminal. */
void log_setup(enum log_level level, bool json, bool colors);
/* Whether lines name their module; at first they do. */
void log_show_module(bool shown);
/* "error", "warn", "info", "debug", "trace" in any case; false: unknown. */
NODISCARD bool log_level_parse(str name, enum log_level *out);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *module, const char *fmt, ...) PRINTF(3, 4);

#define LOG_PEER(s) (int)((s).n < LOG_PEER_MAX ? (s).n : LOG_PEER_MAX), (s).p

/* Arguments are not evaluated for a level that is off. */
#define LOG_AT(level, ...) (log_enabled(level) ? log_write(level, __VA_ARGS__) : (void)0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__)

/* One per place in the code; all fields atomic, all zero at first. */
struct log_site {
    int64_t second;
    unsigned count, dropped;
};
/* Whether the site may write now. *dropped_out: how many it has swallowed since its last line. */
bool log_site_allow(struct log_site *site, int64_t now_s, unsigned *dropped_out);
void log_write_limited(struct log_site *site, enum log_level level, const char *module,
                       const char *fmt, ...) PRINTF(4, 5);

/* For lines that a peer or a backend can cause again and again. */
#define log_limited(level, ...)                                                                    \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        if (log_enabled(level))                                                                    \
            log_write_limited(&log_site_, level, __VA_ARGS__);                                     \
    } while (0)

#endif
