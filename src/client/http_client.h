/* client/http_client.h - requests to other servers, many at a time, on a loop.
 *
 * HTTP/1.1 only; TLS 1.2 or newer with the system's certificates, always verified (SSL_CERT_FILE
 * and SSL_CERT_DIR name others); http_proxy, https_proxy, all_proxy and no_proxy of the
 * environment, in both cases; no redirect is followed, no cookie or password file is read.
 *
 * Nature   the loop's thread; the callback comes exactly once, from a turn of the loop
 * Limits   HTTP_BODY_MAX bytes of a response, then the rest is cut off; HTTP_HEAD_MAX bytes of
 *          head. How many at a time is the caller's business
 * Source   webhooks.md §2.2; security.md I8; dependencies.md P13
 */
#ifndef CLIENT_HTTP_CLIENT_H
#define CLIENT_HTTP_CLIENT_H

#include <sys/socket.h>

#include "base/arena.h"
#include "io/loop.h"

enum { HTTP_BODY_MAX = 64 << 10, HTTP_HEAD_MAX = 64 << 10, HTTP_IDLE_S = 60 };

/* Which addresses it may connect to. Judged when a socket is opened, so that no name can change
 * its address in between; connections are kept per client, so one client has one reach. */
enum http_reach {
    HTTP_ANYWHERE, /* metadata services too: for our own credentials */
    HTTP_HOSTS,    /* no link-local, unspecified or multicast address */
    HTTP_PUBLIC,   /* nor loopback and private ones */
};

struct http_client;
struct http_call;

struct http_header {
    str name, value;
};
struct http_request {
    str method;
    str url; /* without user information */
    const struct http_header *headers;
    size_t header_count;
    str body;
    int64_t timeout_ms; /* from now to the end of the response */
};
struct http_answer { /* borrowed until the callback returns */
    struct err err;  /* ERR_NONE: a response; ERR_UNAVAILABLE: none; ERR_INVALID: never one */
    int status;
    str body;
    bool is_complete; /* the body was not cut */
    str redirect;     /* where a 3xx points to, absolute; else empty */
    int64_t retry_after_s;
    double duration_ms;
    void *easy; /* for http_answer_header */
};
typedef void http_fn(void *ctx, const struct http_answer *a);

NODISCARD struct http_client *http_client_create(struct loop *loop, enum http_reach reach,
                                                 struct err *e);
/* Takes *c and sets it NULL; NULL is fine. Cancels what runs: no callback comes any more. Not to be
 * called from a callback. */
void http_client_destroy(struct http_client **c);

/* From now on, also for connections that are kept: those of before are not used again. */
void http_client_set_reach(struct http_client *c, enum http_reach reach);

/* Copies the request. The call is valid until its callback runs.
 * Errors   ERR_INVALID URL, method or header that cannot be sent */
NODISCARD struct http_call *http_send(struct http_client *c, const struct http_request *request,
                                      http_fn *fn, void *ctx, struct err *e);
/* No callback comes; takes *call and sets it NULL. */
void http_cancel(struct http_call **call);
/* The last header of that name, or empty. */
str http_answer_header(const struct http_answer *a, const char *name);

struct http_url {
    bool is_https;
    str host; /* IPv6 with brackets */
    uint16_t port;
    str plain;          /* normalised, without user information and fragment */
    str user, password; /* decoded; empty: none */
};
/* Errors   ERR_INVALID no http or https URL */
NODISCARD bool http_url_parse(arena *a, str url, struct http_url *out, struct err *e);
bool http_url_same_origin(const struct http_url *a, const struct http_url *b);

/* Pure: IPv4 inside of IPv6 (mapped, compatible, NAT64, 6to4) is judged as IPv4. */
bool http_address_allowed(const struct sockaddr *sa, enum http_reach reach);
/* Pure: whether a no_proxy list names the host. */
bool http_no_proxy(str list, str host);

#endif
