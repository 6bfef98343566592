/* support/http_stub.h - an HTTP server on the loop of a test: records requests, answers as told.
 *
 * A request is complete with its Content-Length. `answer` is asked for each; what it gives is sent,
 * unless the status is 0: then the request hangs until the client goes away.
 */
#ifndef SUPPORT_HTTP_STUB_H
#define SUPPORT_HTTP_STUB_H

#include "io/loop.h"

enum { STUB_REQUESTS = 4096, STUB_PEERS = 512 };

struct stub_request {
    int64_t at_ms; /* of the loop */
    char *head;    /* NUL-terminated, with the request line */
    char *body;
    size_t body_n;
};
struct stub_answer {
    int status;          /* 0: hang */
    const char *headers; /* lines that end with \r\n; NULL: none */
    const char *body;
    size_t repeat; /* of the body, without Content-Length, then hang */
};
struct http_stub {
    struct loop *loop;
    int listener;
    uint16_t port;
    uint64_t key;
    struct stub_answer (*answer)(void *ctx, const struct stub_request *r);
    void *ctx;
    struct stub_request requests[STUB_REQUESTS];
    size_t count;
    struct stub_peer *peers;
    size_t open, open_max;
};

void http_stub_start(struct http_stub *s, struct loop *loop,
                     struct stub_answer (*answer)(void *ctx, const struct stub_request *r),
                     void *ctx);
void http_stub_stop(struct http_stub *s);
/* The value of a header of the request, or an empty text; *count_out (may be NULL) how often. */
str http_stub_header(const struct stub_request *r, const char *name, int *count_out);

#endif
