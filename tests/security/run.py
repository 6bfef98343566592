#!/usr/bin/env python3
"""tests/security/run.py SERVER [CASE...] - attacks, and what the server must keep up under them.

SERVER is a release build: sanitizers keep memory that has been freed, and the limits here are small.
Only the cases of the last section mean something with a sanitized one, which looks for leaks too.
"""
import base64
import ctypes
import functools
import glob
import json
import os
import random
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from corpus import NEXT, POST, REFUSED
from kit import (WAIT, Client, Port, Problem, Server, Wire, app, auth, certificate, expect, frame, hear, mac,
                 read_response, run, say, signed, subscribe)

BINARY = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
CASES = []
MIB = 1 << 20


def case(**options):
    """A case with a server that must end well afterwards."""
    def make(function):
        @functools.wraps(function)
        def whole():
            s = Server(BINARY, **{k: v() if k == "preload" else v for k, v in options.items()})
            good = False
            try:
                why = function(s)
                good = True
                return why
            finally:
                try:
                    s.close(cleanly=good)
                except Problem:
                    if good:
                        raise
        CASES.append(whole)
        return whole
    return make


def lone(function):
    CASES.append(function)
    return function


def handshake(path="/app/main-key?protocol=7", more=()):
    lines = ["GET %s HTTP/1.1" % path, "Host: x", "Upgrade: websocket", "Connection: Upgrade",
             "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode(),
             "Sec-WebSocket-Version: 13", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def lives(s):
    c = s.client()
    c.fence(WAIT)
    c.wire.close()


# ---- exhaustion ----

def small_table():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


SANITIZED = False


def library():
    """The fault library, built beside the server; a sanitizer must come first and keeps its malloc."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "fault", "fault.c")
    out = os.path.join(os.path.dirname(BINARY), "fault.so")
    subprocess.run(["cc", "-O1", "-g", "-shared", "-fPIC", "-Wall", *(["-DNO_MALLOC"] if SANITIZED else []),
                    "-o", out, source, "-ldl"], check=True)
    if not SANITIZED:
        return out
    runtime = subprocess.check_output(["cc", "-print-file-name=libasan.so"], text=True).strip()
    return os.path.realpath(runtime) + ":" + out


def round_begin(s, at):
    """From here on calls are counted; the at-th fails, 0: none."""
    if ctypes.CDLL(None).sigqueue(s.pid, 10, ctypes.c_void_p(at)) != 0:
        raise Problem("no signal")


def round_end(s):
    """Gives how many calls there were."""
    before = s.text.count("fault: ")
    os.kill(s.pid, 12)
    s.until(lambda: s.text.count("fault: "), lambda n: n > before or s.process.poll() is not None)
    expect(s.process.poll() is None, "it has ended")
    return int(s.text.rpartition("fault: ")[2].split(" ")[0])


@case(before=small_table, config={"activity_timeout": 600}, preload=library, env={"FAULT_CALL": "accept4"})
def descriptors_run_out(s):
    """SEC-5: of 400 clients who stay as long as they may some are told that the node is full; it does
    not spin, logs and metrics work, and when some leave others come in."""
    inside, refused, rest = [], 0, []
    for _ in range(400):
        wire = Wire(s.port)
        wire.send(handshake())
        rest.append(wire)
    for wire in rest:
        expect(read_response(wire, WAIT).status == 101, "no handshake")
        while len(wire.rest) < 4 or b'"' not in wire.rest:
            wire.more(time.monotonic() + WAIT)
        if b'"code":4100' in wire.rest:
            refused += 1
            wire.close()
        else:
            expect(b"connection_established" in wire.rest, wire.rest)
            inside.append(wire)
    expect(60 <= len(inside) <= 112 and refused >= 250, "%d inside, %d refused" % (len(inside), refused))
    expect(s.metric("connected") == len(inside), "the metrics count other clients")
    expect(s.publish("a", "x").status in (200, 503), "a publish is answered")
    idle = [socket.create_connection(("127.0.0.1", int(s.port))) for _ in range(150)] # nobody says anything
    expect(s.metric("connected") == len(inside), "no scrape")
    begin, cpu = time.monotonic(), s.cpu()
    round_begin(s, 0)
    time.sleep(1)  # meanwhile each listener tries again after 100 ms; one that spins does so 10^6 times
    calls, seconds = round_end(s), time.monotonic() - begin
    print("     %d calls of accept and %.2f s of CPU in %.1f s" % (calls, s.cpu() - cpu, seconds))
    expect(calls <= 1000 * seconds, "it spins: %d calls of accept in %.1f s" % (calls, seconds))
    for sock in idle:
        sock.close()
    for wire in inside[:30]:
        wire.close()
    s.until(lambda: s.metric("connected"), lambda n: n == len(inside) - 30)

    def comes_in():  # those idle ones who were never accepted stand in front of it, and go first
        try:
            return s.client()
        except Problem:
            return None

    s.until(comes_in, lambda c: c is not None).fence(WAIT)
    s.wait_log("accepting nobody until a connection ends")


@case(config={"websocket": {"max_messages": 0, "max_bytes": 1 << 30, "max_backpressure": 1 << 30},
              "memory_limit_mb": 96})
def slow_readers_go_at_the_memory_limit(s):
    """SEC-14: near the limit publishes get 503 and new sockets 4100, then those close who do not read,
    who wait for most first; the others stay and hear everything, and the metrics can be read."""
    sender, good = s.client(), s.client()
    slow = [s.client(rcvbuf=4096) for _ in range(12)]
    behind = s.client(rcvbuf=4096)  # it reads a little less than is said
    for c in (sender, good, *slow, behind):
        subscribe(c, "private-news")
        hear(c, "pusher_internal:subscription_succeeded")
    fill, sent, status = "x" * 9000, 0, 200
    while status == 200:
        if s.rss() > 60 * MIB:
            time.sleep(0.002)  # the server looks once a second, and should not find both lines passed
        status = s.publish("private-news", {"n": sent, "fill": fill}).status
        if status == 200:
            expect(json.loads(hear(good, "event")["data"])["n"] == sent, "the good one misses events")
            hear(sender, "event")
            hear(behind, "event") if sent % 3 else None
            sent += 1
        expect(sent < 20000, "memory never becomes short")
    expect(status == 503 and "closed" not in s.text, "%d: %s" % (status, s.text[-700:]))
    s.wait_log("memory is short, ")
    late = Client("late", s.port, "/app/main-key?protocol=7", [])
    late.finish_handshake(WAIT)
    item = late.next(WAIT)
    expect(item[1]["data"]["code"] == 4100, item)
    late.wire.close()
    while "unsent bytes" not in s.text:  # from clients it comes all the same
        say(sender, "client-more", fill + str(sent), "private-news")
        hear(good, "client-more")
        sent += 1
        expect(sent < 20000, "nobody is closed")
    expect(s.metric("connected") >= 2, "no scrape, or all are gone")
    for c in (sender, good):
        c.fence(WAIT)
        expect(not any(item[0] in ("close", "end") for item in c.queue), "one that reads was closed")
        c.queue = []
    for c in (*slow, behind):  # what it has not read may be less than is shed for, and still too much
        c.wire.close()
    s.wait_log("memory is no longer short")
    expect(s.publish("private-news", "again").status == 200, "publishing does not come back")
    hear(good, "event")


def vanish(sock):
    """From here on the kernel drops what comes for it: its peer hears neither data nor acknowledgement."""
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # one BPF instruction: keep 0 bytes
    sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(nothing)))  # SO_ATTACH_FILTER


@case(config={"activity_timeout": 600, "rate_limiter": {"enabled": False, "api_rate_limit": {"trust_hops": 1}}})
def slow_clients_are_gone(s):
    """SEC-1: a thousand heads and bodies that come a byte at a time end at their deadlines, 10 s and 30 s,
    and meanwhile others are served. (TLS: talk t011; exact times: unit api_http.)
    SEC-3: so does one whose packets vanish while data waits for him."""
    lost, other = s.client(), s.client()
    subscribe(lost, "a")
    hear(lost, "pusher_internal:subscription_succeeded")
    vanish(lost.wire.sock)
    expect(s.publish("a", "never acknowledged").status == 200, "publish")
    body = b" " * 400
    head = signed("POST", "/apps/main/events", body)
    wires = [Wire(s.port) for _ in range(1000)]
    texts = [(handshake(), head, body)[i % 3] for i in range(1000)]
    for wire, text in zip(wires, texts):
        if text is body:
            wire.send(head)
    ended, at, until = 0, 0, time.monotonic() + 30 + WAIT
    while ended < len(wires) and time.monotonic() < until:
        ended = 0
        for wire, text in zip(wires, texts):
            if wire.ended:
                ended += 1
                continue
            wire.send(text[at:at + 1])
            wire.sock.setblocking(False)
            try:
                if not wire.sock.recv(4096):
                    wire.ended = "end"
            except BlockingIOError:
                pass
            except OSError:
                wire.ended = "reset"
        at += 1
        other.fence(WAIT)
        time.sleep(0.4)
    expect(ended == len(wires), "%d of %d are gone" % (ended, len(wires)))
    s.until(lambda: s.metric("connected"), lambda n: n == 1)
    other.fence(WAIT)


@case()
def memory_per_message(s):
    """SEC-10: what is declared costs nothing before it comes; nor do fragments without end or Pings
    whose answers nobody reads."""
    for warm in (True, False):
        before = s.rss()
        for n in (1 << 31, 1 << 63, (1 << 64) - 1):
            c = s.client()
            c.wire.send(b"\x81\xff" + struct.pack(">Q", n) + b"\0\0\0\0" + b"x" * 100)
            item = c.next(WAIT)
            while item[0] not in ("close", "end"):
                item = c.next(WAIT)
            expect(item[0] == "close" and item[1] in (1002, 1009), item)
            c.wire.close()
        for n in (str(1 << 31), str(1 << 63), str((1 << 64) - 1)):
            expect(s.raw(b"POST /apps/main/events HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n" % n.encode())
                   .startswith(b"HTTP/1.1 4"), n)
        for piece in (b"x", b""):
            c = s.client()
            c.wire.send(frame(1, b"", fin=False))
            for _ in range(100 if not warm else 1):
                c.wire.send(frame(0, piece, fin=False) * 600)
            c.wire.send(frame(9, b"still there"))
            item = c.next(WAIT)
            expect(item in (("pong", b"still there"),) or item[0] == "close", item)
            c.wire.close()
        c = s.client(rcvbuf=2048)
        c.wire.sock.settimeout(0.5)
        pings, sent = frame(9, b"p" * 100) * 500, 0
        try:
            for _ in range(600 if not warm else 20):
                c.wire.sock.sendall(pings)
                sent += 500
        except socket.timeout:
            pass
        s.metrics()
        grown = s.rss() - before
        c.wire.close()
        s.until(lambda: s.metric("connected"), lambda n: n == 0)
    expect(grown <= MIB + MIB // 2, "%d KiB more after %d Pings" % (grown >> 10, sent))


@case(config={"websocket": {"max_message_size": 1 << 20, "compression": "shared"}})
def inflated_messages_are_bounded(s):
    """SEC-11: 64 KiB that would become 64 MiB: Close 1009, and no such memory."""
    import zlib
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(b" " * (64 * MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    expect(len(bomb) < 70000, "the bomb is too big")
    before = 0
    for _ in range(2):
        before = s.rss()
        c = s.client(headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])
        expect(c.response.all("sec-websocket-extensions"), "no compression")
        c.wire.send(frame(1, bomb[:-4], rsv=4))
        item = c.next(WAIT)
        expect(item[:2] == ("close", 1009), item)
        c.wire.close()
        s.until(lambda: s.metric("connected"), lambda n: n == 0)
    expect(s.rss() - before <= MIB, "%d KiB more" % ((s.rss() - before) >> 10))


def heap(kind):
    """Thousands of messages, every second one an event that the others hear."""
    event = frame(1, b'{"event":"client-x","channel":"presence-a","data":{}}')
    between = {
        "events": lambda i: {"event": "pusher:ping", "data": {}},
        "subscribes": lambda i: {"event": "pusher:subscribe", "data": {"channel": "c%d" % i}},
        "sign-ins": lambda i: {"event": "pusher:signin", "data": {"auth": "main-key:0", "user_data": "{}"}}}[kind]
    return b"".join(event + frame(1, json.dumps(between(i)).encode()) for i in range(9000))


@case()
def one_client_at_full_rate(s):
    """SEC-12: what one client has sent in a heap does not stand in front of what another sends later:
    of the heap only what belongs to a turn or two comes first."""
    for kind in ("events", "subscribes", "sign-ins"):
        heavy, light = s.client(), s.client()
        for i, c in enumerate((heavy, light)):
            subscribe(c, "presence-a", '{"user_id":"%d"}' % i)
            hear(c, "pusher_internal:subscription_succeeded")
        light.fence(WAIT)
        light.queue = []
        os.kill(s.pid, 19)
        try:
            heavy.wire.sock.setblocking(False)
            sent = heavy.wire.sock.send(heap(kind))
            say(light, "pusher:ping", {})
        finally:
            os.kill(s.pid, 18)
        before, behind = 0, 0
        while True:
            item = light.next(WAIT)
            expect(item[0] == "text", item)
            if item[1]["event"] == "pusher:pong":
                break
            before += item[1]["event"] == "client-x"
        while behind < 500:
            behind += light.next(WAIT)[1]["event"] == "client-x"
        expect(before <= 128, "%s: %d events of %d bytes stood in front" % (kind, before, sent))
        for c in (heavy, light):
            c.wire.close()
        s.until(lambda: s.metric("connected"), lambda n: n == 0)


@case(config={"websocket_max_payload_kb": 1024})
def subscriptions_have_an_end(s):
    """SEC-13: the 10,001st is refused, the others stay. (R12, R13: unit conn_conn.)"""
    c = s.client()
    for base in range(0, 10000, 500):
        c.wire.send(b"".join(frame(1, json.dumps(
            {"event": "pusher:subscribe", "data": {"channel": "c%d" % i}}).encode())
            for i in range(base, base + 500)))
        for _ in range(500):
            hear(c, "pusher_internal:subscription_succeeded")
    subscribe(c, "one-too-many")
    got = hear(c, "pusher:subscription_error")
    expect(got["channel"] == "one-too-many" and got["data"]["status"] == 4100, got)
    expect(s.publish("c9999", "x").status == 200, "no publish")
    hear(c, "event")


def sign_in(c, user):
    text = json.dumps(user)
    say(c, "pusher:signin", {"user_data": text, "auth": "%s-key:%s" % (
        c.app, mac(c.app + "-secret", "%s::user::%s" % (c.id, text)))})


def churn(s, clients, rounds):
    """Gives resident memory after each round."""
    sizes, open_before = [], s.descriptors()
    for _ in range(rounds):
        wires = []
        for i in range(clients):
            wire = Wire(s.port)
            text = json.dumps({"event": "pusher:subscribe", "data": {"channel": "c%d" % (i % 50)}})
            wire.send(handshake() + frame(1, text.encode()))
            wires.append(wire)
        for wire in wires:
            while b"subscription_succeeded" not in wire.rest:
                expect(wire.more(time.monotonic() + WAIT), "ended")
        for i, wire in enumerate(wires):
            (wire.reset if i % 2 else wire.close)()
        s.until(lambda: s.metric("connected"), lambda n: n == 0)
        s.until(s.descriptors, lambda n: n <= open_before + 1)
        answer = s.request("GET", "/apps/main/channels")
        expect(json.loads(answer.body) == {"channels": {}}, answer.body)
        sizes.append(s.rss())
    expect(sizes[-1] <= sizes[1] + MIB, "grows: %s KiB" % [n >> 10 for n in sizes])


@case()
def churn_leaves_nothing(s):
    """SEC-15"""
    churn(s, 2000, 5)


@case(tls=True)
def churn_over_tls_leaves_nothing(s):
    """SEC-15"""
    churn(s, 300, 5)


@case()
def memory_goes_back(s):
    """performance.md S6: what 6,000 clients needed is given back after they left."""
    def thousands():
        clients = []
        for _ in range(6000):
            wire = Wire(s.port)
            wire.send(handshake())
            clients.append(wire)
        for wire in clients:
            while b"connection_established" not in wire.rest:
                expect(wire.more(time.monotonic() + WAIT), "ended")
        return clients
    lives(s)
    before, clients = s.rss(), thousands()
    peak = s.rss()
    for wire in clients:
        wire.close()
    left = s.until(s.rss, lambda n: n - before <= (peak - before) // 2)
    print("     %d KiB before, %d with 6,000, %d after" % (before >> 10, peak >> 10, left >> 10))


@case(tls=True)
def idle_tls_keeps_no_buffers(s):
    """performance.md P6: OpenSSL's buffers are given back while nothing is on its way; an idle connection
    has 14 KB, with them 24."""
    def some(n):
        clients = [s.client() for _ in range(n)]
        for c in clients:
            c.fence(WAIT)  # both directions were used
        return clients
    kept = some(100)
    before = s.rss()
    kept += some(400)
    each = (s.rss() - before) / 400
    print("     %d bytes each" % each)
    expect(each < 19000, "%d bytes for each idle connection" % each)
    expect(len(kept) == 500, "all are here")


# ---- HTTP ----

ROUTES = ["/apps/main/events", "/apps/main/batch_events", "/apps/main/channels", "/apps/main/channels/a",
          "/apps/main/channels/presence-a/users", "/apps/main/users/u/terminate_connections",
          "/apps/main/users/u/force_reconnect", "/users/u/terminate_connections", "/app/main-key", "/", "/up",
          "/up/main", "/ready", "/live", "/accept-traffic", "/usage", "/stats", "/operator/stats", "/metrics",
          "/nothing"]


@case()
def every_route_and_method(s):
    """SEC-9: without, with an empty and with half a body, signed or not: an answer or a close."""
    for path in ROUTES:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "X"):
            line = b"%s %s HTTP/1.1\r\nHost: x\r\n" % (method.encode(), path.encode())
            for more in (b"\r\n", b"Content-Length: 0\r\n\r\n", b"Content-Length: 10\r\n\r\n{\"na",
                         b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
                wire = Wire(s.port)
                wire.send(line + more)
                wire.sock.shutdown(socket.SHUT_WR)
                while wire.more(time.monotonic() + WAIT):
                    pass
                expect(not wire.rest or wire.rest.startswith(b"HTTP/1.1 "), wire.rest)
                wire.close()
        head = signed("POST", path, b"{}")
        wire = Wire(s.port)
        wire.send(head + b"{")
        wire.sock.shutdown(socket.SHUT_WR)
        while wire.more(time.monotonic() + WAIT):
            pass
        wire.close()
    lives(s)


@case()
def smuggling(s):
    """SEC-17: every one gets one 400 and a close, in one piece or byte by byte; what stands behind it
    is never answered. (And what llhttp makes of them: llhttp.py.)"""
    line = signed("POST", "/apps/main/events", b"{}").split(b"\r\n")[0] + b"\r\n"
    for text, status, _ in REFUSED:
        text = text.replace(POST, line, 1)
        for cut in (False, len(text) < 500):
            wire = Wire(s.port)
            if cut:
                for i in range(len(text)):
                    wire.send(text[i:i + 1])
                wire.send(NEXT)
            else:
                wire.send(text + NEXT)
            while wire.more(time.monotonic() + WAIT):
                pass
            wire.close()
            expect(wire.rest.startswith(b"HTTP/1.1 %d " % status) and wire.rest.count(b"HTTP/1.1 ") == 1,
                   "%r: %r" % (text, wire.rest))


@case()
def refused_upgrades_close(s):
    """SEC-18: a request behind a refused upgrade gets no answer; what is behind an accepted one is
    never read as HTTP."""
    good = handshake()
    for text in (good.replace(b"Version: 13", b"Version: 12"), good.replace(b"/app/", b"/other/"),
                 good.replace(b"Connection: Upgrade", b"Connection: close"),
                 good.replace(b"GET", b"POST"), good.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
                 good.replace(b"MDEyMzQ1Njc4OWFiY2RlZg==", b"short")):
        got = s.raw(text + NEXT)
        expect(got.count(b"HTTP/1.1 ") == 1 and b"HTTP/1.1 101" not in got, "%r: %r" % (text, got))
    got = s.raw(good + NEXT)
    expect(got.startswith(b"HTTP/1.1 101") and got.count(b"HTTP/1.1 ") == 1, got)


@case()
def heads_and_chunks_have_limits(s):
    """SEC-6"""
    for more, status in ((98, b"200"), (99, b"400")):  # and two of our own
        fields = b"".join(b"a%d: b\r\n" % i for i in range(more))
        got = s.raw(b"GET /live HTTP/1.1\r\nHost: x\r\n" + fields + b"Connection: close\r\n\r\n")
        expect(got.startswith(b"HTTP/1.1 " + status), "%d fields: %r" % (more + 2, got[:40]))
    line = b"GET /live HTTP/1.1\r\nHost: x\r\nA: "
    expect(s.raw(line + b"b" * (16 * 1024 + 1 - len(line) - 4) + b"\r\n\r\n").startswith(b"HTTP/1.1 431"), "head")
    head = signed("POST", "/apps/main/events").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    expect(s.raw(head + b"1;" + b"x" * 255 + b"\r\n").startswith(b"HTTP/1.1 400"), "chunk line")


@case()
def reset_and_garbage_at_each_byte(s):
    """SEC-8: at each byte of the handshake and of the first frame; the counts are exact behind it."""
    whole = handshake() + frame(1, b'{"event":"pusher:subscribe","data":{"channel":"a"}}')
    rng = random.Random(8)
    for i in range(len(whole)):
        for end in ("cut", "reset", "garbage", "bits"):
            wire = Wire(s.port)
            wire.send(whole[:i])
            if end == "garbage":
                wire.send(bytes(rng.randrange(256) for _ in range(50)))
            if end == "bits":
                wire.send(bytes([whole[i] ^ 0x70]) + whole[i + 1:])
            (wire.reset if end != "cut" else wire.close)()
    s.until(lambda: s.metric("connected"), lambda n: n == 0)
    answer = s.request("GET", "/apps/main/channels")
    expect(json.loads(answer.body) == {"channels": {}}, answer.body)
    lives(s)


@case()
def odd_json(s):
    """SEC-19: deep, long and huge is refused or kept as text, and takes no time."""
    for depth, status in ((126, 200), (129, 400)):
        data = b'{"name":"e","channel":"a","data":' + b"[" * depth + b"]" * depth + b"}"
        expect(s.request("POST", "/apps/main/events", data).status == status, depth)
    before = s.cpu()
    expect(s.request("POST", "/apps/main/events", b"[" * (10 * MIB)).status == 400, "brackets")
    c = s.client()
    subscribe(c, "a")
    hear(c, "pusher_internal:subscription_succeeded")
    for number in ("1e999999", "-0", "1" * 100, "1." + "0" * 100 + "1"):
        s.request("POST", "/apps/main/events", b'{"name":"e","channel":"a","data":[%s]}' % number.encode())
        got = hear(c, "e")["data"]
        expect(got == "[%s]" % number, got)
    answer = s.request("POST", "/apps/main/events", b'{"name":"e","channel":"a","data":%s}' % (b"1" * 1000000))
    expect(answer.status in (200, 413, 400), answer.status)
    expect(s.cpu() - before < 2, "%.1f s of CPU" % (s.cpu() - before))
    for id, good in (("1" * 256, True), ("1" * 257, False)):
        d = s.client()
        subscribe(d, "presence-n", '{"user_id":%s}' % id)
        if good:
            hear(d, "pusher_internal:subscription_succeeded")
        else:
            hear(d, "pusher:subscription_error")


# As many connections as the case makes: one more is too many, whoever else is connected.
COLONS = [app("a", max_connections=6), app("a:cache-x", max_connections=2), app("a:b", max_connections=4)]


@case(apps=COLONS)
def apps_with_colons_stay_apart(s):
    """SEC-21: names that cross when they are joined share no event, count, member, cached event or
    limit."""
    names = [("a", "cache-x"), ("a:cache-x", "cache-x"), ("a", "b"), ("a:b", "b"), ("a", "presence-b"),
             ("a:b", "presence-b")]
    clients = []

    def join(app_id, channel, user):
        c = s.client(app_id)
        subscribe(c, channel, json.dumps({"user_id": user}) if channel.startswith("presence-") else None)
        return c, hear(c, "pusher_internal:subscription_succeeded")["data"]

    def path(app_id, rest=""):
        return "/apps/%s/channels%s" % (app_id.replace(":", "%3A"), rest)
    for app_id, channel in names:
        c, data = join(app_id, channel, "of " + app_id)
        if channel.startswith("cache-"):
            hear(c, "pusher:cache_miss")
        if channel.startswith("presence-"):
            expect(json.loads(data)["presence"]["ids"] == ["of " + app_id], data)
        clients.append(c)
    for i, (app_id, channel) in enumerate(names):
        expect(s.publish(channel, "of %d" % i, app_id).status == 200, app_id)
        expect(hear(clients[i], "event")["data"] == "of %d" % i, app_id)
    for i, (app_id, channel) in enumerate(names):
        clients[i].fence(WAIT)
        expect(not clients[i].queue, "%r heard %r" % (names[i], clients[i].queue))
        late, _ = join(app_id, channel, "late")
        if channel.startswith("cache-"):
            expect(hear(late, "event")["data"] == "of %d" % i, "another's cached event")
        if channel.startswith("presence-"):
            got = json.loads(s.request("GET", path(app_id, "/%s/users" % channel), app_id=app_id).body)
            expect([u["id"] for u in got["users"]] == ["of " + app_id, "late"], got)
    for app_id in ("a", "a:b", "a:cache-x"):
        got = json.loads(s.request("GET", path(app_id), app_id=app_id).body)
        expect(set(got["channels"]) == {n for a, n in names if a == app_id}, got)
        full = Client("full", s.port, "/app/%s-key?protocol=7" % app_id, [])
        full.finish_handshake(WAIT)
        expect(full.next(WAIT)[1]["data"]["code"] == 4004, "its own limit")
        full.wire.close()


@case()
def signatures_of_others(s):
    """SEC-22: each guarded kind without, with a wrong, another socket's, another channel's and another
    app's signature."""
    c, other, member = s.client(), s.client(), '{"user_id":"1"}'
    for channel in ("private-a", "presence-a", "private-encrypted-a", "private-cache-a", "presence-cache-a",
                    "private-encrypted-cache-a"):
        data = member if channel.startswith("presence") else None
        good = auth(c, channel, data)
        for text in (None, "", "main-key", ":", "main-key:", good[:-1], good[:-1] + ("0" if good[-1] != "0" else "1"),
                     good.replace("main-key", "other-key"), auth(other, channel, data), auth(c, channel + "b", data),
                     auth(c, channel, data, app_id="other"), auth(c, channel, '{"user_id":"2"}'), good + " ",
                     "main-key:" + "0" * 64, "main-key:" + "0" * 50000):
            body = {"channel": channel, "channel_data": member} if data else {"channel": channel}
            if text is not None:
                body["auth"] = text
            say(c, "pusher:subscribe", body)
            got = hear(c, "pusher:subscription_error")
            expect(got["channel"] == channel, got)
    subscribe(c, "#server-to-user-1")
    hear(c, "pusher:subscription_error")
    answer = s.request("GET", "/apps/main/channels")
    expect(json.loads(answer.body) == {"channels": {}}, answer.body)


@case(config={"rate_limiter": {"enabled": True, "api_rate_limit": {"max_requests": 3, "window_seconds": 3600,
                                                                   "trust_hops": 1},
                               "websocket_rate_limit": {"max_requests": 100000, "trust_hops": 1}}})
def forwarded_lists(s):
    """SEC-23: of 0 to 4,000 entries, empty ones and junk: the limit counts the last one, however many
    stand in front."""
    def get(value):
        more = [] if value is None else ["X-Forwarded-For: " + value]
        return s.request("GET", "/apps/main/channels", headers=more).status
    for last in ("192.0.2.1", "2001:db8:1::1", "[2001:db8:2::1]:443", "192.0.2.3:80"):
        for front in ("", "junk, ", "1.1.1.1," * 1900, ", ,,,  ,"):
            expected = 429 if front == ", ,,,  ," else 200
            expect(get(front + last) == expected, "%s behind %r" % (last, front[:20]))
    for value in (None, "", ",", "junk", ", ," * 4000, "1.2.3.4," * 1000 + "999.1.1.1"):
        expect(get(value) in (200, 429), value)
    lives(s)


@case()
def two_origins(s):
    """SEC-23"""
    expect(s.raw(handshake(more=["Origin: https://a", "Origin: https://b"])).startswith(b"HTTP/1.1 400"), "two")
    for origin in ("null", "x" * 8000, "https://a\\b"):
        wire = Wire(s.port)
        wire.send(handshake(more=["Origin: " + origin]))
        expect(read_response(wire, WAIT).status in (101, 400), origin)
        wire.close()


@case(env={"RUST_LOG": "trace"})
def ids_that_look_like_commands(s):
    """SEC-26, R18: in names, ids and paths they are only text; no line of the log begins inside one,
    and no peer's text is long there."""
    odd = ["a\r\nSET x 1", "%s%n%d", "*", ">", "{}", "'; DROP TABLE applications; --", "\u2028\u0000", "..", "x" * 5000]
    c = s.client()
    for text in odd:
        member = json.dumps({"user_id": text[:200]})
        subscribe(c, "presence-a", member)
        say(c, "client-" + text, text, "presence-a")
        sign_in(c, {"id": text[:200]})
        say(c, "pusher:subscribe", {"channel": text})
        say(c, "pusher:unsubscribe", {"channel": text})
        c.send_text(text)
        try:
            c.fence(WAIT)
        except Problem:
            c = s.client()
        if any(item[0] in ("close", "end") for item in c.queue):
            c = s.client()
        c.queue = []
        s.publish(text, text)
        s.publish("a", "x", name=text)
    import urllib.parse
    for text in odd:
        path = urllib.parse.quote(text[:500].encode(), safe="")
        for before, behind in (("/apps/", "/events"), ("/app/", ""), ("/apps/main/channels/", ""), ("/up/", ""),
                               ("/apps/main/users/", "/terminate_connections")):
            s.raw(b"GET %s%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (
                before.encode(), path.encode(), behind.encode()))
    lives(s)
    for line in s.text.split("\n"):
        expect(not line.startswith("SET x") and "x" * 300 not in line, line[:200])
        expect("\r" not in line and "\0" not in line, repr(line[:200]))


