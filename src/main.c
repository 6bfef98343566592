/* main.c - arguments, configuration, server, exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "server/logging.h"
#include "server/protect.h"
#include "server/server.h"

extern char **environ;

static int serve(const struct config_args *args, struct config *c)
{
    struct err e;
    struct server *s = server_create(args, c, &e);
    if (!s) {
        fprintf(stderr, "sockudo: %s\n", e.text);
        return 1;
    }
    int code = server_run(s);
    server_destroy(&s); /* it may have something to say, too */
    if (code == 0)
        log_info("server", "stopped");
    return code;
}

static int serve_logged(const struct config_args *args, struct config *c)
{
    struct err e;
    logging_use(c);
    if (!log_start(&e)) {
        fprintf(stderr, "sockudo: %s\n", e.text);
        return 1;
    }
    logging_begin(c);
    protect_process(c->debug);
    int code = serve(args, c);
    log_stop();
    return code;
}

/* All that a start would look at in files; ports are not tried. */
static int check(const struct config_args *args, const struct config *c)
{
    struct err e;
    if (!server_tls_check(c, &e)) {
        fprintf(stderr, "config: %s\n", e.text);
        return 1;
    }
    if (args->print)
        return config_print(c, STDOUT_FILENO) ? 0 : 1;
    fputs("config: fine\n", stderr);
    return 0;
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
    int code = args->check_only ? check(args, &c) : serve_logged(args, &c);
    config_finish(&c);
    return code;
}

int main(int argc, char **argv)
{
    struct config_args args;
    struct err e;
    unsetenv("SSLKEYLOGFILE"); /* libraries would write down the keys of sessions */
    if (!config_args_parse(argc, argv, &args, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 2;
    }
    if (args.want_config_help)
        return config_help(STDOUT_FILENO) ? 0 : 1;
    if (args.want_help || args.want_version) {
        fputs(args.want_help ? config_args_help() : "sockudo " SOCKUDO_VERSION "\n", stdout);
        return 0;
    }
    return run(&args);
}
