/* api/redirect.h - the answer of the listener that only sends clients to the TLS port.
 *
 * Nature   the worker's thread; answers at once and closes, no body is read
 * Source   configuration.md §3 ssl.redirect_http
 */
#ifndef API_REDIRECT_H
#define API_REDIRECT_H

#include "api/request.h"

/* 308 to https://HOST:PORT/PATH?QUERY; 400 if the host is none that may stand in a URL. */
void endpoint_redirect(struct request *q);

#endif
