/* wire/http1.c - strict HTTP/1 request head, chunked body, response head.
 *
 * A head is read in two passes. The scan looks for its end and at every control byte, so that a
 * bare LF, a TLS hello or another protocol is refused as soon as it arrives; the parse then sees
 * a complete head, in which CR stands only before LF. A verdict comes from bytes in front of the
 * end of the head alone, so how the input was cut cannot change it.
 */
#include "wire/http1.h"

#include "base/buf.h"

enum { TOKEN = 1, HOST = 2 };

/* Characters of a token, and of a Host value: names, IPv4 and IPv6 addresses, a port. A name may
 * have a comma, but one rather tells that two values were joined. */
static const uint8_t byte_class[256] = {
    ['0' ... '9'] = TOKEN | HOST,
    ['A' ... 'Z'] = TOKEN | HOST,
    ['a' ... 'z'] = TOKEN | HOST,
    ['!'] = TOKEN | HOST,
    ['$'] = TOKEN | HOST,
    ['%'] = TOKEN | HOST,
    ['&'] = TOKEN | HOST,
    ['\''] = TOKEN | HOST,
    ['*'] = TOKEN | HOST,
    ['+'] = TOKEN | HOST,
    ['-'] = TOKEN | HOST,
    ['.'] = TOKEN | HOST,
    ['_'] = TOKEN | HOST,
    ['~'] = TOKEN | HOST,
    ['#'] = TOKEN,
    ['^'] = TOKEN,
    ['`'] = TOKEN,
    ['|'] = TOKEN,
    ['('] = HOST,
    [')'] = HOST,
    [':'] = HOST,
    [';'] = HOST,
    ['='] = HOST,
    ['['] = HOST,
    [']'] = HOST,
};

static bool is_class(char c, int class)
{
    return (byte_class[(uint8_t)c] & class) != 0;
}

static bool is_control(char c)
{
    return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool all_of(str s, int class)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_class(s.p[i], class))
            return false;
    return true;
}

static str str_first(str s, size_t n)
{
    return str_of(s.p, n);
}

