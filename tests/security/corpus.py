"""tests/security/corpus.py - requests that parsers are known to read differently (SEC-17).

REFUSED: each gets one 400 and a close, or the status behind it. ACCEPTED: read like llhttp does. The
third part of an entry names what llhttp 9 lets pass although we refuse it: what dependencies.md P2 and
security.md I1 list, empty elements in Transfer-Encoding, blanks and versions in the request line, odd
Host values, and what only our limits stop. None of it is a length that we would read otherwise.
"""
NEXT = b"GET /live HTTP/1.1\r\nHost: next\r\n\r\n"
POST = b"POST /apps/main/events HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
GET = b"GET /live HTTP/1.1\r\n"
CHUNKED = POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = (b"GET /app/main-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n")


def head(line, *fields, body=b""):
    return line + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


TWO_BLANKS, VERSIONS, LIMITS, ODD_HOST = "two blanks", "other versions", "limits", "odd Host"
LINES_DIFFER = {b"GET  /live HTTP/1.1": TWO_BLANKS, b"GET /live  HTTP/1.1": TWO_BLANKS,
b"GET /live RTSP/1.0": VERSIONS,
                b"GET /live": VERSIONS}
CODINGS_DIFFER = {b"": "no coding", b" ": "no coding", b",chunked": "no coding", b"x, chunked": "x, chunked",
                  b"gzip, chunked": "x, chunked", b"identity, chunked": "x, chunked"}


def entry(text, status=400, differs=None):
    return text, status, differs


LENGTHS = [b"", b" ", b"+2", b"-2", b"-0", b"0x2", b"2 2", b"2,", b",2", b"2, 2", b"2,3", b"2;", b"2.0",
           b"2e0", b"\"2\"", b"two", b"2\x00", b"\xb2", b"1_0", b"0b1", b"2\x0b", b"\x0c2",
           b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"18446744073709551618",
           b"9" * 40, b"0" * 5000 + b"x"]
CODINGS = [b"", b" ", b"identity", b"gzip", b"xchunked", b"chunkedx", b"chunke", b"chunked, chunked",
           b"chunked, identity", b"identity, chunked", b"gzip, chunked", b"chunked, gzip", b"chunked;q=1",
           b"\"chunked\"", b"chunked,", b",chunked", b"chunked chunked", b"\x0bchunked", b"chunked\x00",
           b"chunked\x0c", b"x, chunked", b"deflate"]
FIELDS = [b": empty name", b" : blank name", b"\t: tab name", b"A", b"A b", b"A b: c", b"A : b", b"A\t: b",
          b" A: b", b"\tA: b", b"A\x7f: b", b"A\x00: b", b"A: b\x00c", b"A: b\x01c", b"A: b\x7fc",
          b"A: b\x1bc", b"A\xe9: b", b"A(: b", b"A{}: b", b"A/B: c", b"A@: b", b"A\"B: c", b"A: b\r\n c",
          b"A: b\r\n\tc", b"A: b\r\n :c", b"A: b\rc", b"A: b\nB: c", b"A: b\r\r", b"A: \x08", b"A=b",
          b"A;B: c", b"A,B: c", b"[A]: b", b"\x00A: b", b"\xef\xbb\xbfA: b"]
