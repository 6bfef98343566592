#include "io/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/tls_ticket.h"

enum { NAME_BYTES = 256 };

struct tls_name {
    char *text; /* lower case, without the last dot; a wildcard begins with "*." */
    size_t certificate;
};
struct tls_set {
    _Atomic uint32_t refs;
    SSL_CTX **contexts; /* one per certificate */
    size_t count;
    struct tls_name *names; /* sorted; of equal ones the first certificate's is in front */
    size_t name_count;
};
struct tls_session {
    SSL *ssl;
    struct tls_set *set;
    uint32_t held;           /* of a write that waits for the socket */
    uint16_t post_handshake; /* messages of the peer since the handshake, in one read */
    bool is_open;            /* the handshake is done */
    bool is_broken;          /* nothing may be sent any more */
    bool is_ended;           /* the peer's end was seen */
    bool write_waits;        /* for input: the peer has begun a message that must be read first */
};

/* ---- names ---- */

static size_t name_fold(str name, char out[NAME_BYTES])
{
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n >= NAME_BYTES || memchr(name.p, 0, name.n))
        return 0;
    for (size_t i = 0; i < name.n; i++)
        out[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
    out[name.n] = 0;
    return name.n;
}

static void name_add(struct tls_set *t, str name, size_t certificate)
{
    char folded[NAME_BYTES];
    size_t n = name_fold(name, folded);
    if (n == 0)
        return;
    t->names = mem_resize(t->names, (t->name_count + 1) * sizeof *t->names);
    t->names[t->name_count++] = (struct tls_name){mem_dup(str_of(folded, n)), certificate};
}

static str text_of(const ASN1_STRING *s)
{
    return str_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* The subject's common name counts only if there is no DNS name beside it (RFC 6125). */
static void names_of(struct tls_set *t, X509 *x, size_t certificate)
{
    size_t before = t->name_count;
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type == GEN_DNS)
            name_add(t, text_of(g->d.dNSName), certificate);
    }
    GENERAL_NAMES_free(all);
    if (t->name_count > before)
        return;
    X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0)
        name_add(t, text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))),
                 certificate);
}

static int name_order(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int c = strcmp(x->text, y->text);
    return c != 0 ? c : x->certificate < y->certificate ? -1 : x->certificate > y->certificate;
}