/* Position of `c` in `s`, s.n without one. */
static size_t find(str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

bool http1_is_token(str s)
{
    return s.n > 0 && all_of(s, TOKEN);
}

/* --- the scan ------------------------------------------------------------------------------- */

/* True if eight bytes hold no control byte; TAB and some neighbours of one may say false too. */
static bool eight_plain(const char *p)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    uint64_t del = x ^ (ones * 0x7f);
    return ((((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & tops) == 0;
}

/* What a CR LF at `at` means: PARSE_OK the head ends with it, PARSE_MORE a line does. One empty
 * line in front of a request is allowed (RFC 9112 §2.2). */
static enum parse line_end(str in, size_t at)
{
    if (at == 0 || in.p[at - 1] != '\n')
        return PARSE_MORE;
    return at == 2 && in.p[0] == '\r' ? PARSE_BAD : PARSE_OK;
}

/* Moves *at to behind the head, or to where to go on. */
static enum parse scan(str in, size_t *at)
{
    size_t i = *at;
    enum parse p = PARSE_MORE;
    while (i < in.n && p == PARSE_MORE) {
        if (i + 8 <= in.n && eight_plain(in.p + i)) {
            i += 8;
        } else if (!is_control(in.p[i])) {
            i++;
        } else if (in.p[i] != '\r') {
            p = PARSE_BAD;
        } else if (i + 1 == in.n) {
            break;
        } else {
            p = in.p[i + 1] == '\n' ? line_end(in, i) : PARSE_BAD;
            i += 2;
        }
    }
    *at = i;
    return p;
}

/* --- request line --------------------------------------------------------------------------- */

/* Both are schemes under which this server is reached through a proxy. */
static bool drop_scheme(str *target)
{
    static const str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (target->n >= schemes[i].n &&
            str_eq_nocase(str_first(*target, schemes[i].n), schemes[i])) {
            *target = str_from(*target, schemes[i].n);
            return true;
        }
    return false;
}

/* Cuts the authority off; `rest` starts with '/', '?' or is empty. */
static str take_authority(str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '/' && rest->p[n] != '?')
        n++;
    str authority = str_first(*rest, n);
    *rest = str_from(*rest, n);
    return authority;
}

/* Fills path and query; *authority stays as it is unless the target is in absolute form. */
static bool parse_target(struct http1_request *r, str *authority)
{
    str rest = r->target;
    for (size_t i = 0; i < rest.n; i++)
        if ((uint8_t)rest.p[i] <= ' ' || (uint8_t)rest.p[i] > '~' || rest.p[i] == '#')
            return false;
    if (drop_scheme(&rest)) {
        *authority = take_authority(&rest);
        if (authority->n == 0)
            return false;
    } else if (!str_starts(rest, S("/"))) {
        r->path = rest;
        return str_eq(rest, S("*")) && str_eq(r->method, S("OPTIONS"));
    }
    size_t n = find(rest, '?');
    r->path = n ? str_first(rest, n) : S("/");
    r->query = str_from(rest, n + 1);
    return true;
}

/* 0 or the status of the refusal. A later major version is told 505; what claims to be 1.2 to 1.9
 * or 0.9 does not exist and is a mistake or a trap (dependencies.md P2). */
static int parse_version(str s, int *minor_out)
{
    if (s.n != 8 || !str_starts(s, S("HTTP/")) || s.p[6] != '.')
        return 400;
    char major = s.p[5], minor = s.p[7];
    if (major >= '2' && major <= '9' && minor >= '0' && minor <= '9')
        return 505;
    if (major != '1' || (minor != '0' && minor != '1'))
        return 400;
    *minor_out = minor - '0';
    return 0;
}

static int parse_request_line(str line, struct http1_request *r, str *authority)
{
    size_t n = find(line, ' ');
    r->method = str_first(line, n);
    line = str_from(line, n + 1);
    n = find(line, ' ');
    r->target = str_first(line, n);
    if (!http1_is_token(r->method) || r->target.n == 0)
        return 400;
    int status = parse_version(str_from(line, n + 1), &r->minor);
    if (status)
        return status;
    if (str_eq(r->method, S("CONNECT")))
        return 501; /* its target has a form of its own, and we are no proxy */
    return parse_target(r, authority) ? 0 : 400;
}

/* --- fields --------------------------------------------------------------------------------- */

/* What the fields said that must be judged together. */
struct seen {
    unsigned hosts, encodings;
    bool close, keep_alive;
};

static bool on_host(struct http1_request *r, struct seen *seen, str value)
{
    r->host = value;
    return seen->hosts++ == 0 && all_of(value, HOST);
}

static bool on_length(struct http1_request *r, str value)
{
    if (r->has_length)
        return false;
    r->has_length = true;
    return str_u64(value, INT64_MAX, &r->length);
}

static bool on_encoding(struct http1_request *r, struct seen *seen, str value)
{
    r->chunked = true;
    return seen->encodings++ == 0 && r->minor == 1 && str_eq_nocase(value, S("chunked"));
}

static bool on_connection(struct http1_request *r, struct seen *seen, str value)
{
    str item;
    r->has_connection = true;
    while (http1_list_next(&value, &item)) {
        if (str_eq_nocase(item, S("close")))
            seen->close = true;
        else if (str_eq_nocase(item, S("keep-alive")))
            seen->keep_alive = true;
        else if (str_eq_nocase(item, S("upgrade")))
            r->connection_upgrade = true;
    }
    return true;
}

static bool on_upgrade(struct http1_request *r, str value)
{
    str item;
    r->has_upgrade = true;
    while (http1_list_next(&value, &item))
        if (str_eq_nocase(item, S("websocket")))
            r->upgrade_websocket = true;
    return true;
}

static bool on_field(struct http1_request *r, struct seen *seen, str name, str value)
{
    switch (name.n) {
    case 4:
        return !str_eq_nocase(name, S("host")) || on_host(r, seen, value);
    case 6:
        if (str_eq_nocase(name, S("expect")) && r->minor == 1)
            r->expect_continue |= str_eq_nocase(value, S("100-continue"));
        return true;
    case 7:
        return !str_eq_nocase(name, S("upgrade")) || on_upgrade(r, value);
    case 10:
        return !str_eq_nocase(name, S("connection")) || on_connection(r, seen, value);
    case 14:
        return !str_eq_nocase(name, S("content-length")) || on_length(r, value);
    case 17:
        return !str_eq_nocase(name, S("transfer-encoding")) || on_encoding(r, seen, value);
    default:
        return true;
    }
}

/* A blank in front of the colon and a folded line fail as names: they are no tokens. */
static bool parse_field(str line, struct http1_request *r, struct seen *seen)
{
    size_t n = 0;
    while (n < line.n && is_class(line.p[n], TOKEN))
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':' || r->header_count == HTTP1_HEADERS_MAX)
        return false;
    struct http1_header *h = &r->headers[r->header_count++];
    h->name = str_first(line, n);
    h->value = str_trim(str_from(line, n + 1));
    return on_field(r, seen, h->name, h->value);
}

/* The rules that need the whole head. A body on another upgrade than to WebSocket (Java's client
 * offers h2c with each POST) is read as the body it is: we ignore such an offer and close. */
static bool finish_head(struct http1_request *r, const struct seen *seen, str authority)
{
    if (seen->hosts == 0 && r->minor == 1)
        return false;
    if (authority.n && seen->hosts && !str_eq_nocase(authority, r->host))
        return false;
    if (authority.n && !all_of(authority, HOST))
        return false;
    if (authority.n)
        r->host = authority;
    if (r->chunked && r->has_length)
        return false;
    if (r->upgrade_websocket && (r->chunked || r->length))
        return false;
    if (!r->chunked && !r->length)
        r->expect_continue = false;
    r->keep_alive = !seen->close && (r->minor == 1 || seen->keep_alive);
    return true;
}

static str take_line(str *rest)
{
    size_t n = find(*rest, '\r');
    str line = str_first(*rest, n);
    *rest = str_from(*rest, n + 2);
    return line;
}

/* `rest` is a complete head. 0 or the status of the refusal. */
static int parse_head(str rest, struct http1_request *r)
{
    struct seen seen = {0};
    str authority = {0};
    int status = parse_request_line(take_line(&rest), r, &authority);
    if (status)
        return status;
    for (str line = take_line(&rest); line.n; line = take_line(&rest))
        if (!parse_field(line, r, &seen))
            return 400;
    return finish_head(r, &seen, authority) ? 0 : 400;
}

/* The slots of r->headers are not cleared: header_count says which ones mean something. */
static void clear_request(struct http1_request *r)
{
    r->method = r->target = r->path = r->query = r->host = (str){0};
    r->minor = 0;
    r->header_count = 0;
    r->has_length = r->chunked = r->expect_continue = r->keep_alive = false;
    r->has_upgrade = r->upgrade_websocket = r->has_connection = r->connection_upgrade = false;
    r->length = 0;
}

enum parse http1_head(str in, size_t *scanned, struct http1_request *r, size_t *used, int *status)
{
    bool at_limit = in.n >= HTTP1_HEAD_MAX;
    if (at_limit)
        in.n = HTTP1_HEAD_MAX;
    clear_request(r);
    *used = 0;
    *status = 400;
    enum parse p = scan(in, scanned);
    if (p == PARSE_MORE && at_limit) {
        *status = 431;
        return PARSE_BAD;
    }
    if (p != PARSE_OK)
        return p;
    str head = str_first(in, *scanned);
    if (str_starts(head, S("\r\n")))
        head = str_from(head, 2);
    *status = parse_head(head, r);
    if (*status)
        return PARSE_BAD;
    *used = *scanned;
    return PARSE_OK;
}

/* --- looking things up ---------------------------------------------------------------------- */

str http1_header_get(const struct http1_request *r, str name)
{
    for (unsigned i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return (str){0};
}

unsigned http1_header_count(const struct http1_request *r, str name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < r->header_count; i++)
        count += str_eq_nocase(r->headers[i].name, name);
    return count;
}

bool http1_list_next(str *rest, str *item)
{
    while (rest->n) {
        size_t n = find(*rest, ',');
        *item = str_trim(str_first(*rest, n));
        *rest = str_from(*rest, n + 1);
        if (item->n)
            return true;
    }
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t http1_percent_decode(str in, bool plus_is_space, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%' && i + 2 < in.n && hex_value(in.p[i + 1]) >= 0 &&
                   hex_value(in.p[i + 2]) >= 0) {
            c = (char)(hex_value(in.p[i + 1]) * 16 + hex_value(in.p[i + 2]));
            i += 2;
        }
        out[n++] = c;
    }
    return n;
}

