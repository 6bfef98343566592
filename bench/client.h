/* bench/client.h - a Pusher client of the load generator, over a socket of its own.
 *
 * Nature   opening and subscribing block; afterwards many clients are read through one epoll set
 * Limits   frames up to 256 KiB; no ping is answered, so a run must end within the server's
 *          activity timeout
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "base/base.h"

/* The server under test; any that speaks the Pusher protocol. */
struct target {
    char host[64];
    int port, pid;
    const char *app_id, *key, *secret;
};
extern struct target target;

struct client {
    int fd;
    char socket_id[32];
    uint8_t *rest; /* a frame of which only the first rest_n bytes have come; NULL: none */
    size_t rest_n;
    uint64_t next;    /* number of the message that must come next */
    bool sampled;     /* its messages are timed */
    bool small_input; /* set before client_dial: a receive buffer that fills soon */
};

/* A connected socket. Callers number their sockets: every 20,000 have an address 127.0.0.x. */
int dial(unsigned number, bool small_input);
void write_all(int fd, const char *p, size_t n);

/* The three steps of opening, so that several can be under way; client_open does all. */
void client_dial(struct client *c, unsigned number);
void client_upgrade(struct client *c);
void client_established(struct client *c);
void client_open(struct client *c, unsigned number);
/* Subscribes, with a signature if the channel is private, and waits for the answer. */
void client_subscribe(struct client *c, const char *channel);
/* Ends the connection with a reset, so that no port is left in TIME_WAIT. */
void client_cut(struct client *c);

/* Writes one masked text frame; gives its length, at most n + 14. */
size_t frame_write(char *out, const char *json, size_t n);

int clients_epoll(struct client *clients, unsigned n);
/* Says whether this payload is one of those that are counted. */
typedef bool payload_fn(struct client *c, const uint8_t *payload, size_t n);
/* Waits up to wait_ms for input and takes what has come; gives the number of counted payloads. */
uint64_t clients_take(int ep, int wait_ms, payload_fn *fn);
/* Takes until `want` payloads have been counted; 5 s of silence end the program. */
void clients_await(int ep, uint64_t want, payload_fn *fn);

#endif