MARK = "S3cr3tMark"


def run_as_other(uid):
    def become():
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(uid)
    return become


@lone
def secrets_stay_inside():
    """SEC-29: what each secret option holds is in no log at trace, answer, metric, argument or printed
    configuration; another process of the same user reads neither memory nor environment."""
    listed = subprocess.run([BINARY, "--help-config"], capture_output=True, text=True, check=True).stdout
    texts = re.findall(r"^(\S+)\n    (text|list of texts)\b", listed, re.M)
    config, marks = {}, {}
    for name, kind in texts:
        is_secret = re.search(r"(secret|password|token|passphrase|secret_access_key)$", name)
        if not is_secret and not re.search(r"[._](url|url_override|endpoint_url|servers)$", name):
            continue
        marks[name] = "%s%03dq" % (MARK, len(marks))
        at = config
        for part in name.split(".")[:-1]:
            at = at.setdefault(part, {})
        value = marks[name] if is_secret else "redis://user:%s@127.0.0.1:1" % marks[name]
        at[name.rpartition(".")[2]] = value if kind == "text" else [value]
    expect(len(marks) >= 15, marks)
    apps = [dict(app("main"), secret=MARK + "App", webhooks=[
        {"url": "http://127.0.0.1:1/", "event_types": ["channel_occupied"],
         "headers": {"Authorization": MARK + "Hook"}}])]
    printed = None
    s = Server(BINARY, config, env={"RUST_LOG": "trace"}, apps=apps)
    try:
        path = os.path.join(s.folder, "config.json")
        printed = subprocess.run([BINARY, "-c", path, "--print-config"], capture_output=True, text=True, check=False)
        expect(printed.returncode == 0 and MARK not in printed.stdout + printed.stderr, "printed: %s" % [
            n for n, m in marks.items() if m in printed.stdout])
        c = s.client()
        say(c, "pusher:subscribe", {"channel": "private-a", "auth": "main-key:" + MARK})
        hear(c, "pusher:subscription_error")
        subscribe(c, "a")
        hear(c, "pusher_internal:subscription_succeeded")
        for route in ROUTES:
            got = s.raw(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % route.encode())
            expect(MARK.encode() not in got, route)
        expect(MARK not in s.metrics(), "metrics")
        expect(MARK not in s.proc("cmdline"), "arguments")
        s.process.send_signal(1)
        s.wait_log("configuration reloaded")
        c.fence(WAIT)
    finally:
        s.close()
    expect(MARK not in s.text.replace("main-key:" + MARK, ""), "log")


