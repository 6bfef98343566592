#!/usr/bin/env python3
"""tests/webhooks/run.py SERVER [NAME...] - webhooks from the WebSocket to the back end.

A stub back end records every request; the webhook helpers of the official libraries (npm and PyPI
`pusher`, where there is Go also pusher-http-go) judge the bytes. Each case has an app of its own, and
all of them run at the same time against one server; those that start or stop a server run after them.

That something does not happen is shown by something later that does: a fence event of the same app
(batches of an app come in order), or another channel that empties after it (the same grace).
"""
import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(os.path.dirname(HERE), "clients")
EVENTS = ["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event",
          "cache_miss", "subscription_count"]
WAIT_S = 30
GRACE_S = 3


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- the stub back end ---------------------------------------------------------------------

class Stub:
    """Records requests; `answer(path, count)` decides: a status, None to hang, or (status, headers)."""

    def __init__(self, context=None, host="127.0.0.1"):
        self.requests, self.answers = [], {}
        self.changed, self.ended = threading.Condition(), threading.Event()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = {"path": self.path, "headers": list(self.headers.items()), "body": body,
                           "at": time.time(), "status": None}
                with stub.changed:
                    stub.requests.append(request)
                    count = sum(r["path"] == self.path for r in stub.requests)
                    stub.changed.notify_all()
                answer = stub.answers.get(self.path, lambda count: 200)(count)
                if answer is None:
                    stub.ended.wait()
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                request["status"] = status
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_):
                pass  # who hangs up while we answer

        self.server = Server((host, 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def of(self, path):
        with self.changed:
            return [r for r in self.requests if r["path"] == path]

    def events(self, path):
        """All events in order, a retried delivery once, each with the time it came."""
        seen, out = set(), []
        for r in self.of(path):
            key = dict(r["headers"])["X-Webhook-Id"]
            if key not in seen:
                seen.add(key)
                out += [dict(e, at=r["at"]) for e in json.loads(r["body"])["events"]]
        return out

    def wait(self, path, found, seconds=WAIT_S):
        """Until found(events of path) is true; gives what it found."""
        end = time.time() + seconds
        while True:
            got = found(self.events(path))
            if got:
                return got
            with self.changed:
                left = end - time.time()
                if left <= 0:
                    raise AssertionError("not told within %d s; got %s" % (seconds, [
                        (e["name"], e["channel"]) for e in self.events(path)][-20:]))
                self.changed.wait(min(left, 0.5))

    def wait_event(self, path, name, channel, **members):
        wanted = dict(members, name=name, channel=channel)
        return self.wait(path, lambda events: next(
            (e for e in events if wanted.items() <= e.items()), None))


# ---- the server ----------------------------------------------------------------------------

class Server:
    def __init__(self, binary, apps, options=None, env=None):
        self.port = free_port()
        config = {"host": "127.0.0.1", "port": self.port, "rate_limiter": {"enabled": False},
                  "metrics": {"enabled": False}, "shutdown_grace_period": 10, "workers": 2,
                  "queue": {"driver": "memory"},
                  "app_manager": {"driver": "memory", "array": {"apps": apps}}}
        config.update(options or {})
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "config.json")
        with open(path, "w") as f:
            json.dump(config, f)
        self.log_path = os.path.join(self.folder.name, "log")
        environ = {"PATH": os.environ["PATH"], "RUST_LOG": "trace"}
        environ.update(env or {})
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([binary, "--config", path], stdout=log, stderr=log,
                                            env=environ)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def ready(self):
        end = time.time() + WAIT_S
        while time.time() < end:
            if self.process.poll() is not None:
                raise AssertionError("the server ended: " + self.log()[-2000:])
            with contextlib.suppress(OSError):
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                c.request("GET", "/up")
                if c.getresponse().status == 200:
                    return self
            time.sleep(0.02)
        raise AssertionError("the server does not answer /up")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        assert code == 0, "exit code %d: %s" % (code, self.log()[-2000:])

    def wait_log(self, text):
        end = time.time() + WAIT_S
        while text not in self.log():
            assert time.time() < end, "no line with %r in the log" % text
            time.sleep(0.05)


def app(stub, name, hooks=None, **more):
    hooks = hooks or [{"url": stub.url("/" + name), "event_types": EVENTS}]
    record = {"id": name, "key": "key-" + name, "secret": "secret-" + name, "enabled": True,
              "max_connections": 0, "max_client_events_per_second": 0,
              "enable_client_messages": True, "webhooks": hooks}
    record.update(more)
    return record


# ---- a client ------------------------------------------------------------------------------

class Client:
    def __init__(self, case):
        self.case, self.rest, self.inbox = case, b"", []
        self.sock = socket.create_connection(("127.0.0.1", case.server.port), WAIT_S)
        self.sock.sendall(
            b"GET /app/%s?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade"
            b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            % case.app["key"].encode())
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        assert b" 101 " in head, head
        established = self.wait("pusher:connection_established")
        self.socket_id = json.loads(established["data"])["socket_id"]

    def more(self):
        got = self.sock.recv(1 << 16)
        if not got:
            raise AssertionError("the server closed")
        self.rest += got

    def need(self, n):
        while len(self.rest) < n:
            self.more()
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def read(self):
        first, size = self.need(2)
        size = struct.unpack(">H", self.need(2))[0] if size == 126 else size
        size = struct.unpack(">Q", self.need(8))[0] if size == 127 else size
        payload = self.need(size)
        return json.loads(payload) if first & 15 == 1 else {"event": "frame %d" % (first & 15)}

    def wait(self, event, channel=None):
        while True:
            for m in self.inbox:
                if m["event"] == event and channel in (None, m.get("channel")):
                    self.inbox.remove(m)
                    return m
            self.inbox.append(self.read())

    def frame(self, opcode, payload):
        n = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | n]) if n < 126
                                         else bytes([0x80 | 126]) + struct.pack(">H", n))
        self.sock.sendall(head + b"\0\0\0\0" + payload)  # a mask of zeros is a mask

    def send(self, event, data, **more):
        self.frame(1, json.dumps(dict(more, event=event, data=data), ensure_ascii=False).encode())

    def subscribe(self, channel, user=None, wait=True):
        data = {"channel": channel}
        text = self.socket_id + ":" + channel
        if user:
            data["channel_data"] = json.dumps({"user_id": user})
            text += ":" + data["channel_data"]
        if channel.startswith(("private-", "presence-")):
            mac = hmac.new(self.case.app["secret"].encode(), text.encode(), hashlib.sha256)
            data["auth"] = self.case.app["key"] + ":" + mac.hexdigest()
        if channel.startswith("private-encrypted-"):
            data["shared_secret"] = ""
        self.send("pusher:subscribe", data)
        if wait:
            self.wait("pusher_internal:subscription_succeeded", channel)
        return self

    def unsubscribe(self, channel):
        self.send("pusher:unsubscribe", {"channel": channel})

    def close(self):
        self.frame(8, b"\x03\xe8")
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Case:
    """What a case needs: its app, a client, what its back end heard."""

    def __init__(self, server, stub, record):
        self.server, self.stub, self.app = server, stub, record
        self.path = "/" + record["id"]
        self.fences = 0

    def client(self):
        return Client(self)

    def told(self, name, channel, **members):
        return self.stub.wait_event(self.path, name, channel, **members)

    def names(self, channel, *only):
        return [e["name"] for e in self.stub.events(self.path)
                if e["channel"] == channel and (not only or e["name"] in only)]

    def fence(self):
        """What was to be told at once has been told."""
        self.fences += 1
        channel = "fence-%d" % self.fences
        c = self.client().subscribe(channel)
        self.told("channel_occupied", channel)
        return c, channel

    def fence_grace(self):
        """What was to be told after the grace has been told."""
        c, channel = self.fence()
        c.close()
        self.told("channel_vacated", channel)

    def publish(self, name, channel, data="{}"):
        body = json.dumps({"name": name, "channel": channel, "data": data})
        params = "auth_key=%s&auth_timestamp=%d&auth_version=1.0&body_md5=%s" % (
            self.app["key"], time.time(), hashlib.md5(body.encode()).hexdigest())
        path = "/apps/%s/events" % self.app["id"]
        mac = hmac.new(self.app["secret"].encode(), ("POST\n%s\n%s" % (path, params)).encode(),
                       hashlib.sha256).hexdigest()
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=WAIT_S)
        c.request("POST", "%s?%s&auth_signature=%s" % (path, params, mac), body,
                  {"Content-Type": "application/json"})
        answer = c.getresponse()
        assert answer.status == 200, answer.read()


