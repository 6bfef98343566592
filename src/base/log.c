#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log_out.h"
#include "base/utf8.h"

/* PIPE_BUF: a pipe takes a line of this size in one piece. What a line ends with (target, place,
 * brackets) fits into the reserve. */
enum { LINE_MAX_BYTES = 4096, LINE_RESERVE = 400, MESSAGE_OUT_MAX = 2400, FILE_MAX = 80 };

static const struct {
    const char *label, *color;
} levels[] = {
    [LOG_ERROR] = {"ERROR", "\033[31m"}, [LOG_WARN] = {"WARN", "\033[33m"},
    [LOG_INFO] = {"INFO", "\033[32m"},   [LOG_DEBUG] = {"DEBUG", "\033[34m"},
    [LOG_TRACE] = {"TRACE", "\033[35m"},
};

/* Never changed once others see it, never freed: a thread may still read an older one. They are
 * few, as each is a change by hand; the chain keeps them reachable. */
struct settings {
    struct log_filter filter;
    bool json, colors, target, places;
    const struct settings *older;
};
static const struct settings at_first = {.filter = {.others = LOG_INFO}, .target = true};
static const struct settings *current = &at_first;
/* Relaxed: a line more or less around a change does not matter. */
static int max_level = LOG_INFO;

static const struct settings *settings(void)
{
    return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

static bool colors_fit(void)
{
    const char *no = getenv("NO_COLOR");
    return (!no || !no[0]) && isatty(STDOUT_FILENO);
}

void log_setup(const struct log_options *o)
{
    struct settings *s = mem_zero(sizeof *s);
    log_filter_parse(&s->filter, o->filter, o->fallback);
    s->json = o->json;
    s->colors = o->colors && !o->json && colors_fit();
    s->target = !o->hide_target;
    s->places = o->places;
    s->older = settings();
    __atomic_store_n(&current, s, __ATOMIC_RELEASE);
    __atomic_store_n(&max_level, (int)log_filter_max(&s->filter), __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

bool log_module_enabled(enum log_level level, const char *module)
{
    return level <= log_filter_level(&settings()->filter, module);
}

/* ---- text of others ------------------------------------------------------------------------- */

enum style { PLAIN, QUOTED, JSON };

/* The length of the character at p, 1 if it is broken UTF-8. */
static size_t char_length(const char *p, size_t n, bool *is_broken)
{
    uint8_t c = (uint8_t)p[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    *is_broken = len > n || !utf8_ok(str_of(p, len));
    return *is_broken ? 1 : len;
}

/* Controls, also U+0080 to U+009F, which terminals obey. */
static bool is_control(str c)
{
    uint8_t first = (uint8_t)c.p[0];
    return first < 0x20 || first == 0x7f || (first == 0xc2 && (uint8_t)c.p[1] < 0xa0);
}

static void add_hidden(struct buf *b, str c, bool is_broken, enum style style)
{
    if (style == JSON && is_broken)
        buf_add(b, S("\\ufffd"));
    else if (style == JSON)
        buf_printf(b, "\\u%04x", (uint8_t)c.p[c.n - 1]); /* C2 xx is U+00xx */
    else if (c.p[0] == '\n' || c.p[0] == '\r' || c.p[0] == '\t')
        buf_printf(b, "\\%c", c.p[0] == '\n' ? 'n' : c.p[0] == '\r' ? 'r' : 't');
    else
        for (size_t i = 0; i < c.n; i++)
            buf_printf(b, "\\x%02x", (uint8_t)c.p[i]);
}

/* What does not fit into `max` further bytes is replaced by an ellipsis. */
static void add_clean(struct buf *out, str s, size_t max, enum style style)
{
    max += out->n;
    while (s.n) {
        bool is_broken;
        str c = str_of(s.p, char_length(s.p, s.n, &is_broken));
        bool hidden = is_broken || is_control(c);
        bool escaped = style != PLAIN && (c.p[0] == '"' || c.p[0] == '\\');
        if (out->n + (hidden ? 8 : c.n + escaped) > max) {
            buf_add(out, S("…"));
            return;
        }
        if (escaped)
            buf_char(out, '\\');
        if (hidden)
            add_hidden(out, c, is_broken, style);
        else
            buf_add(out, c);
        s = str_from(s, c.n);
    }
}

/* Anything that would make key=value hard to take apart again. */
static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=' ||
            (uint8_t)s.p[i] >= 0x7f)
            return true;
    return s.n == 0;
}

/* ---- one line ------------------------------------------------------------------------------- */

struct event {
    const struct log_place *at;
    str message;
    unsigned suppressed;
    const struct log_field *fields;
    size_t field_count;
};

static void add_time(struct buf *b)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000));
}

