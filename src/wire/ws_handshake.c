/* wire/ws_handshake.c - the checks of an upgrade request, in the order of their texts. */
#include "wire/ws_handshake.h"

#include "base/buf.h"
#include "base/crypto.h"
#include "wire/http1.h"

/* --- permessage-deflate (RFC 7692 §7.1) ------------------------------------------------------ */

static void skip_blanks(str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = str_from(*s, 1);
}

/* Takes c with the blanks around it. */
static bool take_char(str *s, char c)
{
    skip_blanks(s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    skip_blanks(s);
    return true;
}

static bool take_token(str *s, str *token)
{
    size_t n = 0;
    while (n < s->n && http1_is_token(str_of(s->p + n, 1)))
        n++;
    *token = str_of(s->p, n);
    *s = str_from(*s, n);
    return n > 0;
}

/* A value in quotes must be a token once they are gone (RFC 6455 §9.1), so one with an escape is
 * as good as refused: nothing we know needs one. */
static bool take_value(str *s, str *value)
{
    if (s->n == 0 || s->p[0] != '"')
        return take_token(s, value);
    *s = str_from(*s, 1);
    if (!take_token(s, value) || s->n == 0 || s->p[0] != '"')
        return false;
    *s = str_from(*s, 1);
    return true;
}

/* What one offer asks for. Window bits 0: not named. */
struct offer {
    bool usable;
    bool server_plain, client_plain, client_bits_named; /* to see doubled parameters */
    int server_bits;
};

/* 8..15 without leading zero. */
static bool window_bits(str value, int *bits)
{
    uint64_t n;
    if (!str_u64(value, 15, &n) || n < 8 || value.p[0] == '0')
        return false;
    *bits = (int)n;
    return true;
}

static bool once(bool *flag)
{
    bool first = !*flag;
    *flag = true;
    return first;
}

/* False if the parameter is unknown, doubled or out of range. */
static bool on_parameter(struct offer *o, str name, bool has_value, str value)
{
    int bits = 0;
    if (str_eq_nocase(name, S("server_no_context_takeover")))
        return !has_value && once(&o->server_plain);
    if (str_eq_nocase(name, S("client_no_context_takeover")))
        return !has_value && once(&o->client_plain);
    if (str_eq_nocase(name, S("client_max_window_bits")))
        return (!has_value || window_bits(value, &bits)) && once(&o->client_bits_named);
    if (!str_eq_nocase(name, S("server_max_window_bits")) || o->server_bits)
        return false;
    /* zlib has no raw window of 8 */
    return has_value && window_bits(value, &o->server_bits) && o->server_bits >= 9;
}

/* Reads one element of the list. False if it is not well-formed, and then the rest of the field
 * means nothing either. */
static bool take_offer(str *rest, struct offer *o)
{
    str name, value = {0};
    *o = (struct offer){0};
    if (!take_token(rest, &name))
        return false;
    o->usable = str_eq_nocase(name, S("permessage-deflate"));
    while (take_char(rest, ';')) {
        if (!take_token(rest, &name))
            return false;
        bool has_value = take_char(rest, '=');
        if (has_value && !take_value(rest, &value))
            return false;
        o->usable = o->usable && on_parameter(o, name, has_value, value);
    }
    return rest->n == 0 || rest->p[0] == ',';
}

static bool negotiate_field(str rest, int least_bits, struct ws_handshake *h)
{
    struct offer o;
    for (;;) {
        while (take_char(&rest, ','))
            ;
        if (rest.n == 0 || !take_offer(&rest, &o))
            return false;
        int bits = o.server_bits ? o.server_bits : 15;
        if (o.usable && bits >= least_bits) {
            h->deflate = true;
            h->names_window_bits = o.server_bits != 0;
            h->server_window_bits = bits;
            return true;
        }
    }
}

static void negotiate(const struct http1_request *r, int least_bits, struct ws_handshake *h)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, S("sec-websocket-extensions")) &&
            negotiate_field(r->headers[i].value, least_bits, h))
            return;
}

/* --- the decision --------------------------------------------------------------------------- */