# ---- cases against the common server -------------------------------------------------------

CASES = []


def case(**settings):
    def add(fn):
        CASES.append((fn, settings))
        return fn
    return add


@case()
def occupied(c):
    """HOOK-13: once for the first subscriber of each kind of channel."""
    channels = ["news", "private-a", "cache-a", "private-encrypted-a"]
    one, two = c.client(), c.client()
    for name in channels:
        one.subscribe(name)
        two.subscribe(name)
        one.subscribe(name, wait=False)
    one.subscribe("presence-a", "u1")
    two.subscribe("presence-a", "u2")
    for name in channels + ["presence-a"]:
        c.told("channel_occupied", name)
    c.fence()
    for name in channels + ["presence-a"]:
        assert c.names(name, "channel_occupied") == ["channel_occupied"], name


@case()
def vacated(c):
    """HOOK-14: after the grace, whatever way the last subscriber went."""
    ways = {"by-unsubscribe": lambda x, name: x.unsubscribe(name),
            "by-close": lambda x, name: x.close(), "by-reset": lambda x, name: x.reset()}
    left = {}
    for name, leave in ways.items():
        x = c.client().subscribe(name)
        c.told("channel_occupied", name)
        left[name] = time.time()
        leave(x, name)
        ways[name] = x  # an open one stays
    for name in left:
        event = c.told("channel_vacated", name)
        assert event["at"] - left[name] >= GRACE_S - 0.05, "too early: %s" % name
    c.fence()
    for name in left:
        assert c.names(name, "channel_vacated") == ["channel_vacated"]


