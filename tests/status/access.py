#!/usr/bin/env python3
"""tests/status/access.py SERVER - who gets the status page and the trace of an app, and what they tell.

SEC-28: proxies, foreign pages and the main listener get nothing. metrics.md 6.4: a trace has names
and sizes, never data. CFG-86.
"""
import hashlib
import hmac
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "talk"))
from wsclient import Client, Problem, Wire, read_response  # noqa: E402

WAIT = 30
SECRETS = ("hidden-payload", "hidden-info", "app-secret", "hidden-token")
PATHS = (("GET", "/status"), ("GET", "/status/data"), ("GET", "/status/trace?app=shop"),
         ("POST", "/admin/trace?app=shop&seconds=0"))
CASES = []


def case(function):
    CASES.append(function)
    return function


def expect(got, wanted, what):
    if not wanted:
        raise AssertionError("%s: %s" % (what, got))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, program, **http_api):
        self.port, self.metrics = free_port(), free_port()
        apps = [{"id": name, "key": name + "-key", "secret": "app-secret", "enabled": True,
                 "enable_client_messages": True, "enable_user_authentication": True,
                 "max_client_events_per_second": 0, "max_connections": 2 if name == "small" else 0}
                for name in ["shop", "small"] + ["other%d" % i for i in range(8)]]
        config = {"host": "127.0.0.1", "port": self.port, "workers": 1, "rate_limiter": {"enabled": False},
                  "metrics": {"host": "127.0.0.1", "port": self.metrics},
                  "http_api": http_api, "app_manager": {"array": {"apps": apps}}}
        self.folder = tempfile.TemporaryDirectory(prefix="status-")
        path = os.path.join(self.folder.name, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.text = ""
        self.process = subprocess.Popen([program, "--config", path], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.wait_for("metrics on")
        self.wait_for("listening on")

    def wait_for(self, part):
        """What was written up to and with the line that has `part`."""
        while part not in self.text or not self.text.endswith("\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], WAIT)
            piece = os.read(self.process.stdout.fileno(), 65536).decode() if ready else ""
            if not piece:
                raise AssertionError("no line with %r: %s" % (part, self.text))
            self.text += piece
        return self.text

    def ask(self, method, path, headers=(), port=None, host=None):
        wire = Wire(port or self.metrics)
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + (host or "127.0.0.1:%d" % self.metrics),
                 "Content-Length: 0", *headers]
        wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = read_response(wire, WAIT, method == "HEAD")
        wire.close()
        return answer

    def json(self, path, *headers):
        answer = self.ask("GET", path, headers)
        expect((path, answer.status, answer.body), answer.status == 200, "status")
        return json.loads(answer.body)

    def trace(self, app="shop", after=0):
        return self.json("/status/trace?app=%s&after=%d" % (app, after))

    def connect(self, app="shop"):
        client = Client(app, self.port, "/app/%s-key?protocol=7" % app, [])
        client.finish_handshake(WAIT)
        item = client.next(WAIT)
        client.id = json.loads(item[1]["data"])["socket_id"] if item[1]["event"].endswith("established") else ""
        return client

    def publish(self, app, event):
        body = json.dumps(event).encode()
        query = {"auth_key": app + "-key", "auth_timestamp": str(int(time.time())), "auth_version": "1.0",
                 "body_md5": hashlib.md5(body).hexdigest()}
        path = "/apps/%s/events" % app
        text = "&".join("%s=%s" % pair for pair in sorted(query.items()))
        sign = hmac.new(b"app-secret", ("POST\n%s\n%s" % (path, text)).encode(), hashlib.sha256).hexdigest()
        wire = Wire(self.port)
        wire.send(("POST %s?%s&auth_signature=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   "Content-Length: %d\r\n\r\n" % (path, text, sign, len(body))).encode() + body)
        answer = read_response(wire, WAIT)
        wire.close()
        expect(answer.body, answer.status == 200, "publish")

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=WAIT)[0].decode()
        self.folder.cleanup()
        expect((self.process.returncode, rest), self.process.returncode == 0, "the server ended badly")


def send(client, event, **members):
    client.send_text(json.dumps({"event": event, **members}))


def signed(text):
    return hmac.new(b"app-secret", text.encode(), hashlib.sha256).hexdigest()


@case
def off_unless_enabled(program):
    """CFG-86"""
    server = Server(program)
    try:
        for method, path in PATHS[:3]:
            expect(path, server.ask(method, path).status == 404, "off")
        expect("admin", server.ask(*PATHS[3]).status == 200, "does not hang on the page")
    finally:
        server.close()
    server = Server(program, status_enabled=True, usage_enabled=False)
    try:
        for method, path in PATHS:
            expect(path, server.ask(method, path).status == 404, "usage off")
    finally:
        server.close()


@case
def loopback_alone(program):
    """SEC-28"""
    server = Server(program, status_enabled=True)
    try:
        for method, path in PATHS:
            expect(path, server.ask(method, path).status == 200, "loopback")
            for header in ("Origin: http://127.0.0.1:%d" % server.metrics, "Forwarded: for=1.2.3.4", "Via: 1.1 x",
                           "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: https", "X-FORWARDED-HOST: localhost",
                           "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"):
                answer = server.ask(method, path, [header])
                expect((path, header, answer.status), answer.status == 403, "from elsewhere")
                expect(answer.body, b"shop" not in answer.body, "says nothing")
            for host in ("sockudo.example", "127.0.0.1.nip.io", "128.0.0.1"):
                answer = server.ask(method, path, (), host=host)
                expect((path, host, answer.status), answer.status == 403, "rebinding")
            for host in ("localhost", "LOCALHOST:1", "[::1]:9601", "127.9.9.9"):
                expect(host, server.ask(method, path, (), host=host).status == 200, "own names")
            answer = server.ask(method, path, (), port=server.port)
            expect((path, answer.status), answer.status == 404, "main listener")
            answer = server.ask(method, path, ["Authorization: Bearer "], port=server.port)
            expect((path, answer.status), answer.status == 404, "main listener")
    finally:
        server.close()


@case
def with_a_token(program):
    """The page is no secret and has none; everything else wants the token."""
    server = Server(program, status_enabled=True, usage_token="hidden-token")
    try:
        page = server.ask("GET", "/status", (), host="status.example")
        expect(page.status, page.status == 200 and b"shop" not in page.body, "page")
        for method, path in PATHS[1:]:
            for header in ("X: y", "Authorization: Bearer wrong", "Authorization: Bearer hidden-token2",
                           "Authorization: Basic hidden-token", "Authorization: Bearer "):
                answer = server.ask(method, path, [header])
                expect((path, header, answer.status), answer.status == 401, "token wanted")
            answer = server.ask(method, path, ["Authorization: Bearer hidden-token"], host="status.example")
            expect((path, answer.status), answer.status == 200, "with the token")
            expect(path, server.ask(method, path, ["Authorization: Bearer hidden-token"],
                                    port=server.port).status == 404, "main listener")
        answer = server.ask("POST", PATHS[3][1], ["Authorization: Bearer hidden-token", "Origin: http://a.example"])
        expect(answer.status, answer.status == 403, "no page may switch")
    finally:
        server.close()


@case
def methods_and_fields(program):
    server = Server(program, status_enabled=True)
    try:
        for method, path in PATHS:
            got = server.ask(method, path)
            want = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
            for name, value in want.items():
                expect((path, got.headers), got.all(name) == [value], name)
            policy = got.all("content-security-policy")
            expect(policy, len(policy) == 1 and policy[0].startswith("default-src 'none';")
                   and "unsafe" not in policy[0] and "frame-ancestors 'none'" in policy[0], "policy")
            expect(got.headers, not got.all("access-control-allow-origin"), "no CORS")
            others = ("POST", "PUT", "DELETE") if method == "GET" else ("GET", "HEAD", "PUT", "DELETE")
            for other in others:
                expect((other, path), server.ask(other, path).status == 405, "method")
            if method == "GET":
                head = server.ask("HEAD", path)
                expect((path, head.status), head.status == 200 and head.body == b"", "HEAD")
        page = server.ask("GET", "/status").body.decode()
        expect("page", "<script>" in page and " src=" not in page and "@import" not in page
               and "url(" not in page and "innerHTML" not in page, "one file")
    finally:
        server.close()


@case
def wrong_questions(program):
    server = Server(program, status_enabled=True)
    try:
        for method, path, status in (
                ("GET", "/status/trace", 404), ("GET", "/status/trace?app=nobody", 404),
                ("GET", "/status/trace?app=%00", 404), ("GET", "/status/trace?app=" + "a" * 600, 404),
                ("GET", "/status/trace?app=shop&after=-1", 400), ("GET", "/status/trace?app=shop&after=x", 400),
                ("GET", "/status/trace?app=shop&after=" + "9" * 30, 400),
                ("POST", "/admin/trace?app=nobody&seconds=1", 404), ("POST", "/admin/trace?seconds=1", 404),
                ("POST", "/admin/trace?app=shop", 400), ("POST", "/admin/trace?app=shop&seconds=3601", 400),
                ("POST", "/admin/trace?app=shop&seconds=-1", 400), ("POST", "/admin/trace?app=shop&seconds=3600", 200),
                ("POST", "/admin/trace?app=shop&seconds=0", 200)):
            answer = server.ask(method, path)
            expect((path, answer.status, answer.body), answer.status == status, "status")
    finally:
        server.close()


def play(server):
    """Something of everything, with a secret wherever one may stand. Gives the socket id."""
    a = server.connect()
    user_data = json.dumps({"id": "anna", "user_info": {"n": "hidden-info"}})
    send(a, "pusher:signin", data={"auth": "shop-key:" + signed("%s::user::%s" % (a.id, user_data)),
                                   "user_data": user_data})
    member = json.dumps({"user_id": "anna", "user_info": {"n": "hidden-info"}})
    send(a, "pusher:subscribe", data={"channel": "presence-room", "channel_data": member,
                                      "auth": "shop-key:" + signed("%s:presence-room:%s" % (a.id, member))})
    send(a, "pusher:subscribe", data={"channel": "private-no", "auth": "shop-key:00"})
    send(a, "client-move", channel="presence-room", data="hidden-payload")
    send(a, "client-move", channel="public", data="hidden-payload")
    send(a, "pusher:unsubscribe", data={"channel": "presence-room"})
    a.fence(WAIT)
    server.publish("shop", {"name": "sale", "channels": ["x", "y"], "data": "hidden-payload"})
    a.send_close(b"\x03\xe8")
    while a.next(WAIT)[0] not in ("close", "end"):
        pass
    return a.id


def story(events):
    return [(e["what"], e.get("channel"), e.get("event") or e.get("user_id"), e.get("code"), e.get("bytes"))
            for e in events]


STORY = [("connected", None, None, None, None), ("signed in", None, "anna", None, None),
         ("subscribed", "presence-room", None, None, None),
         ("subscription refused", "private-no", None, 4009, None),
         ("client event", "presence-room", "client-move", None, 16),
         ("client event refused", "public", "client-move", 4301, None),
         ("unsubscribed", "presence-room", None, None, None),
         ("published", "x", "sale", None, 16), ("closed", None, None, 1000, None)]


@case
def what_a_trace_tells(program):
    """metrics.md 6.4"""
    server = Server(program, status_enabled=True)
    try:
        play(server)
        first = server.trace()
        expect(first, first == {"app": "shop", "next": 0, "missed": 0, "events": []}, "nothing before the first look")
        socket_id = play(server)
        answer = server.ask("GET", "/status/trace?app=shop").body.decode()
        events = json.loads(answer)["events"]
        expect(story(events), [s[:3] for s in story(events)] == [s[:3] for s in STORY], "story")
        codes = [(s[3], s[4]) for s in story(events)]
        expect(codes, codes == [(s[3], s[4]) for s in STORY], "codes and sizes")
        expect(events, {e.get("socket_id") for e in events} == {socket_id, None}, "socket")
        expect(events[7], events[7]["channels"] == 2, "channels")
        for secret in SECRETS:
            expect(answer, secret not in answer, secret)
        last = events[-1]["seq"]
        expect(last, server.trace("shop", last)["events"] == [], "nothing is told twice")
        expect(last, server.trace("shop", last - 1)["events"] == events[-1:], "what is new")
        expect(last, len(server.trace("shop", last + 1000)["events"]) == len(events), "a number of another life")
        expect("other", server.trace("small")["events"] == [], "apps apart")
        a = [server.connect("small") for _ in range(3)]
        events = server.trace("small")["events"]
        expect(events, [(e["what"], e.get("code")) for e in events] ==
               [("connected", None)] * 2 + [("connection refused", 4004)], "refused")
        for c in a:
            c.wire.close()
        for secret in SECRETS:
            expect(server.text, secret not in server.text, secret)
    finally:
        server.close()


@case
def bounds_of_a_trace(program):
    server = Server(program, status_enabled=True)
    try:
        server.trace()
        a = server.connect()
        send(a, "pusher:subscribe", data={"channel": "private-c", "auth": "shop-key:" + signed(a.id + ":private-c")})
        for i in range(700):
            send(a, "client-%03d" % i, channel="private-c", data={})
        a.fence(WAIT)
        got = server.trace("shop", 1)
        expect(len(got["events"]), len(got["events"]) == 512, "the newest")
        expect(got["missed"], got["missed"] == 702 - 512 - 1 and got["next"] == 702, "the rest is counted")
        expect(got["events"][-1], got["events"][-1]["event"] == "client-699", "the last")
        name = "private-" + "\u20ac" * 150
        send(a, "pusher:subscribe", data={"channel": name, "auth": "shop-key:00"})
        a.fence(WAIT)
        cut = server.trace("shop", 702)["events"][0]["channel"]
        expect(cut, name.startswith(cut) and 190 < len(cut.encode()) <= 200, "cut between characters")
        a.wire.close()
        for i in range(7):
            server.trace("other%d" % i)
        answer = server.ask("GET", "/status/trace?app=other7")
        expect((answer.status, answer.body), answer.status == 503, "eight apps at a time")
        expect("known", server.ask("GET", "/status/trace?app=shop").status == 200, "the others go on")
    finally:
        server.close()


@case
def into_the_log(program):
    """metrics.md 6.4: irrespective of the level, for a time, names alone."""
    server = Server(program)
    try:
        expect("on", server.ask("POST", "/admin/trace?app=shop&seconds=60").status == 200, "on")
        socket_id = play(server)
        text = server.wait_for("closed app_id=shop socket_id=%s code=1000" % socket_id)
        for part in (" DEBUG trace: connected app_id=shop socket_id=" + socket_id, "signed in app_id=shop",
                     "channel=presence-room event=client-move bytes=16", "channel=private-no code=4009",
                     "published app_id=shop channel=x event=sale channels=2 bytes=16"):
            expect(text, part in text, part)
        for secret in SECRETS:
            expect(text, secret not in text, secret)
        server.ask("POST", "/admin/trace?app=shop&seconds=0")
        text = server.wait_for("trace switched app_id=shop seconds=0")
        play(server)
        server.ask("POST", "/admin/trace?app=other0&seconds=1")
        after = server.wait_for("trace switched app_id=other0")[len(text):]
        expect(after, "DEBUG" not in after, "ended")
    finally:
        server.close()


@case
def figures(program):
    server = Server(program, status_enabled=True)
    try:
        a, b = server.connect(), server.connect()
        for client in (a, b):
            send(client, "pusher:subscribe", data={"channel": "news"})
        for i in range(120):
            send(a, "pusher:subscribe", data={"channel": "c%d" % i})
        send(a, "nonsense")
        a.send_text("{")
        a.fence(WAIT)
        b.fence(WAIT)
        server.publish("shop", {"name": "sale", "channels": ["news"], "data": "hidden-payload"})
        d = server.json("/status/data?app=shop")
        shop = next(x for x in d["apps"] if x["id"] == "shop")
        for of in (shop, d["node"]):
            expect(of, (of["connections"], of["channels"], of["subscriptions"], of["requests"]) ==
                   (2, 121, 122, 1), "counts")
            expect(of, of["received"] >= 125 and of["sent"] >= 126 and of["errors"] == 1, "messages")
        expect(d, d["apps"][0]["id"] == "shop" and d["app_count"] == 10 and not d["draining"], "apps")
        channels = d["selected"]["channels"]
        expect(channels, len(channels) == 100 and
               channels[0] == {"name": "news", "subscriptions": 2, "users": 0}, "top")
        expect(d["backends"], set(d["backends"].values()) == {"up"}, "backends")
        expect(d["connection_errors"], d["connection_errors"] == {"invalid_message_format": 1}, "errors")
        expect(d, isinstance(d["log"], list) and d["log_total"] == len(d["log"]), "log")
        a.wire.close()
        b.wire.close()
        expect("data", "selected" not in server.json("/status/data"), "channels only of the app that is asked for")
    finally:
        server.close()


def main():
    program, failed = os.path.abspath(sys.argv[1]), 0
    for function in CASES:
        try:
            function(program)
            print("ok   %s" % function.__name__)
        except (AssertionError, OSError, Problem, subprocess.TimeoutExpired) as problem:
            failed += 1
            print("FAIL %s: %s" % (function.__name__, problem))
    print("status: %d passed, %d failed, 0 skipped" % (len(CASES) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