LINES = [b"GET  /live HTTP/1.1", b"GET /live  HTTP/1.1", b" GET /live HTTP/1.1", b"GET\t/live HTTP/1.1",
         b"GET /live\tHTTP/1.1", b"GET /live HTTP/1.1 ", b"GET /live HTTP/1.1\t", b"GET /live HTTP/1.10",
         b"GET /live http/1.1", b"GET /live Http/1.1", b"GET /live HTTP/1", b"GET /live HTTP/1.",
         b"GET /live HTTP/.1", b"GET /live HTTP/11", b"GET /live HTTP/1,1", b"GET /live HTTP/+1.1",
         b"GET /live HTTP 1.1", b"GET /live HTTP/1.1x", b"GET /live ICE/1.0", b"GET /live RTSP/1.0",
         b"GET /live", b"GET HTTP/1.1", b"GET", b"/live HTTP/1.1", b"GE\x00T /live HTTP/1.1",
         b"G(T /live HTTP/1.1", b"G\xc9T /live HTTP/1.1", b"GET /li\x00ve HTTP/1.1",
         b"GET /li\x01ve HTTP/1.1", b"GET /li\x7fve HTTP/1.1", b"GET /li ve HTTP/1.1", b"GET live HTTP/1.1",
         b"GET \\live HTTP/1.1", b"GET /live HTTP/1.1\rX: y", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0"]
CHUNKS = [b"2 \r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n",
          b"-2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"2\n{}\r\n0\r\n\r\n", b"2\r{}\r\n0\r\n\r\n",
          b"2\r\n{}0\r\n\r\n", b"2\r\n{}\n0\r\n\r\n", b"2\r\n{}\r0\r\n\r\n", b"2\r\n{}}\r\n0\r\n\r\n",
          b"g\r\n{}\r\n0\r\n\r\n", b"\r\n{}\r\n0\r\n\r\n", b";a\r\n{}\r\n0\r\n\r\n",
          b"2;a\nb\r\n{}\r\n0\r\n\r\n", b"2;\x00\r\n{}\r\n0\r\n\r\n", b"2;a\rb\r\n{}\r\n0\r\n\r\n",
          b"2,2\r\n{}\r\n0\r\n\r\n", b"10000000000000002\r\n{}\r\n0\r\n\r\n",
          b"8000000000000000\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n",
          b"2\r\n{}\r\n0\n\r\n", b"2\r\n{}\r\n0\r\n\n", b"2\r\n{}\r\n0\r\nA: b\nB: c\r\n\r\n",
          b"2\r\n{}\r\n0\r\nA\x00: b\r\n\r\n", b"2;" + b"x" * 300 + b"\r\n{}\r\n0\r\n\r\n",
          b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"]
HOSTS = [b"Host:  x y", b"Host: x\x00", b"Host: x,y", b"Host: x/y", b"Host: x@y", b"Host: x\\y",
         b"Host: <x>", b"Host : x", b"Host: x\xe9"]

REFUSED = (
    [entry(head(POST, b"Host: x", b"Content-Length:" + v, body=b"{}")) for v in LENGTHS] +
    [entry(head(POST, b"Host: x", b"Transfer-Encoding:" + v, body=b"2\r\n{}\r\n0\r\n\r\n"),
           differs=CODINGS_DIFFER.get(v)) for v in CODINGS] +
    [entry(head(POST, b"Host: x", f)) for f in FIELDS] +
    [entry(line + b"\r\n" + HOST + b"\r\n", 505 if line.endswith(b"HTTP/2.0") else 400, LINES_DIFFER.get(line))
     for line in LINES] +
    [entry(CHUNKED + c, differs=LIMITS if len(c) > 300 else None) for c in CHUNKS] +
    [entry(head(GET, h), differs=None if b"\0" in h or b" :" in h else ODD_HOST) for h in HOSTS] + [
        entry(head(POST, b"Host: x", b"Content-Length: 2", b"Content-Length: 2", body=b"{}")),
        entry(head(POST, b"Host: x", b"Content-Length: 2", b"Content-Length: 3", body=b"{}")),
        entry(head(POST, b"Host: x", b"Content-Length: 2", b"content-length: 2", body=b"{}")),
        entry(head(POST, b"Host: x", b"Content-Length : 2", body=b"{}")),
        entry(head(POST, b"Host: x", b"Content-Length\t: 2", body=b"{}")),
        entry(head(POST, b"Host: x", b"Content-Length: 2\r\n 2", body=b"{}")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding: chunked", b"Content-Length: 2", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Content-Length: 2", b"Transfer-Encoding: identity", body=b"{}")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding: chunked",
              b"Transfer-Encoding: identity", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding: chunked",
              b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding: gzip",
              b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
              differs="gzip and chunked in two fields"),
        entry(head(POST, b"Host: x", b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding\x0b: chunked", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding: chunked\r\n ", body=b"0\r\n\r\n")),
        entry(head(POST, b"Host: x", b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n")),
        entry(head(b"POST /apps/main/events HTTP/1.0\r\n", b"Host: x",
              b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
              differs="chunked in HTTP/1.0"),
        entry(head(GET), differs="no Host"),  # Node answers it, and reads on behind it
        entry(head(GET, b"Host: x", b"Host: x"), differs="two Host"),
        entry(head(GET, b"Host: x", b"Host: y"), differs="two Host"),
        entry(head(GET, b"Host: x", b"A: b", b"host: y"), differs="two Host"),
        entry(head(b"GET http://y/live HTTP/1.1\r\n", b"Host: x"), differs="absolute-form"),
        entry(head(b"GET http://y HTTP/1.1\r\n", b"Host: x"), differs="absolute-form"),
        entry(head(b"GET http://x:81/live HTTP/1.1\r\n", b"Host: x"), differs="absolute-form"),
        entry(head(b"GET http://u@x/live HTTP/1.1\r\n", b"Host: x"), differs="absolute-form"),
        entry(head(b"GET ftp://x/live HTTP/1.1\r\n", b"Host: x"), differs="absolute-form"),
        entry(head(b"GET /live HTTP/2.0\r\n", b"Host: x"), 505, VERSIONS),
        entry(head(b"GET /live HTTP/3.0\r\n", b"Host: x"), 505),
        entry(head(b"GET /live HTTP/0.9\r\n", b"Host: x"), differs=VERSIONS),
        entry(head(b"GET /live HTTP/1.9\r\n", b"Host: x")),
        entry(head(b"GET /live HTTP/1.2\r\n", b"Host: x")),
        entry(b"\r\n\r\n" + head(GET, b"Host: x"), differs="empty lines in front"),
        entry(b"\n" + head(GET, b"Host: x"), differs="empty lines in front"),
        entry(b"\r" + head(GET, b"Host: x"), differs="empty lines in front"),
        entry(b" \r\n" + head(GET, b"Host: x")),
        entry(b"GET /live HTTP/1.1\n" + HOST + b"\r\n"),
        entry(b"GET /live HTTP/1.1\nHost: x\n\n"),
        entry(GET + b"Host: x\n\r\n"),
        entry(GET + b"Host: x\r\n\n"),
        entry(GET + b"Host: x\r\r\n\r\n"),
        entry(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + head(GET, b"Host: x")),
        entry(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + head(GET, b"Host: x")),
        entry(UPGRADE + b"Content-Length: 5\r\n\r\nhello", differs="body on an upgrade"),
        entry(UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", differs="body on an upgrade"),
    ])

ACCEPTED = [
    head(GET, b"Host: x"), head(GET, b"host:x"), head(GET, b"HOST: \t x \t "), head(GET, b"Host: x:80"),
    head(GET, b"Host: [::1]:80"), b"\r\n" + head(GET, b"Host: x"),
    head(b"HEAD /live HTTP/1.1\r\n", b"Host: x"),
    head(b"OPTIONS * HTTP/1.1\r\n", b"Host: x"), head(b"OPTIONS /live HTTP/1.1\r\n", b"Host: x"),
    head(b"DELETE /live?a=b&c HTTP/1.1\r\n", b"Host: x"),
    head(b"GET /live?a=%00%zz&;=[]|\"<> HTTP/1.1\r\n", b"Host: x"),
    head(b"GET //live/../x HTTP/1.1\r\n", b"Host: x"), head(b"GET http://x/live?q HTTP/1.1\r\n", b"Host: x"),
    head(b"GET /live HTTP/1.0\r\n", b"Host: x"), head(b"GET /live HTTP/1.0\r\n"),
    head(b"GET /live HTTP/1.0\r\n", b"Host: x", b"Connection: keep-alive"),
    head(GET, b"Host: x", b"Connection: close"), head(GET, b"Host: x", b"Connection: x, close , y"),
    head(GET, b"Host: x", b"A:"), head(GET, b"Host: x", b"A: \t"), head(GET, b"Host: x", b"A: b\tc"),
    head(GET, b"Host: x", b"A: \xe9\xff\x80"), head(GET, b"Host: x", b"!#$%&'*+-.^_`|~09aZ: b"),
    head(GET, b"Host: x", b"A: b: c"), head(GET, b"Host: x", *[b"A%d: b" % i for i in range(98)]),
    head(GET, b"Host: x", b"Content-Length: 0"), head(GET, b"Host: x", b"Content-Length: 2", body=b"{}"),
    head(POST, b"Host: x", b"Content-Length: 0"), head(POST, b"Host: x", b"Content-Length: 2", body=b"{}"),
    head(POST, b"Host: x", b"content-LENGTH:\t2 ", body=b"{}"),
    head(POST, b"Host: x", b"Content-Length: 0002", body=b"{}"),
    head(POST, b"Host: x", b"Content-Length: %d" % len(NEXT), body=NEXT),
    head(POST, b"Host: x", b"Content-Length: 20000", body=NEXT * 571 + b"x" * (20000 - 571 * len(NEXT))),
    head(POST, b"Host: x", b"Content-Length: 2", b"Expect: 100-continue", body=b"{}"),
    CHUNKED + b"0\r\n\r\n", CHUNKED + b"2\r\n{}\r\n0\r\n\r\n", CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    CHUNKED + b"0002\r\n{}\r\n000\r\n\r\n", CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n",
    CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n",
    CHUNKED + b"2;a=b\r\n{}\r\n0;c\r\n\r\n", CHUNKED + b"2;a=\"b\"\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"2\r\n{}\r\n0\r\nA: b\r\nB: c\r\n\r\n", CHUNKED + b"%x\r\n" % len(NEXT) + NEXT + b"\r\n0\r\n\r\n",
    CHUNKED + b"2\r\n\r\n\r\n0\r\n\r\n",
    CHUNKED.replace(b"chunked", b"Chunked") + b"0\r\n\r\n", CHUNKED.replace(b": chunked",
    b":CHUNKED \t") + b"0\r\n\r\n",
    head(GET, b"Host: x", b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    head(GET, b"Host: x", b"Upgrade: h2c"), head(POST, b"Host: x", b"Upgrade: h2c", b"Content-Length: 0"),
]