@case()
def reload_page(c):
    """HOOK-15: leaving and returning within the grace tells nothing."""
    x = c.client().subscribe("news").subscribe("presence-a", "u1")
    c.told("channel_occupied", "news")
    c.told("member_added", "presence-a", user_id="u1")
    x.close()
    y = c.client().subscribe("news").subscribe("presence-a", "u1")
    c.fence_grace()
    assert c.names("news", "channel_occupied", "channel_vacated") == ["channel_occupied"]
    assert [n for n in c.names("presence-a") if n != "subscription_count"] == [
        "channel_occupied", "member_added"]
    y.close()
    c.told("channel_vacated", "presence-a")


@case()
def alternating(c):
    """HOOK-16: whatever clients do, the two names alternate."""
    dice = random.Random(16)
    sockets = [c.client() for _ in range(3)]
    inside = set()
    for _ in range(100):
        who, name = dice.randrange(3), "presence-%d" % dice.randrange(2)
        if (who, name) in inside:
            inside.remove((who, name))
            sockets[who].unsubscribe(name)
        else:
            inside.add((who, name))
            sockets[who].subscribe(name, "u%d" % who)
        if dice.random() < 0.03:
            time.sleep(GRACE_S + 0.3)  # the passing of the grace is what is tested
    for s in sockets:
        s.close()
    c.fence_grace()
    events = c.stub.events(c.path)
    for name in ("presence-0", "presence-1"):
        for pair, user in [(("channel_occupied", "channel_vacated"), None)] + [
                (("member_added", "member_removed"), "u%d" % i) for i in range(3)]:
            got = [e["name"] for e in events if e["channel"] == name and e["name"] in pair
                   and e.get("user_id") == user]
            assert got == [pair[i % 2] for i in range(len(got))] and len(got) % 2 == 0, (name, got)


@case()
def members(c):
    """HOOK-17, HOOK-18, HOOK-19: per user, not per connection; removed before vacated; the frame at
    once."""
    watcher = c.client().subscribe("presence-a", "watcher")
    three = [c.client().subscribe("presence-a", "u1") for _ in range(3)]
    c.told("member_added", "presence-a", user_id="u1")
    three[0].close()
    three[1].reset()
    c.fence_grace()
    assert [e["name"] for e in c.stub.events(c.path) if e.get("user_id") == "u1"] == ["member_added"]
    left = time.time()
    three[2].close()
    watcher.wait("pusher_internal:member_removed")
    seen = time.time()
    removed = c.told("member_removed", "presence-a", user_id="u1")
    assert removed["at"] - left >= GRACE_S - 0.05 and seen < removed["at"]
    watcher.close()
    c.told("channel_vacated", "presence-a")
    tail = [n for n in c.names("presence-a") if n != "subscription_count"][-2:]
    assert tail == ["member_removed", "channel_vacated"], tail