/* --- chunked body --------------------------------------------------------------------------- */

/* Extensions are read only to be sure where their line ends: their syntax is checked as strictly
 * as a proxy in front may check it, since a difference there hides a second request. */
enum chunk_state {
    SIZE_FIRST,
    SIZE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_CLOSED,
    LINE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    CHUNKS_END,
    CHUNKS_BAD,
};

/* Behind the size, a name, a value: the line ends or an extension begins. */
static enum chunk_state after_part(char b)
{
    return b == '\r' ? LINE_LF : b == ';' ? EXT_NAME_FIRST : CHUNKS_BAD;
}

static enum chunk_state on_size(struct http1_chunks *c, char b)
{
    int digit = hex_value(b);
    if (digit < 0)
        return c->state == SIZE ? after_part(b) : CHUNKS_BAD;
    if (c->left > (uint64_t)INT64_MAX >> 4)
        return CHUNKS_BAD;
    c->left = c->left << 4 | (unsigned)digit;
    return SIZE;
}

static enum chunk_state on_extension(enum chunk_state state, char b)
{
    switch (state) {
    case EXT_NAME_FIRST:
        return is_class(b, TOKEN) ? EXT_NAME : CHUNKS_BAD;
    case EXT_NAME:
        return is_class(b, TOKEN) ? EXT_NAME : b == '=' ? EXT_VALUE_FIRST : after_part(b);
    case EXT_VALUE_FIRST:
        return is_class(b, TOKEN) ? EXT_VALUE : b == '"' ? EXT_QUOTED : CHUNKS_BAD;
    case EXT_VALUE:
        return is_class(b, TOKEN) ? EXT_VALUE : after_part(b);
    case EXT_QUOTED:
        if (is_control(b))
            return CHUNKS_BAD;
        return b == '"' ? EXT_CLOSED : b == '\\' ? EXT_ESCAPED : EXT_QUOTED;
    case EXT_ESCAPED:
        return is_control(b) ? CHUNKS_BAD : EXT_QUOTED;
    default:
        return after_part(b);
    }
}

