/* main.c - arguments, configuration, server, exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "server/server.h"

extern char **environ;

/* A level by itself, or the first level of a filter "level,target=level". */
static enum log_level level_of(const struct config *c)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {{"error", LOG_ERROR}, {"warn", LOG_WARN},   {"info", LOG_INFO},
                  {"debug", LOG_DEBUG}, {"trace", LOG_TRACE}, {"off", LOG_ERROR}};
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        str name = str_z(levels[i].name);
        str f = c->log.filter;
        if (str_starts(f, name) && (f.n == name.n || f.p[name.n] == ','))
            return levels[i].level;
    }
    return c->debug ? LOG_DEBUG : LOG_INFO;
}

static int serve(const struct config *c)
{
    struct err e;
    struct server *s = server_create(c, &e);
    if (!s) {
        fprintf(stderr, "sockudo: %s\n", e.text);
        return 1;
    }
    int code = server_run(s);
    server_destroy(&s);
    return code;
}

static int run(const struct config_args *args)
{
    static struct config c; /* both: too large for a stack frame */
    static struct config_report report;
    struct err e;
    config_report_init(&report);
    bool good = config_load(args, environ, &c, &report, &e);
    config_report_print(&report, STDERR_FILENO);
    config_report_finish(&report);
    if (!good) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    log_setup(level_of(&c), c.log.json, c.log.colors);
    int code = args->check_only ? 0 : serve(&c);
    config_finish(&c);
    return code;
}

int main(int argc, char **argv)
{
    struct config_args args;
    struct err e;
    if (!config_args_parse(argc, argv, &args, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    if (args.want_help || args.want_version) {
        fputs(args.want_help ? config_args_help() : "sockudo " SOCKUDO_VERSION "\n", stdout);
        return 0;
    }
    return run(&args);
}