@case()
def client_events(c):
    """HOOK-20: data is text; the user on presence channels only. HOOK-6. HOOK-22: not for HTTP."""
    x, y = c.client(), c.client()
    for s, user in ((x, "u-7"), (y, "u-8")):
        s.subscribe("presence-crew", user).subscribe("private-x")
    x.send("client-typing", {"on": True, "text": "a/b \u00e9\u4e2d"}, channel="presence-crew")
    told = c.told("client_event", "presence-crew", event="client-typing")
    assert json.loads(told["data"]) == {"on": True, "text": "a/b \u00e9\u4e2d"}
    assert told["socket_id"] == x.socket_id and told["user_id"] == "u-7"
    raw = [r["body"] for r in c.stub.of(c.path) if b"client-typing" in r["body"]][0]
    assert "\u4e2d".encode() in raw and b"\\/" not in raw and b"\\u" not in raw
    y.send("client-plain", "plain \"text\"", channel="private-x")
    told = c.told("client_event", "private-x", event="client-plain")
    assert told["data"] == "plain \"text\"" and "user_id" not in told
    c.publish("client-from-http", "private-x")
    c.publish("news", "private-x")
    c.fence()
    assert len([e for e in c.stub.events(c.path) if e["name"] == "client_event"]) == 2


@case(record={"enable_client_messages": False})
def refused_client_events(c):
    """HOOK-21: what is refused is not told (client messages are off)."""
    x = c.client().subscribe("private-x")
    x.send("client-a", {}, channel="private-x")
    x.wait("pusher:error")
    c.fence()
    assert not [e for e in c.stub.events(c.path) if e["name"] == "client_event"]


@case(record={"max_client_events_per_second": 1})
def limited_client_events(c):
    """HOOK-21: not subscribed, too fast."""
    x = c.client().subscribe("private-x")
    for _ in range(5):
        x.send("client-b", {}, channel="private-x")
    x.send("client-a", {}, channel="private-other")
    x.wait("pusher:error")
    c.told("client_event", "private-x", event="client-b")
    c.fence()
    told = [e for e in c.stub.events(c.path) if e["name"] == "client_event"]
    assert 1 <= len(told) <= 4 and all(e["channel"] == "private-x" for e in told)


@case()
def cache_misses(c):
    """HOOK-23, HOOK-24."""
    c.client().subscribe("cache-x")
    c.told("cache_miss", "cache-x")
    c.publish("price", "cache-full")
    c.client().subscribe("cache-full")
    c.client().subscribe("my-cache-x")
    crowd = [c.client() for _ in range(50)]
    begin = time.time()
    for s in crowd:
        s.subscribe("cache-crowd", wait=False)
    for s in crowd:
        s.wait("pusher:cache_miss")
    seconds = time.time() - begin
    c.fence()
    told = [e["channel"] for e in c.stub.events(c.path) if e["name"] == "cache_miss"]
    assert told.count("cache-full") == told.count("my-cache-x") == 0
    assert 1 <= told.count("cache-crowd") <= 2 + int(seconds), told


@case(record={"enable_subscription_count": True})
def counts(c):
    """HOOK-25: 1, 2, 1, 0, also by reset; none for presence channels."""
    x = c.client().subscribe("news")
    c.told("subscription_count", "news", subscription_count=1)
    y = c.client().subscribe("news").subscribe("presence-a", "u1")
    c.told("subscription_count", "news", subscription_count=2)
    x.reset()
    c.stub.wait(c.path, lambda events: len(
        [e for e in events if e["name"] == "subscription_count" and e["channel"] == "news"]) >= 3)
    y.close()
    c.told("subscription_count", "news", subscription_count=0)
    c.fence()
    got = [e["subscription_count"] for e in c.stub.events(c.path)
           if e["name"] == "subscription_count" and e["channel"] == "news"]
    assert got == [1, 2, 1, 0], got
    assert "subscription_count" not in c.names("presence-a")


