/* api/headless.h - connections that have not sent a complete head yet, at most so many per address
 * and in all: above that the oldest goes.
 *
 * Nature   any thread; one leaf lock, taken at accept, at the first head and at the end
 * Limits   HEADLESS_PER_ADDRESS; in all what headless_create was told
 * Source   security.md R4 (SEC-4)
 */
#ifndef API_HEADLESS_H
#define API_HEADLESS_H

#include "base/limits.h"
#include "wire/forwarded.h"

struct headless; /* opaque; owned by struct server */
struct headless_address;

/* Part of a connection. {0}: not listed. */
struct headless_entry {
    struct handle connection;
    struct headless_address *address;
    struct headless_entry *newer, *older;           /* of all */
    struct headless_entry *newer_here, *older_here; /* of the address */
    bool is_listed;
};

/* max: in all, at least 1. */
struct headless *headless_create(uint32_t max);
/* Takes *h and sets it NULL; NULL is fine. Nobody is listed any more. */
void headless_destroy(struct headless **h);

/* Lists a connection; address NULL: it counts only among all.
 * True: another one has been taken off the lists for it, *loser_out. */
bool headless_add(struct headless *h, struct headless_entry *x, struct handle connection,
                  const struct client_address *address, struct handle *loser_out);
/* Its head is complete, or it is gone. False: it had been taken off before. */
bool headless_remove(struct headless *h, struct headless_entry *x);

#endif
