/* config/report.c - what a load has to say, each sentence once. */
#include "base/hash.h"
#include "config/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void config_report_init(struct config_report *r)
{
    *r = (struct config_report){.count = 0};
}

void config_report_finish(struct config_report *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->messages[i].text);
    free(r->messages);
    free(r->places);
    config_report_init(r);
}

void config_report_print(const struct config_report *r, int fd)
{
    static const char *const levels[] = {[SAY_INFO] = "info", [SAY_WARN] = "warning"};
    for (size_t i = 0; i < r->count; i++)
        dprintf(fd, "config: %s: %s\n", levels[r->messages[i].level], r->messages[i].text);
}

/* Where the text is, or would be. */
static uint32_t *place_of(const struct config_report *r, const char *text)
{
    size_t at = hash_bytes(str_z(text)) & (r->place_count - 1);
    while (r->places[at] != 0 && strcmp(r->messages[r->places[at] - 1].text, text) != 0)
        at = (at + 1) & (r->place_count - 1);
    return &r->places[at];
}

/* Twice as many of both: thousands of apps may have one each. */
static void grow(struct config_report *r)
{
    r->cap = r->cap ? r->cap * 2 : 16;
    r->messages = mem_resize(r->messages, r->cap * sizeof *r->messages);
    free(r->places);
    r->place_count = r->cap * 2;
    r->places = mem_zero(r->place_count * sizeof *r->places);
    for (size_t i = 0; i < r->count; i++)
        *place_of(r, r->messages[i].text) = (uint32_t)i + 1;
}

bool config_report_add(struct config_report *r, enum say level, const char *text)
{
    if (r->count == r->cap)
        grow(r);
    uint32_t *place = place_of(r, text);
    if (*place != 0)
        return false;
    r->messages[r->count++] = (struct config_message){level, mem_dup(str_z(text))};
    *place = (uint32_t)r->count;
    r->warnings += level == SAY_WARN;
    return true;
}

/* One line, whatever the names in it hold. */
static void sentence(char *out, size_t size, const char *fmt, va_list ap) PRINTF(3, 0);
static void sentence(char *out, size_t size, const char *fmt, va_list ap)
{
    vsnprintf(out, size, fmt, ap);
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
}

void config_say(struct loading *l, enum say level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    sentence(text, sizeof text, fmt, ap);
    va_end(ap);
    config_report_add(l->r, level, text);
}

void config_say_strict(struct loading *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    sentence(text, sizeof text, fmt, ap);
    va_end(ap);
    l->r->strict += config_report_add(l->r, SAY_WARN, text);
}

static bool fail_in_file(struct loading *l, uint32_t line, uint32_t col, const char *text)
{
    return err_set(l->e, ERR_CONFIG, "config: %.*s:%u:%u: %s", FMT(l->c->file), line, col, text);
}

bool config_fail(struct loading *l, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    sentence(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(l->e, ERR_CONFIG, "config: %s", text);
}

bool config_fail_at(struct loading *l, const struct value *v, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    sentence(text, sizeof text, fmt, ap);
    va_end(ap);
    return v == NULL ? err_set(l->e, ERR_CONFIG, "config: %s", text)
                     : fail_in_file(l, v->line, v->col, text);
}

bool config_fail_option(struct loading *l, enum option id, const char *fmt, ...)
{
    char text[256];
    const struct option_value *v = option(l, id);
    va_list ap;
    va_start(ap, fmt);
    sentence(text, sizeof text, fmt, ap);
    va_end(ap);
    if (v->source == FROM_FILE)
        return fail_in_file(l, v->line, v->col, text);
    if (v->source == FROM_ENV)
        return err_set(l->e, ERR_CONFIG, "config: variable %.*s: %s", FMT(v->variable), text);
    return err_set(l->e, ERR_CONFIG, "config: %s", text);
}