@case(record={"enable_subscription_count": True})
def many_counts(c):
    """HOOK-26: each up to 100, then seldom, the last one is right."""
    crowd = [c.client() for _ in range(200)]
    begin = time.time()
    for s in crowd:
        s.subscribe("news", wait=False)
    for s in crowd:
        s.wait("pusher_internal:subscription_succeeded")
    c.told("subscription_count", "news", subscription_count=200)
    seconds = time.time() - begin
    got = [e["subscription_count"] for e in c.stub.events(c.path)
           if e["name"] == "subscription_count" and e["channel"] == "news"]
    assert got[:100] == list(range(1, 101)) and got[-1] == 200, got
    assert len(got) <= 100 + 2 + seconds / 5, got


@case(record={"max_event_payload_in_kb": 1})
def large_client_events(c):
    """HOOK-21: too large."""
    x = c.client().subscribe("private-x")
    x.send("client-large", "x" * 1025, channel="private-x")
    x.wait("pusher:error")
    x.send("client-fits", "x" * 1024, channel="private-x")
    c.told("client_event", "private-x", event="client-fits")
    c.fence()
    assert not [e for e in c.stub.events(c.path) if e.get("event") == "client-large"]


@case(record={"enable_user_authentication": True})
def server_to_user(c):
    """HOOK-27: nothing of users' own channels."""
    x = c.client()
    user = json.dumps({"id": "u1"})
    mac = hmac.new(c.app["secret"].encode(),
                   ("%s::user::%s" % (x.socket_id, user)).encode(), hashlib.sha256).hexdigest()
    x.send("pusher:signin", {"auth": c.app["key"] + ":" + mac, "user_data": user})
    x.wait("pusher:signin_success")
    x.subscribe("#server-to-user-u1")
    x.close()
    c.fence_grace()
    assert not [e for e in c.stub.events(c.path) if e["channel"].startswith("#")]


@case()
def fails_three_times(c):
    """Issue: an endpoint that answers 500 three times gets every event exactly once in the end."""
    c.stub.answers[c.path] = lambda count: 500 if count <= 3 else 200
    x = c.client()
    for i in range(5):
        x.subscribe("room-%d" % i)
    end = time.time() + WAIT_S
    while len(c.stub.of(c.path)) < 4 and time.time() < end:
        time.sleep(0.05)
    c.fence()
    tries = {}
    for r in c.stub.of(c.path):
        tries.setdefault(dict(r["headers"])["X-Webhook-Id"], []).append(r)
    for same in tries.values():
        assert len({r["body"] for r in same}) == 1, "a retry is another request"
        assert [r["status"] for r in same] == [500] * (len(same) - 1) + [200], "not once"
    for i in range(5):
        assert c.names("room-%d" % i, "channel_occupied") == ["channel_occupied"]


@case(hooks=lambda stub, name: [{"url": stub.url("/hang"), "event_types": EVENTS},
                                {"url": stub.url("/" + name), "event_types": EVENTS}])
def one_hangs(c):
    """Issue: with one endpoint hanging, subscribes and the other endpoint go on undisturbed."""
    c.stub.answers["/hang"] = lambda count: None
    x = c.client()
    for second in range(3):
        for i in range(200):
            x.subscribe("room-%d-%d" % (second, i), wait=False)
        for i in range(200):
            x.wait("pusher_internal:subscription_succeeded")
        for i in range(200):
            c.told("channel_occupied", "room-%d-%d" % (second, i))
    assert 1 <= len(c.stub.of("/hang")) <= 4 + 4 * WAIT_S // 10
    assert sum(e["name"] == "channel_occupied" for e in c.stub.events(c.path)) == 600


@case(hooks=lambda stub, name: [{
    "url": stub.url("/" + name) + "?token=query-marker", "event_types": EVENTS,
    "headers": {"Content-Type": "text/plain", "X-Pusher-Key": "mine",
                "Authorization": "Bearer header-marker"}}])