@lone
def same_user_reads_nothing():
    """SEC-29: not the memory, not the environment; the metrics about the process still work."""
    if os.getuid() != 0:
        return "needs root to become another user"
    folder = tempfile.mkdtemp(prefix="security-")  # where the server lies nobody else may be let in
    binary = shutil.copy(BINARY, folder)
    os.chmod(folder, 0o755)
    s = Server(binary, env={"SOCKUDO_X": MARK}, before=run_as_other(65534))
    try:
        for what in ("environ", "maps", "mem"):
            got = subprocess.run(["cat", "/proc/%d/%s" % (s.pid, what)], capture_output=True, text=True,
                                 preexec_fn=run_as_other(65534), check=False)
            expect(not got.stdout and "Permission denied" in got.stderr, "%s: %s" % (what, got))
        text = s.metrics()
        for name in ("process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
            value = [line for line in text.split("\n") if line.split(" ")[0].endswith(name)]
            expect(value and float(value[0].rpartition(" ")[2]) > 0, "%s: %s" % (name, value))
    finally:
        s.close()
        shutil.rmtree(folder)
    return None


# ---- the system fails ----

LARGE = {"websocket_max_payload_kb": 65536, "websocket": {"compression": "shared"},
         "http_api": {"request_limit_in_mb": 64}, "event_limits": {"max_payload_in_kb": 65536}}


def answer_of(wire, request):
    """The status, or 0 if the connection ended first."""
    wire.send(request)
    try:
        return read_response(wire, WAIT).status
    except Problem:
        if not wire.ended:
            raise
        return 0


def big_publish(n, chunked=False):
    body = json.dumps({"name": "event", "channel": "a", "data": "\\" * (n // 4)}).encode()
    head = signed("POST", "/apps/main/events", body)
    if not chunked:
        return head + body
    return head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked") + b"".join(
        b"%x\r\n%s\r\n" % (len(body[i:i + 50000]), body[i:i + 50000]) for i in range(0, len(body), 50000)
    ) + b"0\r\n\r\n"


def big_message(n, deflate):
    text = b'{"event":"pusher:ping","data":"%s"}' % (b"x" * n)
    if not deflate:
        pieces = [text[i:i + 8 * MIB] for i in range(0, len(text), 8 * MIB)]
        return b"".join(frame(0 if i else 1, piece, fin=piece is pieces[-1]) for i, piece in enumerate(pieces))
    import zlib
    z = zlib.compressobj(1, zlib.DEFLATED, -15)
    return frame(1, (z.compress(text) + z.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv=4)


def answer_to_message(wire, message):
    """True: a Pong; a close code; or 0 if the connection ended without."""
    wire.send(message)
    while b"pusher:pong" not in wire.rest:
        found = re.search(rb"\x88[\x02-\x7d](..)", wire.rest, re.S)
        if found:
            return struct.unpack(">H", found[1])[0]
        if not wire.more(time.monotonic() + WAIT):
            return 0
    wire.rest = b""
    return True


def use(s, n):
    """Two clients, one with compression, a publish of n bytes in each way, which they hear, and messages
    of n bytes; whatever fails, is refused or cut, and nothing hangs."""
    subscribed = handshake(more=["Sec-WebSocket-Extensions: permessage-deflate"]), handshake()
    wires = []
    for text in subscribed:
        wire = Wire(s.port)
        wire.send(text + frame(1, b'{"event":"pusher:subscribe","data":{"channel":"a"}}'))
        while b"subscription_succeeded" not in wire.rest and wire.more(time.monotonic() + WAIT):
            pass
        wires.append(wire)
    for chunked in (False, True):
        wire = Wire(s.port)
        expect(answer_of(wire, big_publish(n, chunked)) in (0, 200, 413, 503), "another status")
        wire.close()
    for wire, deflate in zip(wires, (True, False)):
        if not wire.ended:
            expect(answer_to_message(wire, big_message(n, deflate)) in (True, 0, 1009), "another close")
        wire.close()


def numbers(most):
    n = 1
    while n <= most:
        yield n
        n += 1 if n < 24 else n // 4


def rounds(s, call):
    """Lets call after call fail until there are no more. Gives the last."""
    before, n = s.descriptors(), 0
    for n in numbers(500):
        round_begin(s, n)
        use(s, 300000)
        if round_end(s) < n:
            break
        s.until(s.descriptors, lambda k: k <= before + 1)
    lives(s)
    s.until(s.descriptors, lambda k: k <= before + 1)
    return n


@lone
def calls_fail():
    """SEC-32: the n-th accept4, recv, send, sendmsg, epoll_ctl, large allocation fails, once; the server
    goes on, loses no descriptor and ends well."""
    fault, told = library(), []
    for call in ("accept4", "recv", "send", "sendmsg", "epoll_ctl") + (() if SANITIZED else ("large",)):
        s, good = Server(BINARY, LARGE, preload=fault, env={"FAULT_CALL": call}), False
        try:
            use(s, 300000)
            told.append("%s to %d" % (call, rounds(s, call)))
            good = True
        except (Problem, OSError) as problem:
            raise Problem("%s: %s; %s" % (call, problem, s.text[-1500:])) from None
        finally:
            s.close(cleanly=good)
    print("     " + ", ".join(told))


@lone
def small_allocations_fail():
    """SEC-32: those of our own come from the reserve; a library's may end the process, and it says so."""
    if SANITIZED:
        return "a sanitizer keeps its malloc"
    fault, ends, n = library(), 0, 0
    s = None
    try:
        for n in numbers(500):
            if not s:
                s = Server(BINARY, LARGE, preload=fault, env={"FAULT_CALL": "small"})
                use(s, 300000)  # all threads run
            try:
                round_begin(s, n)
                use(s, 300000)
                if round_end(s) < n:
                    break
            except (Problem, OSError):
                s.process.wait(WAIT)
                s.wait_log("sockudo: (out of memory|internal error)")
                s.close(cleanly=False)
                s, ends = None, ends + 1
    finally:
        if s:
            s.close()
    print("     up to %d, %d of them ended it" % (n, ends))
    return None


@case(config=LARGE)
def no_room_for_the_large(s):
    """SEC-32, R10: without address space a large body gets 503, a large message 1009, a new socket
    perhaps 4100; when there is room again, all is well."""
    if SANITIZED:
        return "a sanitizer needs address space of its own; unit base_memory"
    use(s, 1 << 20)
    wires = []
    for _ in range(3):
        wire = Wire(s.port)
        wire.send(handshake(more=["Sec-WebSocket-Extensions: permessage-deflate"]))
        while b"established" not in wire.rest:
            expect(wire.more(time.monotonic() + WAIT), "no connection")
        wire.rest = b""
        wires.append(wire)
    now = int(s.proc("statm").split()[0]) * os.sysconf("SC_PAGESIZE")
    unlimited = resource.prlimit(s.pid, resource.RLIMIT_AS, (now + 8 * MIB, -1))
    for wire, deflate in zip(wires, (False, True)):
        got = answer_to_message(wire, big_message(50 * MIB, deflate))
        expect(got == 1009, "a message that has no room: %s" % got)
    for chunked in (False, True):
        expect(answer_of(Wire(s.port), big_publish(40 * MIB, chunked)) in (0, 503), "a body that has no room")
    expect(answer_of(Wire(s.port), big_publish(2 * MIB)) in (200, 503), "one that may have room")
    late = Wire(s.port)
    late.send(handshake())
    while b"established" not in late.rest and b"4100" not in late.rest:
        expect(late.more(time.monotonic() + WAIT), "no answer")
    expect(answer_to_message(wires[2], big_message(100, False)) is True, "those who are in are served")
    resource.prlimit(s.pid, resource.RLIMIT_AS, unlimited)
    s.until(lambda: answer_of(Wire(s.port), big_publish(40 * MIB)), lambda status: status == 200)
    s.until(lambda: answer_of(Wire(s.port), big_publish(100)), lambda status: status == 200)
    for wire in wires:
        wire.close()
    return None


@lone
def one_byte_at_a_time():
    """SEC-32: every send takes one byte, every recv gives one; all is said and heard all the same."""
    s = Server(BINARY, preload=library(), env={"FAULT_CALL": "short"})
    try:
        round_begin(s, 0)
        c = s.client()
        subscribe(c, "presence-a", '{"user_id":"1"}')
        hear(c, "pusher_internal:subscription_succeeded")
        expect(s.publish("presence-a", "x" * 500).status == 200, "publish")
        expect(hear(c, "event")["data"] == "x" * 500, "event")
        wire = Wire(s.port)
        for _ in range(3):
            wire.send(NEXT)
            expect(read_response(wire, WAIT).status == 200, "no answer")
    finally:
        s.close()


if __name__ == "__main__":
    if BINARY is None:
        sys.exit("usage: tests/security/run.py SERVER [CASE...]")
    with open(BINARY, "rb") as binary:
        SANITIZED = b"__asan_init" in binary.read()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.exit(run(CASES, "security"))