static enum chunk_state on_line_byte(struct http1_chunks *c, char b)
{
    if (++c->line > HTTP1_CHUNK_LINE_MAX)
        return CHUNKS_BAD;
    if (c->state <= SIZE)
        return on_size(c, b);
    if (c->state != LINE_LF)
        return on_extension(c->state, b);
    if (b != '\n')
        return CHUNKS_BAD;
    return c->left ? DATA : TRAILER_FIRST;
}

static enum chunk_state on_trailer_byte(struct http1_chunks *c, char b)
{
    if (++c->trailers > HTTP1_TRAILERS_MAX)
        return CHUNKS_BAD;
    switch (c->state) {
    case TRAILER_FIRST:
        return b == '\r' ? LAST_LF : is_class(b, TOKEN) ? TRAILER_NAME : CHUNKS_BAD;
    case TRAILER_NAME:
        return is_class(b, TOKEN) ? TRAILER_NAME : b == ':' ? TRAILER_VALUE : CHUNKS_BAD;
    case TRAILER_VALUE:
        return b == '\r' ? TRAILER_LF : is_control(b) ? CHUNKS_BAD : TRAILER_VALUE;
    case TRAILER_LF:
        return b == '\n' ? TRAILER_FIRST : CHUNKS_BAD;
    default:
        return b == '\n' ? CHUNKS_END : CHUNKS_BAD;
    }
}

static enum chunk_state on_byte(struct http1_chunks *c, char b)
{
    if (c->state <= LINE_LF)
        return on_line_byte(c, b);
    if (c->state == DATA_CR)
        return b == '\r' ? DATA_LF : CHUNKS_BAD;
    if (c->state == DATA_LF) {
        c->line = 0;
        return b == '\n' ? SIZE_FIRST : CHUNKS_BAD;
    }
    return on_trailer_byte(c, b);
}

static str take_data(struct http1_chunks *c, str in)
{
    str data = c->left < in.n ? str_first(in, (size_t)c->left) : in;
    c->left -= data.n;
    if (c->left == 0)
        c->state = DATA_CR;
    return data;
}

enum parse http1_chunks_read(struct http1_chunks *c, str in, size_t *used, str *data)
{
    size_t i = 0;
    *data = (str){in.p, 0};
    while (i < in.n && c->state < CHUNKS_END && c->state != DATA)
        c->state = (uint8_t)on_byte(c, in.p[i++]);
    if (c->state == DATA) {
        *data = take_data(c, str_from(in, i));
        i += data->n;
    }
    *used = i;
    if (c->state == CHUNKS_BAD)
        return PARSE_BAD;
    return c->state == CHUNKS_END ? PARSE_OK : PARSE_MORE;
}

/* --- response head -------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Payload Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Entity"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http1_reason(int status)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

bool http1_field(struct buf *out, str name, str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (is_control(value.p[i]))
            return false;
    if (!buf_room(out, name.n + 2 + value.n + 2))
        return false;
    return buf_add(out, name) && buf_add(out, S(": ")) && buf_add(out, value) &&
           buf_add(out, S("\r\n"));
}

static bool has_length_field(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

bool http1_response(struct buf *out, const struct http1_answer *a)
{
    bool ok = buf_add(out, S("HTTP/1.1 ")) && buf_u64(out, (unsigned)a->status) &&
              buf_char(out, ' ') && buf_add(out, str_z(http1_reason(a->status))) &&
              buf_add(out, S("\r\n"));
    if (ok && a->content_type.n)
        ok = http1_field(out, S("Content-Type"), a->content_type);
    if (ok && has_length_field(a->status))
        ok = buf_add(out, S("Content-Length: ")) && buf_u64(out, a->length) &&
             buf_add(out, S("\r\n"));
    if (ok && a->close)
        ok = buf_add(out, S("Connection: close\r\n"));
    else if (ok && a->name_keep_alive)
        ok = buf_add(out, S("Connection: keep-alive\r\n"));
    return ok && buf_add(out, a->more) && (a->is_open || buf_add(out, S("\r\n")));
}