def headers(c):
    """HOOK-3, HOOK-4: what the configuration can set, and what not. HOOK-7."""
    c.path += "?token=query-marker"
    before = time.time() * 1000
    c.client().subscribe("news")
    c.told("channel_occupied", "news")
    r = c.stub.of(c.path)[0]
    got = [value for name, value in r["headers"] if name.lower() == "content-type"]
    assert got == ["application/json"], got
    got = [value for name, value in r["headers"] if name.lower() == "x-pusher-key"]
    assert got == [c.app["key"]], got
    assert dict(r["headers"])["Authorization"] == "Bearer header-marker"
    told = json.loads(r["body"])["time_ms"]
    assert isinstance(told, int) and before - 1 <= told <= r["at"] * 1000 + 1
    c.server.wait_log('header "X-Pusher-Key" cannot be set')


@case(hooks=lambda stub, name: [
    {"url": stub.url("/" + name), "event_types": EVENTS},
    {"url": "http://user-marker:pass-marker@127.0.0.1:%d/path-marker?token=query-marker" % stub.port,
     "event_types": ["client_event"], "headers": {"X-Own": "header-marker"}},
    {"url": "http://user-marker:pass-marker@127.0.0.1:1/path-marker?token=query-marker",
     "event_types": ["client_event"], "retry": {"max_attempts": 1}}])
def given_up(c):
    """HOOK-41, HOOK-56: what is given up is one line with app, number, host, cause and event names;
    no_secrets() looks for the marks."""
    c.stub.answers["/path-marker?token=query-marker"] = lambda count: 400
    x = c.client().subscribe("private-x")
    x.send("client-a", {"on": True, "say": "data-marker"}, channel="private-x")
    c.told("client_event", "private-x")
    start = "app given_up webhook %d to 127.0.0.1: given up after 1 attempts: "
    c.server.wait_log(start % 1 + "status 400; events client_event\n")
    c.server.wait_log(start % 2)
    assert [c.server.log().count(start % i) for i in (0, 1, 2)] == [0, 1, 1]
    assert len(c.stub.of("/path-marker?token=query-marker")) == 1


@case()
def libraries(c):
    """HOOK-2: the helpers of the official libraries accept all seven; see judge()."""
    x = c.client().subscribe("news").subscribe("cache-a").subscribe("presence-a", "u1")
    x.subscribe("private-a")
    x.send("client-a", {"n": 1}, channel="private-a")
    c.told("client_event", "private-a")
    x.close()
    c.told("channel_vacated", "news")
    c.told("member_removed", "presence-a", user_id="u1")
    assert set(EVENTS) - {e["name"] for e in c.stub.events(c.path)} <= {"subscription_count"}


# ---- what the libraries say ----------------------------------------------------------------

def judge(stub, apps):
    """Every request that was recorded, by the two libraries."""
    by_key = {a["key"]: a["secret"] for a in apps}
    requests = [r for r in stub.requests if r["path"] != "/hang"]
    rows = [{"headers": dict(r["headers"]), "body": r["body"].decode(),
             "key": dict(r["headers"])["X-Pusher-Key"]} for r in requests]
    for row in rows:
        row["secret"] = by_key[row["key"]]
    script = """
const Pusher = require("pusher"); let text = "";
process.stdin.on("data", (d) => (text += d)).on("end", () => {
  let bad = 0, events = 0;
  for (const r of JSON.parse(text)) {
    const pusher = new Pusher({ appId: "1", key: r.key, secret: r.secret, host: "h" });
    const headers = Object.fromEntries(Object.entries(r.headers).map(([k, v]) => [k.toLowerCase(), v]));
    const hook = pusher.webhook({ headers, rawBody: r.body });
    if (!hook.isValid()) bad++; else events += hook.getEvents().length;
  }
  console.log(JSON.stringify({ bad, events }));
});"""
    out = subprocess.run(["node", "-e", script], cwd=os.path.join(CLIENTS, "node"), check=True,
                         input=json.dumps(rows).encode(), stdout=subprocess.PIPE, timeout=120).stdout
    said = json.loads(out)
    total = sum(len(json.loads(r["body"])["events"]) for r in rows)
    assert said == {"bad": 0, "events": total}, said
    venv = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build-clients", "venv", "bin", "python")
    script = """
import json, sys, pusher
bad = 0
for r in json.load(sys.stdin):
    p = pusher.Pusher(app_id="1", key=r["key"], secret=r["secret"], host="h", ssl=False)
    bad += p.validate_webhook(r["key"], r["headers"]["X-Pusher-Signature"], r["body"]) is None
print(bad)"""
    out = subprocess.run([venv, "-c", script], check=True, input=json.dumps(rows).encode(),
                         stdout=subprocess.PIPE, timeout=120).stdout
    assert out.strip() == b"0", out
    judge_in_go(rows)
    return len(rows)