/* The compiler was called from the build folder: what is in front of src/ is nobody's business. */
static const char *file_of(const struct log_place *at)
{
    const char *src = strstr(at->file, "src/"), *slash = strrchr(at->file, '/');
    return src ? src : slash ? slash + 1 : at->file;
}

static void add_message(struct buf *b, const struct event *ev, enum style style)
{
    add_clean(b, ev->message, MESSAGE_OUT_MAX, style);
    if (ev->suppressed)
        buf_printf(b, " (%u like this suppressed)", ev->suppressed);
}

static void add_value(struct buf *b, const struct log_field *f, bool json)
{
    bool quoted = json || needs_quotes(f->text);
    if (f->type == LOG_IS_INTEGER) {
        buf_printf(b, "%" PRId64, f->number);
    } else if (f->type == LOG_IS_BOOL) {
        buf_add(b, f->number ? S("true") : S("false"));
    } else {
        buf_add(b, quoted ? S("\"") : S(""));
        add_clean(b, f->text, LOG_PEER_MAX, json ? JSON : quoted ? QUOTED : PLAIN);
        buf_add(b, quoted ? S("\"") : S(""));
    }
}

/* Fields that have no room any more are left out. */
static void add_fields(struct buf *b, const struct event *ev, bool json)
{
    for (size_t i = 0; i < ev->field_count; i++) {
        const struct log_field *f = &ev->fields[i];
        if (b->n + strlen(f->name) + LOG_PEER_MAX + LINE_RESERVE > b->max)
            return;
        buf_printf(b, json ? ",\"%s\":" : " %s=", f->name);
        add_value(b, f, json);
    }
}

static void add_json(struct buf *b, const struct event *ev, const struct settings *s)
{
    buf_add(b, S("{\"timestamp\":\""));
    add_time(b);
    buf_printf(b, "\",\"level\":\"%s\",\"fields\":{\"message\":\"", levels[ev->at->level].label);
    add_message(b, ev, JSON);
    buf_char(b, '"');
    add_fields(b, ev, true);
    buf_char(b, '}');
    if (s->target)
        buf_printf(b, ",\"target\":\"%.*s\"", LOG_MODULE_MAX, ev->at->module);
    if (s->places)
        buf_printf(b, ",\"filename\":\"%.*s\",\"line_number\":%d", FILE_MAX, file_of(ev->at),
                   ev->at->line);
    buf_add(b, S("}\n"));
}

static void add_text(struct buf *b, const struct event *ev, const struct settings *s)
{
    add_time(b);
    buf_printf(b, " %s%5s%s ", s->colors ? levels[ev->at->level].color : "",
               levels[ev->at->level].label, s->colors ? "\033[0m" : "");
    if (s->target)
        buf_printf(b, "%.*s: ", LOG_MODULE_MAX, ev->at->module);
    if (s->places)
        buf_printf(b, "%.*s:%d: ", FILE_MAX, file_of(ev->at), ev->at->line);
    add_message(b, ev, PLAIN);
    add_fields(b, ev, false);
    buf_char(b, '\n');
}

static void add_line(struct buf *b, const struct event *ev)
{
    const struct settings *s = settings();
    if (s->json)
        add_json(b, ev, s);
    else
        add_text(b, ev, s);
}