/* The first of the equal names, NULL if there is none. */
static const struct tls_name *name_find(const struct tls_set *t, const char *text)
{
    size_t low = 0, high = t->name_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(t->names[mid].text, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->name_count && strcmp(t->names[low].text, text) == 0 ? &t->names[low] : NULL;
}

size_t tls_set_choose(const struct tls_set *t, str name)
{
    char folded[NAME_BYTES];
    if (name_fold(name, folded) == 0 || folded[0] == '*')
        return 0;
    const struct tls_name *found = name_find(t, folded);
    char *dot = strchr(folded, '.');
    if (!found && dot && dot > folded) { /* a wildcard stands for one label */
        dot[-1] = '*';
        found = name_find(t, dot - 1);
    }
    return found ? found->certificate : 0;
}

/* ---- files ---- */

static const char *reason_of_openssl(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "unknown reason";
}

static BIO *file_open(str path, bool is_secret, struct err *e)
{
    struct stat st;
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(e, ERR_CONFIG, "cannot read \"%.*s\": %s", FMT(path), strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > TLS_FILE_MAX) {
        err_set(e, ERR_CONFIG, "cannot read \"%.*s\": %s", FMT(path),
                S_ISREG(st.st_mode) ? "it is too large" : "it is no regular file");
    } else {
        if (is_secret && (st.st_mode & (S_IRGRP | S_IROTH)))
            log_warn("tls", "the key \"%.*s\" can be read by others than its owner", FMT(path));
        FILE *f = fdopen(fd, "r");
        CHECK(f);
        return BIO_new_fp(f, BIO_CLOSE);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The PEM reader has come to the end, and to nothing worse. */
static bool at_end_of_pem(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static void warn_if_expired(X509 *x, str path)
{
    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        log_warn("tls", "the certificate \"%.*s\" has expired", FMT(path));
}

static bool chain_read(SSL_CTX *ctx, BIO *in, str path, struct err *e)
{
    for (;;) {
        ERR_clear_error();
        X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (!x && at_end_of_pem())
            return true;
        if (!x)
            return err_set(e, ERR_CONFIG, "\"%.*s\": a certificate of the chain is damaged: %s",
                           FMT(path), reason_of_openssl());
        if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
            X509_free(x);
            return err_set(e, ERR_CONFIG, "\"%.*s\": a certificate of the chain is refused: %s",
                           FMT(path), reason_of_openssl());
        }
    }
}

static bool certificate_read(struct tls_set *t, size_t i, str path, struct err *e)
{
    BIO *in = file_open(path, false, e);
    if (!in)
        return false;
    ERR_clear_error();
    X509 *x = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
    bool good = false;
    if (!x)
        err_set(e, ERR_CONFIG, "\"%.*s\" is no PEM certificate: %s", FMT(path),
                at_end_of_pem() ? "there is none in it" : reason_of_openssl());
    else if (SSL_CTX_use_certificate(t->contexts[i], x) != 1)
        err_set(e, ERR_CONFIG, "\"%.*s\": the certificate is refused: %s", FMT(path),
                reason_of_openssl());
    else
        good = chain_read(t->contexts[i], in, path, e);
    if (good) {
        warn_if_expired(x, path);
        names_of(t, x, i);
    }
    X509_free(x);
    BIO_free(in);
    return good;
}

struct asked {
    str passphrase;
    bool was_asked;
};

/* Never a prompt: the passphrase that is configured, or none. */
static int passphrase_give(char *out, int size, int for_writing, void *ctx)
{
    struct asked *a = ctx;
    (void)for_writing;
    a->was_asked = true;
    if (a->passphrase.n == 0 || a->passphrase.n > (size_t)size)
        return -1;
    memcpy(out, a->passphrase.p, a->passphrase.n);
    return (int)a->passphrase.n;
}

static bool key_read(SSL_CTX *ctx, const struct tls_certificate *c, struct err *e)
{
    struct asked asked = {c->passphrase, false};
    BIO *in = file_open(c->key_path, true, e);
    if (!in)
        return false;
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, passphrase_give, &asked);
    BIO_free(in);
    if (!key && asked.was_asked)
        return err_set(e, ERR_CONFIG, "\"%.*s\": %s", FMT(c->key_path),
                       c->passphrase.n ? "the passphrase is wrong"
                                       : "the key is encrypted and no passphrase is set");
    if (!key)
        return err_set(e, ERR_CONFIG, "\"%.*s\" is no PEM key: %s", FMT(c->key_path),
                       at_end_of_pem() ? "there is none in it" : reason_of_openssl());
    X509 *x = SSL_CTX_get0_certificate(ctx);
    bool fits = X509_check_private_key(x, key) == 1;
    bool good = fits && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    if (!fits)
        return err_set(e, ERR_CONFIG, "the key \"%.*s\" does not belong to \"%.*s\"",
                       FMT(c->key_path), FMT(c->cert_path));
    return good || err_set(e, ERR_CONFIG, "\"%.*s\": the key is refused: %s", FMT(c->key_path),
                           reason_of_openssl());
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t file_mark(uint64_t h, str path)
{
    struct stat st;
    if (stat(path.p, &st) < 0)
        return mix(h, (uint64_t)errno);
    h = mix(mix(h, st.st_dev), st.st_ino);
    h = mix(mix(h, (uint64_t)st.st_size), (uint64_t)st.st_mtim.tv_sec);
    return mix(h, (uint64_t)st.st_mtim.tv_nsec);
}

bool tls_files_changed(const struct tls_options *o, uint64_t *seen)
{
    uint64_t h = 1;
    for (size_t i = 0; i < o->count; i++) {
        h = file_mark(h, o->certificates[i].cert_path);
        h = file_mark(h, o->certificates[i].key_path);
    }
    h |= 1; /* never 0, which means that nothing was seen yet */
    bool changed = h != *seen;
    *seen = h;
    return changed;
}

/* ---- contexts ---- */

static int alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;
    (void)ssl, (void)ctx;
    if (SSL_select_next_proto(&found, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static int name_asked(SSL *ssl, int *alert, void *ctx)
{
    const struct tls_set *t = ctx;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    size_t i = name ? tls_set_choose(t, str_z(name)) : 0;
    if (i > 0)
        SSL_set_SSL_CTX(ssl, t->contexts[i]);
    return SSL_TLSEXT_ERR_OK;
}

/* A peer may send key updates and the like for ever, and OpenSSL would work on them inside one
 * read: after some of them it gives control back (SSL_MODE_AUTO_RETRY), and we break off. */
static void message_seen(int is_ours, int version, int type, const void *p, size_t n, SSL *ssl,
                         void *ctx)
{
    struct tls_session *t = SSL_get_app_data(ssl);
    (void)version, (void)p, (void)n, (void)ctx;
    if (type == SSL3_RT_HANDSHAKE && !is_ours && t->is_open &&
        ++t->post_handshake > TLS_POST_HANDSHAKE_MAX)
        SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
}

static void rules_setup(SSL_CTX *ctx, bool ktls)
{
    static const char old[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    static const char new[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                              "TLS_CHACHA20_POLY1305_SHA256";
    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(ctx, old) == 1 && SSL_CTX_set_ciphersuites(ctx, new) == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    if (ktls)
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    else
        SSL_CTX_set_read_ahead(ctx, 1); /* a record in one recv instead of two */
}

static SSL_CTX *context_create(struct tls_set *t, bool ktls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx);
    rules_setup(ctx, ktls);
    tls_tickets_setup(ctx);
    SSL_CTX_set_alpn_select_cb(ctx, alpn_choose, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, name_asked);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    SSL_CTX_set_msg_callback(ctx, message_seen);
    return ctx;
}

struct tls_set *tls_set_load(const struct tls_options *o, struct err *e)
{
    struct tls_set *t = mem_zero(sizeof *t);
    CHECK(o->count > 0);
    atomic_init(&t->refs, 1);
    t->contexts = mem_zero(o->count * sizeof(SSL_CTX *));
    for (; t->count < o->count; t->count++) {
        t->contexts[t->count] = context_create(t, o->ktls);
        const struct tls_certificate *c = &o->certificates[t->count];
        if (!certificate_read(t, t->count, c->cert_path, e) ||
            !key_read(t->contexts[t->count], c, e)) {
            t->count++;
            tls_set_unref(&t);
            ERR_clear_error();
            return NULL;
        }
    }
    if (t->name_count > 1)
        qsort(t->names, t->name_count, sizeof *t->names, name_order);
    return t;
}

struct tls_set *tls_set_ref(struct tls_set *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tls_set_unref(struct tls_set **pt)
{
    struct tls_set *t = *pt;
    *pt = NULL;
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < t->count; i++)
        SSL_CTX_free(t->contexts[i]);
    for (size_t i = 0; i < t->name_count; i++)
        free(t->names[i].text);
    free(t->contexts);
    free(t->names);
    free(t);
}

/* ---- one socket ---- */

struct tls_session *tls_session_create(struct tls_set *set, int fd)
{
    struct tls_session *t = mem_zero(sizeof *t);
    ERR_clear_error();
    t->set = tls_set_ref(set); /* the name is looked up during the handshake */
    t->ssl = SSL_new(set->contexts[0]);
    CHECK(t->ssl);
    CHECK(SSL_set_fd(t->ssl, fd) == 1);
    SSL_set_app_data(t->ssl, t);
    SSL_set_accept_state(t->ssl);
    return t;
}

void tls_session_destroy(struct tls_session **pt)
{
    struct tls_session *t = *pt;
    *pt = NULL;
    if (!t)
        return;
    tls_end(t);
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_set_unref(&t->set);
    free(t);
}

/* After a call that has given `result`. Both kinds of failure end the connection without
 * close_notify: OpenSSL forbids it. */
static enum tls_step step_of(struct tls_session *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_NONE:
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        t->is_ended = true;
        return TLS_BROKEN;
    default:
        t->is_ended = t->is_broken = true;
        return TLS_BROKEN;
    }
}

enum tls_step tls_handshake(struct tls_session *t)
{
    ERR_clear_error();
    enum tls_step step = step_of(t, SSL_do_handshake(t->ssl));
    t->is_open = step == TLS_DONE;
    return step;
}

bool tls_has_input(const struct tls_session *t)
{
    return t->is_ended || SSL_has_pending(t->ssl);
}

enum tls_step tls_read(struct tls_session *t, char *p, size_t n, size_t *got_out)
{
    *got_out = 0;
    t->post_handshake = 0;
    while (*got_out < n) {
        size_t got;
        if (t->is_ended)
            return TLS_BROKEN;
        ERR_clear_error();
        enum tls_step step = step_of(t, SSL_read_ex(t->ssl, p + *got_out, n - *got_out, &got));
        if (t->post_handshake > TLS_POST_HANDSHAKE_MAX) {
            t->is_ended = t->is_broken = true;
            return TLS_BROKEN;
        }
        if (step != TLS_DONE)
            return step == TLS_WANT_READ ? TLS_DONE : step;
        *got_out += got;
        if (!SSL_has_pending(t->ssl))
            return TLS_DONE;
    }
    return TLS_DONE;
}

ssize_t tls_write(struct tls_session *t, const char *p, size_t n)
{
    size_t sent = 0;
    while (sent < n) {
        size_t took, want = n - sent < TLS_RECORD ? n - sent : TLS_RECORD;
        ERR_clear_error();
        enum tls_step step = step_of(t, SSL_write_ex(t->ssl, p + sent, want, &took));
        t->held = step == TLS_WANT_WRITE ? (uint32_t)want : 0;
        t->write_waits = step == TLS_WANT_READ;
        if (step == TLS_BROKEN)
            return -1;
        if (step != TLS_DONE)
            break;
        sent += took;
    }
    return (ssize_t)sent;
}

bool tls_write_waits(const struct tls_session *t)
{
    return t->write_waits;
}

size_t tls_held(const struct tls_session *t)
{
    return t->held;
}

void tls_end(struct tls_session *t)
{
    if (!t->is_open || t->is_broken)
        return;
    ERR_clear_error();
    if (SSL_shutdown(t->ssl) < 0)
        step_of(t, -1);
}
