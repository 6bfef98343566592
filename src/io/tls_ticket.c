#include "io/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <time.h>

enum { NAME_BYTES = 16, KEY_BYTES = 32 };

struct key {
    unsigned char name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
    time_t made_s; /* monotonic; meaningless if nothing was made */
    bool is_made;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct key current, previous;

static time_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Under the lock. */
static void rotate(void)
{
    previous = current;
    CHECK(RAND_bytes(current.name, sizeof current.name) == 1 &&
          RAND_priv_bytes(current.cipher, sizeof current.cipher) == 1 &&
          RAND_priv_bytes(current.mac, sizeof current.mac) == 1);
    current.made_s = now_s();
    current.is_made = true;
}

void tls_tickets_rotate(void)
{
    pthread_mutex_lock(&lock);
    rotate();
    pthread_mutex_unlock(&lock);
}

static bool is_named(const struct key *k, const unsigned char *name)
{
    return k->is_made && memcmp(k->name, name, NAME_BYTES) == 0;
}

/* The key for a new ticket, or the one that a ticket names; false: it is known no more. */
static bool key_find(const unsigned char *name, bool seals, struct key *out, bool *is_old)
{
    pthread_mutex_lock(&lock);
    time_t age = current.is_made ? now_s() - current.made_s : 0;
    if (age >= 2 * TLS_TICKET_KEY_S)
        rotate(); /* nobody came for so long: both are too old */
    if (!current.is_made || age >= TLS_TICKET_KEY_S)
        rotate();
    bool is_current = seals || is_named(&current, name);
    *is_old = !is_current && is_named(&previous, name);
    *out = is_current ? current : previous;
    pthread_mutex_unlock(&lock);
    return is_current || *is_old;
}

/* Source: SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 0 full handshake, 1 fine, 2 fine and renewed. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int seals)
{
    struct key k;
    bool is_old;
    (void)ssl;
    if (!key_find(name, seals, &k, &is_old))
        return 0;
    if (seals)
        memcpy(name, k.name, NAME_BYTES);
    OSSL_PARAM of_mac[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k.mac, sizeof k.mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end()};
    bool good = (!seals || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1) &&
                EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv, seals) == 1 &&
                EVP_MAC_CTX_set_params(mac, of_mac) == 1;
    OPENSSL_cleanse(&k, sizeof k);
    return !good ? -1 : is_old ? 2 : 1;
}

void tls_tickets_setup(SSL_CTX *ctx)
{
    static const unsigned char realm[] = "sockudo";
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key) == 1);
    SSL_CTX_set_session_id_context(ctx, realm, sizeof realm - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1); /* a client has one connection, not six */
}