/* ---- the newest errors ---------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    struct log_recent lines[LOG_RECENT]; /* line n at n % LOG_RECENT */
    uint64_t total;
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A longer text is cut at the end of a character. What does not fit in here lies behind the cut. */
static void remember(const struct event *ev)
{
    char bytes[4 * LOG_RECENT_TEXT_MAX];
    struct buf b = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    struct timespec now;
    add_message(&b, ev, PLAIN);
    add_fields(&b, ev, false);
    str text = utf8_cut(buf_str(&b), LOG_RECENT_TEXT_MAX);
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&recent.lock);
    struct log_recent *l = &recent.lines[recent.total++ % LOG_RECENT];
    l->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    l->level = ev->at->level;
    snprintf(l->module, sizeof l->module, "%s", ev->at->module);
    l->text_n = text.n;
    if (text.n)
        memcpy(l->text, text.p, text.n);
    pthread_mutex_unlock(&recent.lock);
}

size_t log_recent(struct log_recent *out, uint64_t *total_out)
{
    pthread_mutex_lock(&recent.lock);
    size_t n = recent.total < LOG_RECENT ? (size_t)recent.total : LOG_RECENT;
    for (size_t i = 0; i < n; i++)
        out[i] = recent.lines[(recent.total - 1 - i) % LOG_RECENT];
    *total_out = recent.total;
    pthread_mutex_unlock(&recent.lock);
    return n;
}

static void put(const struct event *ev)
{
    char bytes[LINE_MAX_BYTES]; /* with cap == max the buffer never grows */
    struct buf line = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    int saved = errno; /* callers log between a failed call and its errno */
    add_line(&line, ev);
    log_out_line(buf_str(&line));
    if (ev->at->level <= LOG_WARN)
        remember(ev);
    errno = saved;
}

static void put_formatted(const struct log_place *at, unsigned suppressed, const char *fmt,
                          va_list ap)
{
    char text[LOG_MESSAGE_MAX];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof text) {
        n = (int)utf8_cut(str_of(text, sizeof text - 1), sizeof text - 1 - 3).n;
        memcpy(text + n, "…", 3);
        n += 3;
    }
    put(&(struct event){.at = at, .message = str_of(text, (size_t)n), .suppressed = suppressed});
}

void log_write(const struct log_place *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_formatted(at, 0, fmt, ap);
    va_end(ap);
}

void log_event(const struct log_place *at, str message, const struct log_field *f, size_t n)
{
    put(&(struct event){.at = at, .message = message, .fields = f, .field_count = n});
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void notice(struct buf *b, uint64_t count)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%" PRIu64 " log lines dropped", count);
    struct log_place at = {LOG_WARN, "log", __FILE__, __LINE__};
    add_line(b, &(struct event){.at = &at, .message = str_of(text, (size_t)n)});
}

bool log_start(struct err *e)
{
    return log_out_start(notice, e);
}

void log_stop(void)
{
    log_out_stop(LOG_STOP_MS);
}

/* ---- sites ---------------------------------------------------------------------------------- */

/* The line that was written LOG_SITE_LINES lines ago must be a period old. */
bool log_site_allow(struct log_site *site, int64_t now_s, unsigned *dropped_out)
{
    unsigned next = __atomic_load_n(&site->next, __ATOMIC_RELAXED);
    int64_t *time = &site->times[next % LOG_SITE_LINES];
    int64_t then = __atomic_load_n(time, __ATOMIC_RELAXED);
    *dropped_out = 0;
    if ((then && now_s + 1 - then < LOG_SITE_PERIOD_S) ||
        !__atomic_compare_exchange_n(time, &then, now_s + 1, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
        return false;
    }
    __atomic_store_n(&site->next, next + 1, __ATOMIC_RELAXED);
    *dropped_out = __atomic_exchange_n(&site->dropped, 0, __ATOMIC_RELAXED);
    return true;
}

void log_write_limited(struct log_site *site, const struct log_place *at, const char *fmt, ...)
{
    struct timespec now;
    unsigned suppressed;
    va_list ap;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (!log_site_allow(site, now.tv_sec, &suppressed))
        return;
    va_start(ap, fmt);
    put_formatted(at, suppressed, fmt, ap);
    va_end(ap);
}