/* What is no token is passed over, because the answer must be one. */
static str first_protocol(const struct http1_request *r)
{
    for (unsigned i = 0; i < r->header_count; i++) {
        str item, rest = r->headers[i].value;
        if (!str_eq_nocase(r->headers[i].name, S("sec-websocket-protocol")))
            continue;
        while (http1_list_next(&rest, &item))
            if (http1_is_token(item))
                return item;
    }
    return (str){0};
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* 16 bytes in base64: 22 letters and two '='. */
static bool is_key(str key)
{
    if (key.n != 24 || !str_ends(key, S("==")))
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key.p[i]))
            return false;
    return true;
}

static void accept_key(str key, char out[28])
{
    char text[24 + 36 + 1], coded[32]; /* with room for a final NUL */
    uint8_t digest[20];
    memcpy(text, key.p, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    crypto_sha1(str_of(text, 60), digest);
    CHECK(crypto_base64(str_of(digest, sizeof(digest)), coded) == 28);
    memcpy(out, coded, 28);
}

/* Empty text: no objection. HTTP/1.0 has no upgrades (RFC 9110 §7.8).
 * Source of the texts: websocket-protocol.md §1.3; the last two are ours. */
static str objection(const struct http1_request *r)
{
    str key = http1_header_get(r, S("sec-websocket-key"));
    if (!r->has_upgrade || r->minor == 0)
        return S("Missing Upgrade header");
    if (!r->upgrade_websocket)
        return S("Invalid Upgrade header");
    if (!r->has_connection)
        return S("Missing Connection header");
    if (!r->connection_upgrade)
        return S("Invalid Connection header");
    if (!key.p)
        return S("Missing Sec-WebSocket-Key");
    if (http1_header_count(r, S("sec-websocket-version")) == 0)
        return S("Missing Sec-WebSocket-Version");
    if (!is_key(key) || http1_header_count(r, S("sec-websocket-key")) > 1)
        return S("Invalid Sec-WebSocket-Key");
    if (http1_header_count(r, S("origin")) > 1) /* SEC-23: which one would be checked? */
        return S("Multiple Origin headers");
    return S("");
}

static bool refuse(struct ws_handshake *h, int status, str text)
{
    h->status = status;
    h->text = text;
    return false;
}

bool ws_handshake_decide(const struct http1_request *r, int least_bits, struct ws_handshake *h)
{
    *h = (struct ws_handshake){.server_window_bits = 15};
    str text = objection(r);
    if (text.n)
        return refuse(h, 400, text);
    if (http1_header_count(r, S("sec-websocket-version")) > 1 ||
        !str_eq(http1_header_get(r, S("sec-websocket-version")), S("13")))
        return refuse(h, 426, S("Unsupported WebSocket version"));
    h->status = 101;
    accept_key(http1_header_get(r, S("sec-websocket-key")), h->accept);
    h->protocol = first_protocol(r);
    if (least_bits)
        negotiate(r, least_bits, h);
    return true;
}

/* --- the answer ----------------------------------------------------------------------------- */

static bool write_extension(const struct ws_handshake *h, struct buf *out)
{
    if (!buf_add(out, S("Sec-WebSocket-Extensions: permessage-deflate; "
                        "server_no_context_takeover; client_no_context_takeover")))
        return false;
    if (h->names_window_bits && !(buf_add(out, S("; server_max_window_bits=")) &&
                                  buf_u64(out, (unsigned)h->server_window_bits)))
        return false;
    return buf_add(out, S("\r\n"));
}

static bool write_accept(const struct ws_handshake *h, struct buf *out)
{
    return buf_add(out, S("HTTP/1.1 101 Switching Protocols\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\n")) &&
           http1_field(out, S("Sec-WebSocket-Accept"), str_of(h->accept, sizeof(h->accept))) &&
           (!h->protocol.n || http1_field(out, S("Sec-WebSocket-Protocol"), h->protocol)) &&
           (!h->deflate || write_extension(h, out)) && buf_add(out, S("\r\n"));
}

/* RFC 9110 §15.5.22: a 426 names what to upgrade to. It closes like every refusal. */
static const str try_13 = STR("Connection: close, Upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n");

bool ws_handshake_write(const struct ws_handshake *h, struct buf *out)
{
    if (h->status == 101)
        return write_accept(h, out);
    struct http1_answer a = {
        .status = h->status,
        .content_type = S("text/plain; charset=utf-8"),
        .length = h->text.n,
        .close = h->status != 426,
        .more = h->status == 426 ? try_13 : S(""),
    };
    return http1_response(out, &a) && buf_add(out, h->text);
}
