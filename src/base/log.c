#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

/* PIPE_BUF: a pipe takes a line of this size in one piece. In JSON each byte of the message may
 * need two, and 200 are left for the rest. */
enum { LINE_MAX_BYTES = 4096 };
_Static_assert(2 * LOG_MESSAGE_MAX + 200 <= LINE_MAX_BYTES, "a line is one write");

static const struct {
    const char *name, *label, *color;
} levels[] = {
    [LOG_ERROR] = {"error", "ERROR", "\033[31m"}, [LOG_WARN] = {"warn", "WARN", "\033[33m"},
    [LOG_INFO] = {"info", "INFO", "\033[32m"},    [LOG_DEBUG] = {"debug", "DEBUG", "\033[34m"},
    [LOG_TRACE] = {"trace", "TRACE", "\033[35m"},
};

/* Read by all threads, relaxed: a line more or less around a change does not matter. */
static int max_level = LOG_INFO;
static bool as_json, with_colors, hides_module;

void log_setup(enum log_level level, bool json, bool colors)
{
    __atomic_store_n(&max_level, (int)level, __ATOMIC_RELAXED);
    __atomic_store_n(&as_json, json, __ATOMIC_RELAXED);
    __atomic_store_n(&with_colors, colors && isatty(STDERR_FILENO), __ATOMIC_RELAXED);
}

void log_show_module(bool shown)
{
    __atomic_store_n(&hides_module, !shown, __ATOMIC_RELAXED);
}

bool log_level_parse(str name, enum log_level *out)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (str_eq_nocase(name, str_z(levels[i].name))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

/* ---- one line ------------------------------------------------------------------------------- */

/* The length of the character at p if it may be shown as it is, else 0: controls (also U+0080 to
 * U+009F, which terminals obey) and broken UTF-8. */
static size_t printable(const char *p, size_t n)
{
    uint8_t c = (uint8_t)p[0];
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (len > n || !utf8_ok(str_of(p, len)))
        return 0;
    return c == 0xc2 && (uint8_t)p[1] < 0xa0 ? 0 : len;
}

static void add_hidden(struct buf *b, uint8_t c)
{
    if (c == '\n' || c == '\r' || c == '\t')
        buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else
        buf_printf(b, "\\x%02x", c);
}

/* `out` has its maximum; what does not fit is replaced by an ellipsis. */
static void add_clean(struct buf *out, str s, size_t max)
{
    while (s.n) {
        size_t n = printable(s.p, s.n);
        if (out->n + (n ? n : 4) > max) {
            buf_add(out, S("…"));
            return;
        }
        if (n)
            buf_add(out, str_of(s.p, n));
        else
            add_hidden(out, (uint8_t)s.p[0]);
        s = str_from(s, n ? n : 1);
    }
}

static void add_time(struct buf *b)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000000));
}

static void add_json(struct buf *b, enum log_level level, const char *module, str message)
{
    buf_add(b, S("{\"timestamp\":\""));
    add_time(b);
    buf_printf(b, "\",\"level\":\"%s\"", levels[level].label);
    if (!__atomic_load_n(&hides_module, __ATOMIC_RELAXED))
        buf_printf(b, ",\"target\":\"%.32s\"", module);
    buf_add(b, S(",\"message\":"));
    json_add_string(b, message);
    buf_add(b, S("}\n"));
}

static void add_text(struct buf *b, enum log_level level, const char *module, str message)
{
    bool colors = __atomic_load_n(&with_colors, __ATOMIC_RELAXED);
    add_time(b);
    buf_printf(b, " %s%-5s%s ", colors ? levels[level].color : "", levels[level].label,
               colors ? "\033[0m" : "");
    if (!__atomic_load_n(&hides_module, __ATOMIC_RELAXED))
        buf_printf(b, "%.32s: ", module);
    buf_add(b, message);
    buf_char(b, '\n');
}

/* A line that cannot be written is lost: the server goes on. */
static void write_line(str line)
{
    while (write(STDERR_FILENO, line.p, line.n) < 0 && errno == EINTR)
        ;
}

/* A buffer on the stack: with cap == max it never grows. */
static struct buf buf_over(char *p, size_t n)
{
    return (struct buf){.p = p, .cap = n, .max = n};
}

static void put_line(enum log_level level, const char *module, str text, unsigned dropped)
{
    char message_bytes[LOG_MESSAGE_MAX], line_bytes[LINE_MAX_BYTES];
    struct buf message = buf_over(message_bytes, sizeof message_bytes);
    struct buf line = buf_over(line_bytes, sizeof line_bytes);
    add_clean(&message, text, LOG_MESSAGE_MAX - 64);
    if (dropped)
        buf_printf(&message, " (%u similar lines dropped)", dropped);
    if (__atomic_load_n(&as_json, __ATOMIC_RELAXED))
        add_json(&line, level, module, buf_str(&message));
    else
        add_text(&line, level, module, buf_str(&message));
    write_line(buf_str(&line));
}

static void format_line(enum log_level level, const char *module, unsigned dropped, const char *fmt,
                        va_list ap)
{
    char text[LOG_MESSAGE_MAX];
    int saved = errno; /* callers log between a failed call and its errno */
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof text)
        n = sizeof text - 1;
    put_line(level, module, str_of(text, (size_t)n), dropped);
    errno = saved;
}

void log_write(enum log_level level, const char *module, const char *fmt, ...)
{
    va_list ap;
    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    format_line(level, module, 0, fmt, ap);
    va_end(ap);
}

/* ---- sites ---------------------------------------------------------------------------------- */

bool log_site_allow(struct log_site *site, int64_t now_s, unsigned *dropped_out)
{
    int64_t second = __atomic_load_n(&site->second, __ATOMIC_RELAXED);
    *dropped_out = 0;
    if (second != now_s && __atomic_compare_exchange_n(&site->second, &second, now_s, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        __atomic_store_n(&site->count, 0, __ATOMIC_RELAXED);
    if (__atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED) >= LOG_SITE_PER_SECOND) {
        __atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
        return false;
    }
    *dropped_out = __atomic_exchange_n(&site->dropped, 0, __ATOMIC_RELAXED);
    return true;
}

void log_write_limited(struct log_site *site, enum log_level level, const char *module,
                       const char *fmt, ...)
{
    struct timespec now;
    unsigned dropped;
    va_list ap;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (!log_site_allow(site, now.tv_sec, &dropped))
        return;
    va_start(ap, fmt);
    format_line(level, module, dropped, fmt, ap);
    va_end(ap);
}
