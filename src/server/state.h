/* server/state.h - the whole node, as the files of this folder share it.
 *
 * Nature   main thread
 */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include "config/config.h"
#include "io/sock.h"
#include "metrics/metrics.h"
#include "server/server.h"
#include "server/service.h"
#include "server/worker.h"

struct server {
    struct node node;
    const struct config_args *args; /* borrowed; a reload reads the same file again */
    struct config *config;          /* borrowed; a reload replaces what it holds */
    struct config_start start;      /* what needs a restart has the values of then */
    struct worker_thread *threads;
    struct loop **loops;
    uint16_t worker_count; /* initialised ones */
    struct service service;
    bool has_service;
    arena memory; /* for as long as the server */
    struct metrics_format metrics;
    str queue_driver;    /* of the start */
    int64_t watchdog_ms; /* 0: nobody watches */
    bool has_tls;        /* the main listener's */
    int64_t tls_look_ms; /* when to look at the files again */
    uint64_t tls_seen;   /* the files, as they were loaded last */
    struct sock_unix unix_socket;
    char listens[160]; /* where, for the log */
};

/* reload.c: reads the configuration again and puts into use what can change; what cannot, is named
 * in the log. If it is refused, everything stays as it was. */
void server_reload(struct server *s);
/* tls.c: loads the certificates for the workers, who do not run yet. */
NODISCARD bool server_tls_open(struct server *s, struct err *e);
/* Loads those of a newer configuration; *out NULL: there are none to use. */
NODISCARD bool server_tls_prepare(struct server *s, const struct config *fresh,
                                  struct tls_set **out, struct err *e);
/* New connections use them from now on, the others keep theirs. Takes *set. */
void server_tls_use(struct server *s, struct tls_set **set);
/* Every few seconds: loads them again if a file has changed; what fails is logged and changes
 * nothing. */
void server_tls_watch(struct server *s);
/* drain.c: closes WebSockets with 4200, spread over the grace period; ends when nobody is left or
 * it is over. A second signal ends the process. */
void server_drain(struct server *s);
/* Tells the service manager that the node lives, if every loop has turned lately. */
void server_watchdog_feed(struct server *s);
/* report.c: values of others for the metrics output, a metrics_format.read. */
void server_report(void *ctx, struct metrics_report *r);
/* signals.c: the next of TERM, INT, HUP, or -1 after wait_ms (negative: for ever). */
int server_signal(int64_t wait_ms);

#endif