def judge_in_go(rows):
    """HOOK-2: also by the Go library, which decodes into strings and takes no event of an encrypted channel
    without a ciphertext."""
    folder = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build-clients")
    program = os.path.join(folder, "webhook-go")
    built = shutil.which("go") and subprocess.run(
        ["go", "build", "-o", program, "."], cwd=os.path.join(CLIENTS, "go"), timeout=300, check=False,
        stderr=subprocess.PIPE, text=True)
    if not built or built.returncode:
        print("skipped the Go library: %s" % (built.stderr.strip()[-200:] if built else "no go here"))
        return
    rows = [r for r in rows if '"private-encrypted-' not in r["body"]]
    out = subprocess.run([program], input=json.dumps(rows).encode(), stdout=subprocess.PIPE, check=True,
                         timeout=120).stdout
    total = sum(len(json.loads(r["body"])["events"]) for r in rows)
    kinds = {e["name"] for r in rows for e in json.loads(r["body"])["events"]}
    assert json.loads(out) == {"bad": 0, "events": total}, out
    assert kinds == set(EVENTS) or len(sys.argv) > 2, "not told: %s" % (set(EVENTS) - kinds)


def no_secrets(server, stub):
    """HOOK-56: at trace level."""
    log = server.log()
    marks = ["secret-", "query-marker", "header-marker", "user-marker", "pass-marker", "path-marker",
             "data-marker", "dXNlci1tYXJrZXI6cGFzcy1tYXJrZXI=", "client-typing\",\"data", "\\\"on\\\":true"]
    marks += [dict(r["headers"])["X-Pusher-Signature"] for r in stub.requests]
    for mark in marks:
        assert mark not in log, "the log holds %r" % mark


# ---- cases with a server of their own ------------------------------------------------------

def end_delivers(binary, stub):
    """HOOK-38: what is gathered when SIGTERM comes is still delivered."""
    record = app(stub, "end")
    server = Server(binary, [record], {"webhooks": {"batching": {"duration": 60000}}}).ready()
    c = Case(server, stub, record)
    c.client().subscribe("news")
    assert stub.events(c.path) == []
    server.stop()
    assert "channel_occupied" in c.names("news")


def end_tells_the_last(binary, stub):
    """HOOK-38, webhooks.md 1.2: who leaves because the server stops has left. His socket, which does
    not answer the Close, outlasts the grace period, and takes no time away from the delivery."""
    record = app(stub, "last")
    server = Server(binary, [record], {"shutdown_grace_period": 2}).ready()
    c = Case(server, stub, record)
    client = c.client().subscribe("presence-crew", "u-1").subscribe("news")
    c.told("member_added", "presence-crew")
    c.told("subscription_count", "news", subscription_count=1)
    server.stop()
    assert client
    assert sorted(c.names("presence-crew")) == ["channel_occupied", "channel_vacated",
                                                "member_added", "member_removed"]
    assert sorted(c.names("news")) == ["channel_occupied", "channel_vacated",
                                       "subscription_count", "subscription_count"]


def silent(binary):
    """HOOK-14: who answers no ping has left, too. Takes the half minute that he has for it."""
    stub = Stub()
    record = app(stub, "silent")
    server = Server(binary, [record], {"activity_timeout": 1}).ready()
    c = Case(server, stub, record)
    client = c.client().subscribe("presence-crew", "u-1")
    c.told("member_added", "presence-crew")
    stub.wait(c.path, lambda events: any(e["name"] == "channel_vacated" for e in events), 30 + GRACE_S + WAIT_S)
    assert client
    assert c.names("presence-crew") == ["channel_occupied", "member_added", "member_removed", "channel_vacated"]
    server.stop()


def ipv6_literal(binary, stub):
    """HOOK-9: the address of a URL in brackets."""
    try:
        six = Stub(host="::1")
    except OSError:
        print("skip ipv6_literal: no IPv6 here")
        return
    record = app(stub, "six", [{"url": "http://[::1]:%d/six?a=b" % six.port, "event_types": EVENTS}])
    server = Server(binary, [record]).ready()
    Case(server, stub, record).client().subscribe("news")
    six.wait_event("/six?a=b", "channel_occupied", "news")
    assert dict(six.of("/six?a=b")[0]["headers"])["Host"] == "[::1]:%d" % six.port
    server.stop()


