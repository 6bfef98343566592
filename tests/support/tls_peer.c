#include "support/tls_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tls_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    bool is_refused;
    char server[64], alpn[32];
};
static SSL_SESSION *kept, *newest;

static void extension_add(X509 *x, int nid, const char *text)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, text);
    CHECK(ext && X509_add_ext(x, ext, -1) == 1);
    X509_EXTENSION_free(ext);
}

static X509 *certificate_make(EVP_PKEY *key, const char *common_name, const char *names)
{
    static long serial;
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    if (names[0])
        extension_add(x, NID_subject_alt_name, names);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

void tls_peer_files(const char *cert_path, const char *key_path, const char *common_name,
                    const char *names, const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate_make(key, common_name, names);
    FILE *f = fopen(cert_path, "w");
    CHECK(f && PEM_write_X509(f, x) == 1);
    fclose(f);
    f = fopen(key_path, "w");
    CHECK(f && PEM_write_PrivateKey(f, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                    (const unsigned char *)passphrase,
                                    passphrase ? (int)strlen(passphrase) : 0, NULL, NULL) == 1);
    fclose(f);
    CHECK(chmod(key_path, 0600) == 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int session_new(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
}

struct tls_peer *tls_peer_create(const struct tls_peer_options *o)
{
    struct tls_peer *p = mem_zero(sizeof *p);
    p->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(p->ctx, TLS1_VERSION);
    if (o->max_version) {
        SSL_CTX_set_max_proto_version(p->ctx, o->max_version);
        SSL_CTX_set_security_level(p->ctx, 0);
    }
    SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(p->ctx, session_new);
    p->ssl = SSL_new(p->ctx);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(p->ssl), -1);
    if (o->name)
        SSL_set_tlsext_host_name(p->ssl, o->name);
    if (o->alpn)
        SSL_set_alpn_protos(p->ssl, (const unsigned char *)o->alpn, (unsigned)strlen(o->alpn));
    if (kept)
        SSL_set_session(p->ssl, kept);
    SSL_SESSION_free(kept);
    kept = NULL;
    SSL_set_connect_state(p->ssl);
    return p;
}

void tls_peer_destroy(struct tls_peer **pp)
{
    struct tls_peer *p = *pp;
    if (!p)
        return;
    SSL_set_shutdown(p->ssl, SSL_SENT_SHUTDOWN); /* or its session could not be resumed */
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    SSL_SESSION_free(newest);
    newest = NULL;
    free(p);
    *pp = NULL;
}

void tls_peer_keep_session(struct tls_peer *p)
{
    (void)p;
    SSL_SESSION_free(kept);
    kept = newest;
    newest = NULL;
}

static int outcome(struct tls_peer *p, int result)
{
    int e = SSL_get_error(p->ssl, result);
    if (e == SSL_ERROR_SSL || e == SSL_ERROR_SYSCALL)
        p->is_refused = true;
    return e;
}

bool tls_peer_handshake(struct tls_peer *p)
{
    ERR_clear_error();
    int r = SSL_do_handshake(p->ssl);
    return r == 1 || (outcome(p, r), false);
}

size_t tls_peer_take(struct tls_peer *p, char *out, size_t n)
{
    int got = BIO_read(SSL_get_wbio(p->ssl), out, (int)n);
    return got > 0 ? (size_t)got : 0;
}

void tls_peer_give(struct tls_peer *p, const char *in, size_t n)
{
    CHECK(n == 0 || BIO_write(SSL_get_rbio(p->ssl), in, (int)n) == (int)n);
}

void tls_peer_write(struct tls_peer *p, const char *in, size_t n)
{
    CHECK(SSL_write(p->ssl, in, (int)n) == (int)n);
}

int tls_peer_read(struct tls_peer *p, char *out, size_t n)
{
    ERR_clear_error();
    int r = SSL_read(p->ssl, out, (int)n);
    if (r > 0)
        return r;
    switch (outcome(p, r)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -1;
    default:
        return -2;
    }
}

void tls_peer_end(struct tls_peer *p)
{
    SSL_shutdown(p->ssl);
}

void tls_peer_key_update(struct tls_peer *p)
{
    CHECK(SSL_key_update(p->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(p->ssl) == 1);
}

bool tls_peer_renegotiate(struct tls_peer *p)
{
    CHECK(SSL_renegotiate(p->ssl) == 1);
    ERR_clear_error();
    outcome(p, SSL_do_handshake(p->ssl));
    return p->is_refused;
}

bool tls_peer_is_refused(const struct tls_peer *p)
{
    return p->is_refused;
}

const char *tls_peer_server(const struct tls_peer *p)
{
    struct tls_peer *own = (struct tls_peer *)(uintptr_t)p;
    X509 *x = SSL_get0_peer_certificate(p->ssl);
    own->server[0] = 0;
    if (x)
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, own->server,
                                  sizeof own->server);
    return own->server;
}

const char *tls_peer_version(const struct tls_peer *p)
{
    return SSL_get_version(p->ssl);
}

const char *tls_peer_cipher(const struct tls_peer *p)
{
    return SSL_get_cipher_name(p->ssl);
}

const char *tls_peer_alpn(const struct tls_peer *p)
{
    struct tls_peer *own = (struct tls_peer *)(uintptr_t)p;
    const unsigned char *text;
    unsigned n;
    SSL_get0_alpn_selected(p->ssl, &text, &n);
    snprintf(own->alpn, sizeof own->alpn, "%.*s", (int)n, n ? (const char *)text : "");
    return own->alpn;
}

bool tls_peer_was_resumed(const struct tls_peer *p)
{
    return SSL_session_reused(p->ssl) == 1;
}
