/* base/log.h - one line per event on stdout, as text or JSON.
 *
 *     log_warn("adapter", "no answer for %d ms", waited_ms);
 *     log_fields(LOG_DEBUG, "connections", "subscribed", LOG_TEXT("app_id", id),
 *                LOG_INTEGER("count", n));
 *
 * Nature   any thread. Between log_start and log_stop a line waits for nobody: a slow reader loses
 *          lines and is told how many. Before, and after, each line is one write (SIGPIPE must be
 *          off)
 * Limits   a message is cut at LOG_MESSAGE_MAX bytes, a field's text at LOG_PEER_MAX; a line has
 *          up to 4096; log_limited: LOG_SITE_LINES per LOG_SITE_PERIOD_S and site
 * Source   metrics.md §6. SEC-20: control bytes and broken UTF-8 come out escaped, nobody can forge
 *          a line. Never logged: secrets, whole keys, signatures, headers, bodies, event data,
 *          user_info. Callers cut peers' text themselves: LOG_PEER(s) is the argument pair of
 *          "%.*s"
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"
#include "base/limits.h"
#include "base/log_filter.h"

enum { LOG_MESSAGE_MAX = 1900 };
enum { LOG_SITE_LINES = 10, LOG_SITE_PERIOD_S = 60 };

struct log_options {
    str filter;              /* copied */
    enum log_level fallback; /* of modules that the filter does not tell about */
    bool json, hide_target;
    bool colors; /* in text, if stdout is a terminal and NO_COLOR is not set */
    bool places; /* file and line */
};
/* May be called again at any time, from one thread at a time. Before the first call: LOG_INFO. */
void log_setup(const struct log_options *o);

/* From here on a thread of its own writes the lines. Errors: ERR_SYSTEM. */
NODISCARD bool log_start(struct err *e);
/* Waits up to LOG_STOP_MS for the reader. */
enum { LOG_STOP_MS = 1000 };
void log_stop(void);

struct log_place {
    enum log_level level;
    const char *module, *file;
    int line;
};
struct log_field {
    const char *name;
    enum log_type { LOG_IS_TEXT, LOG_IS_INTEGER, LOG_IS_BOOL } type;
    str text;
    int64_t number;
};
#define LOG_TEXT(field, value)                                                                     \
    {                                                                                              \
        .name = (field), .type = LOG_IS_TEXT, .text = (value)                                      \
    }
#define LOG_INTEGER(field, value)                                                                  \
    {                                                                                              \
        .name = (field), .type = LOG_IS_INTEGER, .number = (value)                                 \
    }
#define LOG_BOOL(field, value)                                                                     \
    {                                                                                              \
        .name = (field), .type = LOG_IS_BOOL, .number = (value)                                    \
    }

/* Whether any module may write this; one load. */
bool log_enabled(enum log_level level);
bool log_module_enabled(enum log_level level, const char *module);
void log_write(const struct log_place *at, const char *fmt, ...) PRINTF(2, 3);
void log_event(const struct log_place *at, str message, const struct log_field *f, size_t n);

#define LOG_PEER(s) (int)((s).n < LOG_PEER_MAX ? (s).n : LOG_PEER_MAX), (s).p

#define LOG_HERE(level, module) (&(const struct log_place){level, module, __FILE__, __LINE__})
/* Arguments are not evaluated for a level that is off. */
#define LOG_IF(level, module, call)                                                                \
    (UNLIKELY(log_enabled(level)) && log_module_enabled(level, module) ? (call) : (void)0)
#define LOG_AT(level, module, ...)                                                                 \
    LOG_IF(level, module, log_write(LOG_HERE(level, module), __VA_ARGS__))
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__)

/* `message` is a literal, the rest are LOG_TEXT, LOG_INTEGER, LOG_BOOL. Stable names: app_id,
 * socket_id, user_id, channel, adapter, error, retryable, worker_id, listen_addr. */
#define log_fields(level, module, message, ...)                                                    \
    LOG_IF(level, module,                                                                          \
           log_event(LOG_HERE(level, module), S(message), (const struct log_field[]){__VA_ARGS__}, \
                     sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)))

/* One per place in the code; all fields atomic, all zero at first. */
struct log_site {
    int64_t times[LOG_SITE_LINES]; /* of the last lines, seconds + 1; 0 none */
    unsigned next, dropped;
};
/* Whether the site may write now. *dropped_out: how many it has swallowed since its last line. */
bool log_site_allow(struct log_site *site, int64_t now_s, unsigned *dropped_out);
void log_write_limited(struct log_site *site, const struct log_place *at, const char *fmt, ...)
    PRINTF(3, 4);

/* The newest lines of level warn and error that were written, for the status page. */
enum { LOG_RECENT = 100, LOG_RECENT_TEXT_MAX = 512 };
struct log_recent {
    int64_t time_ms; /* Unix */
    enum log_level level;
    char module[LOG_MODULE_MAX + 1];
    size_t text_n; /* message and fields, escaped as in a line of text */
    char text[LOG_RECENT_TEXT_MAX];
};
/* Copies them, newest first; out has room for LOG_RECENT. *total_out: all since the start. */
size_t log_recent(struct log_recent *out, uint64_t *total_out);

/* For lines that a peer or a backend can cause again and again. */
#define log_limited(level, module, ...)                                                            \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        LOG_IF(level, module,                                                                      \
               log_write_limited(&log_site_, LOG_HERE(level, module), __VA_ARGS__));               \
    } while (0)

#endif
