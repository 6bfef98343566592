/* server/reload.c - SIGHUP: what can change at run time is put into use, or nothing is. */
#include <unistd.h>

#include "base/log.h"
#include "server/limits.h"
#include "server/logging.h"
#include "server/notify.h"
#include "server/settings.h"
#include "server/state.h"

extern char **environ;

static void use_settings(struct server *s)
{
    settings_unref(&s->node.settings);
    s->node.settings = settings_of(s->config);
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        worker_use_settings(&s->threads[i], s->node.settings);
    worker_use_settings(&s->service.thread, s->node.settings);
    service_use_config(&s->service, s->config);
    registry_set_lease(s->node.registry, (int64_t)s->config->presence.ungraceful_timeout_s * 1000);
}

static bool use_apps(struct server *s, const struct config *fresh, struct err *e)
{
    struct app_manager_options opt = {
        .driver = s->config->app_driver, .apps = fresh->apps, .app_count = fresh->app_count};
    if (!app_manager_reload(s->node.apps, &opt, e))
        return false;
    struct app_list *all = app_list_create(fresh->apps, fresh->app_count);
    for (uint16_t i = 0; i < s->node.worker_count; i++)
        worker_use_apps(&s->threads[i], all);
    app_list_unref(&all);
    for (size_t i = 0; i < fresh->app_count; i++)
        metrics_app_known(fresh->apps[i]->id);
    return true;
}

static void report_print(const struct config_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->messages[i].level == SAY_WARN)
            log_warn("config", "%s", r->messages[i].text);
        else
            log_info("config", "%s", r->messages[i].text);
    }
}

/* All that can be refused comes before the first change. Takes *fresh, also on false. */
static bool take(struct server *s, struct config *fresh, struct err *e)
{
    struct tls_set *certificates;
    if (!server_tls_prepare(s, fresh, &certificates, e) || !use_apps(s, fresh, e)) {
        tls_set_unref(&certificates);
        config_finish(fresh);
        return false;
    }
    limits_change(&s->node, s->config, fresh);
    config_finish(s->config);
    *s->config = *fresh;
    logging_use(s->config);
    use_settings(s);
    server_tls_use(s, &certificates);
    s->tls_look_ms = 0; /* it was set by the interval of before */
    return true;
}

void server_reload(struct server *s)
{
    static struct config fresh; /* both: too large for a stack frame, and main runs this alone */
    static struct config_report report;
    struct err e;
    notify_reloading();
    bool good = config_load(s->args, environ, &fresh, &report, &e);
    if (good)
        config_needs_restart(&s->start, &fresh, &report);
    report_print(&report);
    config_report_finish(&report);
    good = good && take(s, &fresh, &e);
    if (good)
        log_info("server", "configuration reloaded");
    else
        log_error("server", "reload refused, nothing has changed: %s", e.text);
    notify_ready(good ? "Serving" : "Serving; the last reload was refused");
}
