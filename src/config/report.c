/* config/report.c - what a load has to say, each sentence once. */
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
    config_report_init(r);
}

void config_report_print(const struct config_report *r, int fd)
{
    static const char *const levels[] = {[SAY_INFO] = "info", [SAY_WARN] = "warning"};
    for (size_t i = 0; i < r->count; i++)
        dprintf(fd, "config: %s: %s\n", levels[r->messages[i].level], r->messages[i].text);
}

bool config_report_add(struct config_report *r, enum say level, const char *text)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->messages[i].text, text) == 0)
            return false;
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->messages = mem_resize(r->messages, r->cap * sizeof *r->messages);
    }
    r->messages[r->count++] = (struct config_message){level, mem_dup(str_z(text))};
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
    if (v == NULL)
        return err_set(l->e, ERR_CONFIG, "config: %s", text);
    return err_set(l->e, ERR_CONFIG, "config: %.*s:%u:%u: %s", FMT(l->c->file), v->line, v->col,
                   text);
}
