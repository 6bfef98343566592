#include "api/headless.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 1024 };

struct headless_address { /* as long as it has entries */
    struct headless_address *chain;
    struct client_address address;
    struct headless_entry *newest, *oldest;
    uint32_t count;
};

struct headless {
    uint32_t max;
    pthread_mutex_t lock; /* leaf; everything below */
    struct headless_entry *newest, *oldest;
    uint32_t count;
    struct headless_address *buckets[BUCKETS];
};

struct headless *headless_create(uint32_t max)
{
    struct headless *h = mem_zero(sizeof *h);
    h->max = max ? max : 1;
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void headless_destroy(struct headless **h)
{
    struct headless *gone = *h;
    *h = NULL;
    if (!gone)
        return;
    for (int i = 0; i < BUCKETS; i++)
        for (struct headless_address *a; (a = gone->buckets[i]) != NULL; free(a))
            gone->buckets[i] = a->chain;
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

static struct headless_address **address_at(struct headless *h, const struct client_address *a)
{
    uint8_t bytes[CLIENT_KEY_BYTES];
    uint64_t hash = hash_bytes(client_key(a, bytes));
    struct headless_address **at = &h->buckets[hash % BUCKETS];
    while (*at && memcmp(&(*at)->address, a, sizeof *a) != 0)
        at = &(*at)->chain;
    return at;
}

static void join_address(struct headless *h, struct headless_entry *x,
                         const struct client_address *address)
{
    struct headless_address **at = address_at(h, address);
    if (!*at) {
        *at = mem_zero(sizeof **at);
        (*at)->address = *address;
    }
    struct headless_address *a = *at;
    x->address = a;
    x->older_here = a->newest;
    *(a->newest ? &a->newest->newer_here : &a->oldest) = x;
    a->newest = x;
    a->count++;
}

static void leave_address(struct headless *h, struct headless_entry *x)
{
    struct headless_address *a = x->address;
    *(x->newer_here ? &x->newer_here->older_here : &a->newest) = x->older_here;
    *(x->older_here ? &x->older_here->newer_here : &a->oldest) = x->newer_here;
    if (--a->count > 0)
        return;
    struct headless_address **at = address_at(h, &a->address);
    *at = a->chain;
    free(a);
}

static void take_off(struct headless *h, struct headless_entry *x)
{
    *(x->newer ? &x->newer->older : &h->newest) = x->older;
    *(x->older ? &x->older->newer : &h->oldest) = x->newer;
    h->count--;
    if (x->address)
        leave_address(h, x);
    *x = (struct headless_entry){.connection = x->connection};
}

bool headless_add(struct headless *h, struct headless_entry *x, struct handle connection,
                  const struct client_address *address, struct handle *loser_out)
{
    struct headless_entry *loser = NULL;
    pthread_mutex_lock(&h->lock);
    *x = (struct headless_entry){.connection = connection, .is_listed = true, .older = h->newest};
    *(h->newest ? &h->newest->newer : &h->oldest) = x;
    h->newest = x;
    h->count++;
    if (address)
        join_address(h, x, address);
    if (x->address && x->address->count > HEADLESS_PER_ADDRESS)
        loser = x->address->oldest;
    else if (h->count > h->max)
        loser = h->oldest;
    if (loser) {
        *loser_out = loser->connection;
        take_off(h, loser);
    }
    pthread_mutex_unlock(&h->lock);
    return loser != NULL;
}

bool headless_remove(struct headless *h, struct headless_entry *x)
{
    pthread_mutex_lock(&h->lock);
    bool was_listed = x->is_listed;
    if (was_listed)
        take_off(h, x);
    pthread_mutex_unlock(&h->lock);
    return was_listed;
}