def header_with_line_break(binary, stub):
    """HOOK-5: an error at start."""
    hooks = [{"url": stub.url("/x"), "event_types": EVENTS, "headers": {"X-A": "1\r\nX-B: 2"}}]
    server = Server(binary, [app(stub, "broken", hooks)])
    assert server.process.wait(WAIT_S) != 0
    assert "broken" in server.log() and "headers" in server.log()


def unknown_certificates(binary, stub):
    """HOOK-10: an unknown authority and a wrong name are failures; a good one is delivered."""
    with tempfile.TemporaryDirectory() as folder:
        def make(name, san):
            key, cert = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".crt")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out",
                            cert, "-subj", "/CN=" + name, "-addext", "subjectAltName=" + san],
                           check=True, stderr=subprocess.DEVNULL)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            return cert, Stub(context)
        good_cert, good = make("good", "IP:127.0.0.1,DNS:localhost")
        wrong_cert, wrong = make("wrong", "DNS:elsewhere.example")
        _, unknown = make("unknown", "IP:127.0.0.1")
        trusted = os.path.join(folder, "ca.pem")
        with open(trusted, "w") as f:
            f.write(open(good_cert).read() + open(wrong_cert).read())
        once = {"enabled": False}
        record = app(stub, "tls", [
            {"url": "https://127.0.0.1:%d/%s" % (s.port, n), "event_types": EVENTS, "retry": once}
            for n, s in (("good", good), ("wrong", wrong), ("unknown", unknown))])
        server = Server(binary, [record], env={"SSL_CERT_FILE": trusted}).ready()
        Case(server, stub, record).client().subscribe("news")
        good.wait_event("/good", "channel_occupied", "news")
        server.wait_log("webhook 1 to 127.0.0.1: given up")
        server.wait_log("webhook 2 to 127.0.0.1: given up")
        assert wrong.requests == [] and unknown.requests == []
        server.stop()


def none_warns(binary, stub):
    """HOOK-47: nothing is sent with queue.driver none, and one line says so."""
    record = app(stub, "none")
    server = Server(binary, [record], {"queue": {"driver": "none"}}).ready()
    Case(server, stub, record).client().subscribe("news")
    server.stop()
    assert server.log().count("queue.driver is none") == 1
    assert stub.of("/none") == []


# ---- running -------------------------------------------------------------------------------

def main():
    binary, names = os.path.realpath(sys.argv[1]), sys.argv[2:]
    stub = Stub()
    chosen = [(fn, s) for fn, s in CASES if not names or fn.__name__ in names]
    alone = [fn for fn in (end_delivers, end_tells_the_last, header_with_line_break, ipv6_literal,
                           unknown_certificates, none_warns)
             if not names or fn.__name__ in names]
    long = threading.Thread(target=lambda: run("silent", silent, binary))
    failed, passed = [], 0

    def run(name, fn, *arguments):
        nonlocal passed
        try:
            fn(*arguments)
            passed += 1
        except Exception as e:  # a case that fails does not stop the others
            failed.append(name)
            print("FAIL %s: %s: %s" % (name, type(e).__name__, e), flush=True)

    if not names or "silent" in names:
        long.start()
    if chosen:
        apps = [app(stub, fn.__name__, s["hooks"](stub, fn.__name__) if "hooks" in s else None,
                    **s.get("record", {})) for fn, s in chosen]
        server = Server(binary, apps).ready()
        with ThreadPoolExecutor(len(chosen)) as pool:
            for (fn, _), record in zip(chosen, apps):
                pool.submit(run, fn.__name__, fn, Case(server, stub, record))
        run("judge", lambda: print("libraries accept %d requests" % judge(stub, apps)))
        run("no_secrets", no_secrets, server, stub)
        stub.answers.clear()
        run("stop", server.stop)
        if failed:
            print(server.log()[-3000:])
    for fn in alone:
        run(fn.__name__, fn, binary, stub)
    if long.ident:
        long.join()
    stub.ended.set()
    print("webhooks: %d passed, %d failed" % (passed, len(failed)))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
