/* wire/http1.h - reads HTTP/1.1 and 1.0 requests, writes response heads.
 *
 * Nature   pure, any thread; no allocation; slices point into the bytes of the caller
 * Limits   head 16 KiB, 100 fields, chunk line 256 bytes, trailers 8 KiB (dropped), lengths < 2^63;
 *          each byte is read at most twice however the input is cut
 * Source   RFC 9110, RFC 9112; stricter where proxies and servers are known to disagree:
 *          security.md R7, I1, I2; dependencies.md P2; http-api.md §2, §4.1
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include "base/base.h"
#include "base/limits.h"

struct buf;

struct http1_header {
    str name;  /* as sent */
    str value; /* without blanks around it; no control byte but TAB */
};

struct http1_request {
    /* request line */
    str method; /* as sent */
    str target; /* as sent */
    str path;   /* target up to '?', without scheme and host; "*" for OPTIONS * */
    str query;  /* behind the '?', raw; empty without one */
    int minor;  /* HTTP/1.minor: 0 or 1 */

    /* fields, in the order sent */
    struct http1_header headers[HTTP1_HEADERS_MAX];
    unsigned header_count;
    str host; /* empty only where HTTP/1.0 sent none, or the field was empty */

    /* body: has_length and chunked are never both true; neither: there is no body */
    bool has_length, chunked;
    uint64_t length;
    bool expect_continue; /* wants "100 Continue" before it sends the body */

    /* connection */
    bool keep_alive;         /* the peer allows another request on this connection */
    bool has_upgrade;        /* every answer but 101 must close (security.md I2) */
    bool upgrade_websocket;  /* `websocket` is among the tokens of Upgrade */
    bool has_connection;     /* a Connection field was sent */
    bool connection_upgrade; /* `upgrade` is among the tokens of Connection */
};

/* Parses the head of a request at the start of `in`.
 * scanned  0 for a new request, then carried between calls while bytes are added behind `in`
 * Gives    PARSE_OK: *used = bytes of the head, *r is filled; PARSE_MORE: call again with more;
 *          PARSE_BAD: *status = 400, 431, 501 or 505; answer it and close.
 * Only HTTP1_HEAD_MAX bytes are looked at, so a caller needs no larger buffer for a head. */
NODISCARD enum parse http1_head(str in, size_t *scanned, struct http1_request *r, size_t *used,
                                int *status);

/* Value of the first field of that name (ASCII case is ignored); .p is NULL if there is none. */
str http1_header_get(const struct http1_request *r, str name);
unsigned http1_header_count(const struct http1_request *r, str name);

/* Takes the next element of a comma list off *rest, without blanks; empty ones are skipped.
 * False at the end. */
bool http1_list_next(str *rest, str *item);

/* Percent-decodes into `out` (room for in.n bytes; may be in.p itself). A '%' that two hex digits
 * do not follow stays as it is. Gives the number of bytes written; they may contain NUL. */
size_t http1_percent_decode(str in, bool plus_is_space, char *out);

/* Token of RFC 9110: one or more of the characters a method or a field name may have. */
bool http1_is_token(str s);

/* Decoder of a chunked body; starts as {0}. Plain value, nothing to free. */
struct http1_chunks {
    uint64_t left;     /* bytes of the open chunk that are still to come */
    unsigned line;     /* bytes of the open chunk line */
    unsigned trailers; /* bytes behind the last chunk */
    uint8_t state;
};

/* Reads from `in`: *used bytes are done with, *data is body text among them (may be empty).
 * Gives    PARSE_MORE: if *used < in.n call again with the rest, else with what arrives next;
 *          PARSE_OK: the body ends at *used (*data is empty); PARSE_BAD: answer 400 and close. */
NODISCARD enum parse http1_chunks_read(struct http1_chunks *c, str in, size_t *used, str *data);

/* What a response head says. Unset members are left out. */
struct http1_answer {
    int status;
    str content_type;
    uint64_t length;      /* of the body, written for all but 1xx, 204 and 304 */
    bool close;           /* Connection: close */
    bool name_keep_alive; /* Connection: keep-alive, which only an HTTP/1.0 peer needs */
    str more;             /* complete fields made with http1_field */
    bool is_open;         /* the caller adds more fields and the empty line */
};

/* Writes status line, fields and the empty line; the body is up to the caller. False: `out` full.
 */
bool http1_response(struct buf *out, const struct http1_answer *a);

/* Adds "name: value\r\n". False and nothing written if the value has a control byte other than
 * TAB, so that no text of a peer can end a field; false too if `out` is full. */
bool http1_field(struct buf *out, str name, str value);

/* "Not Found" for 404; "Unknown" for a status we never send. */
const char *http1_reason(int status);

#endif
