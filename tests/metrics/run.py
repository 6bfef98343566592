#!/usr/bin/env python3
"""tests/metrics/run.py SERVER [NAME...] - what the metrics say after things have happened.

Every case has a server of its own; all run at the same time. A scrape is parsed strictly each time.
That a number is not higher is looked at after something later has been counted.
"""
import concurrent.futures
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "talk"))
import certificate  # noqa: E402
import exposition  # noqa: E402
import wsclient  # noqa: E402
from exposition import need  # noqa: E402

WAIT_S = 60
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CASES = []


def case(function):
    CASES.append(function)
    return function


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def app(name="main", **more):
    record = {"id": name, "key": name + "-key", "secret": name + "-secret", "enabled": True,
              "max_connections": 0, "max_client_events_per_second": 0,
              "enable_client_messages": True}
    record.update(more)
    return record


def until(what, found):
    """Looks again until it is true; gives what it found."""
    end = time.monotonic() + WAIT_S
    while True:
        got = found()
        if got:
            return got
        need(time.monotonic() < end, what, "did not come true")
        time.sleep(0.02)


class Scrape:
    def __init__(self, text, prefix):
        self.text, self.prefix, self.families = text, prefix, exposition.parse(text)

    def all(self, name, **labels):
        """{labels without app_id and port: value} of the series that have these labels."""
        base = name
        for suffix in ("_bucket", "_sum", "_count"):
            if self.prefix + base not in self.families and base.endswith(suffix):
                base = base[:-len(suffix)]
        return {k: v for (n, k), v in self.families[self.prefix + base].samples.items()
                if n == self.prefix + name and labels.items() <= dict(k).items()}

    def get(self, name, **labels):
        return sum(self.all(name, **labels).values())


class Server:
    def __init__(self, binary, apps=None, env=None, prefix="sockudo_", **options):
        self.binary, self.prefix = binary, prefix
        self.port, self.metrics_port = free_port(), free_port()
        self.apps = apps if apps is not None else [app()]
        self.config = {"host": "127.0.0.1", "port": self.port, "workers": 2,
                       "shutdown_grace_period": 2, "rate_limiter": {"enabled": False},
                       "queue": {"driver": "memory"},
                       "metrics": {"host": "127.0.0.1", "port": self.metrics_port,
                                   "prometheus": {"prefix": prefix}}}
        self.config.update(options)
        self.folder = tempfile.mkdtemp(prefix="metrics-")
        self.env, self.process, self.clients, self.secure = env or {}, None, [], None
        if "ssl" in options:
            cert, key = certificate.make(self.folder)
            self.config["ssl"].update(cert_path=cert, key_path=key)
            self.secure = ssl.create_default_context(cafile=cert)
        self.start()

    def write(self):
        self.config["app_manager"] = {"driver": "memory", "array": {"apps": self.apps}}
        with open(os.path.join(self.folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(self.config, f)

    def start(self):
        self.write()
        own = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        with open(os.path.join(self.folder, "log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.binary, "--config", os.path.join(self.folder, "config.json")], stdout=log,
                stderr=log, env={**own, "RUST_LOG": "debug", **self.env})
        until("the start", self.answers)

    def answers(self):
        need(self.process.poll() is None, "the server ended:", self.log()[-2000:])
        with contextlib.suppress(OSError):
            return self.call("GET", "/up").status == 200
        return False

    def reload(self):
        before = self.log().count("configuration reloaded")
        self.write()
        self.process.send_signal(signal.SIGHUP)
        until("the reload", lambda: self.log().count("configuration reloaded") > before)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        need(code == 0, "exit code", code, self.log()[-3000:])

    def close(self):
        for c in self.clients:
            c.wire.close()
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            shutil.rmtree(self.folder)

    def log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()

    def call(self, method, path, body=None, port=None, headers=None):
        if self.secure and port is None:
            c = http.client.HTTPSConnection("localhost", self.port, timeout=WAIT_S, context=self.secure)
        else:
            c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=WAIT_S)
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        r.body = r.read()
        c.close()
        return r

    def signed(self, method, path, body=b"", query=None, record=None, **change):
        """change: parameters of the signature that are to be wrong or (None) missing."""
        record = record or self.apps[0]
        params = {"auth_key": record["key"], "auth_timestamp": str(int(time.time())),
                  "auth_version": "1.0", **(query or {})}
        if body:
            params["body_md5"] = hashlib.md5(body).hexdigest()
        params.update({k: v for k, v in change.items() if k != "auth_signature" and v is not None})
        params = {k: v for k, v in params.items() if change.get(k, "") is not None}
        line = "&".join("%s=%s" % p for p in sorted(params.items()))
        mac = hmac.new(record["secret"].encode(), ("%s\n%s\n%s" % (method, path, line)).encode(),
                       hashlib.sha256).hexdigest()
        return self.call(method, "%s?%s&auth_signature=%s" % (
            path, line, change.get("auth_signature", mac)), body)

    def publish(self, channel, name="n", data="x", **more):
        body = json.dumps(dict(more, name=name, channel=channel, data=data)).encode()
        r = self.signed("POST", "/apps/%s/events" % self.apps[0]["id"], body)
        need(r.status == 200, r.status, r.body)
        return r

    def scrape(self):
        r = self.call("GET", "/metrics", port=self.metrics_port)
        need(r.status == 200 and r.getheader("Content-Type") == CONTENT_TYPE, r.status)
        return Scrape(r.body.decode(), self.prefix)

    def wait(self, value, name, **labels):
        got = []

        def look():
            got[:] = [self.scrape().get(name, **labels)]
            return got[0] == value
        try:
            until(name, look)
        except AssertionError:
            raise AssertionError("%s %s is %s, not %s" % (name, labels, got[0], value)) from None

    def client(self, record=None, path=None, headers=(), rcvbuf=0):
        record = record or self.apps[0]
        c = wsclient.Client("client", self.port, path or "/app/%s?protocol=7" % record["key"],
                            list(headers), rcvbuf)
        c.record = record
        self.clients.append(c)
        c.finish_handshake(WAIT_S)
        need(c.response.status == 101, c.response.status)
        if path is None:
            c.id = json.loads(hear(c, "pusher:connection_established")["data"])["socket_id"]
        return c


def hear(c, event, channel=None):
    while True:
        item = c.next(WAIT_S)
        need(item[0] not in ("close", "end"), "ended instead of", event, item)
        if item[0] == "text" and item[1]["event"] == event and channel in (None, item[1].get("channel")):
            return item[1]


def ended(c):
    """Code of the Close, or what ended it."""
    while True:
        item = c.next(WAIT_S)
        if item[0] in ("close", "end"):
            return item[1] if item[0] == "close" else "end"


def say(c, event, data=None, **more):
    c.send_text(json.dumps(dict(more, event=event, data=data if data is not None else {})))


def subscribe(c, channel, user=None):
    data, text = {"channel": channel}, c.id + ":" + channel
    if user:
        data["channel_data"] = json.dumps({"user_id": user, "user_info": {"name": "info-" + user}})
        text += ":" + data["channel_data"]
    if channel.startswith(("private-", "presence-")):
        mac = hmac.new(c.record["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
        data["auth"] = c.record["key"] + ":" + mac
    say(c, "pusher:subscribe", data)
    hear(c, "pusher_internal:subscription_succeeded", channel)
    return c


def leave(c):
    c.send_close(b"\x03\xe8")
    ended(c)


# ---- listener ------------------------------------------------------------------------------

@case
def listener(s):
    """MET-1, MET-5"""
    out = subprocess.run([s.binary, "--print-config"], capture_output=True, text=True, check=True,
                         env={}, cwd=s.folder).stdout
    default = json.loads(out[out.index("{"):])["metrics"]
    need(default["enabled"] is True and default["port"] == 9601, default)
    need(default["prometheus"]["prefix"] == "sockudo_", default)
    s.scrape()
    get = s.call("GET", "/metrics", port=s.metrics_port, headers={"Accept": "application/json"})
    need(get.getheader("Content-Type") == CONTENT_TYPE, get.getheader("Content-Type"))
    head = s.call("HEAD", "/metrics", port=s.metrics_port)
    need(head.status == 200 and head.body == b"", head.status)
    need(int(head.getheader("Content-Length")) > 1000, head.getheader("Content-Length"))
    for method, path, port, status in (
            ("GET", "/metrics", s.port, 404), ("POST", "/metrics", s.metrics_port, 405),
            ("DELETE", "/metrics", s.metrics_port, 405), ("GET", "/nope", s.metrics_port, 404),
            ("GET", "/app/main-key", s.metrics_port, 404), ("GET", "/apps/main/channels", s.metrics_port, 404),
            ("GET", "/ready", s.metrics_port, 200), ("GET", "/usage", s.metrics_port, 200),
            ("GET", "/up", s.metrics_port, 200), ("GET", "/live", s.metrics_port, 200),
            ("GET", "/", s.metrics_port, 200)):
        need(s.call(method, path, port=port).status == status, method, path, status)


@case
def no_listener(s):
    """MET-2, CFG-49"""
    off = Server(s.binary, env={"METRICS_ENABLED": "false"})
    try:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", off.metrics_port), WAIT_S).close()
            raise AssertionError("the metrics port is open")
        need("metrics on" not in off.log(), "metrics on")
    finally:
        off.close()
    busy = Server(s.binary, env={"METRICS_PORT": str(s.metrics_port)})
    try:
        need(" WARN " in [line for line in busy.log().split("\n") if "no metrics" in line][0], "warning")
        leave(busy.client())
    finally:
        busy.close()


@case
def prefixes(s):
    """MET-3, MET-4, CFG-50"""
    names = {n[len("sockudo_"):] for n in s.scrape().families if not n.startswith("process_")}
    odd = [{**app('a"b\\c\nd'), "key": "odd-key"}, app("main"), app("unknown"), app("global")]
    for prefix in ("x_", "soketi_", ""):
        other = Server(s.binary, odd, prefix=prefix)
        try:
            got = other.scrape()
            need({n[len(prefix):] for n in got.families if not n.startswith("process_")} == names,
                 "prefix", prefix)
            need(all(n.startswith((prefix, "process_")) for n in got.families), prefix)
            need(got.all("connected", app_id='a"b\\c\nd'), "the odd id")
            promtool(got.text)
        finally:
            other.close()


def promtool(text):
    """It warns of names that are not ours to choose: counters without _total."""
    if not shutil.which("promtool"):
        return
    r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                       check=False)
    known = ('counter metrics should have "_total" suffix',
             "metric names should not contain abbreviated units", "use base unit")
    bad = [line for line in (r.stdout + r.stderr).split("\n") if line and not any(k in line for k in known)]
    need(not bad, "promtool:", bad)


# ---- the base set --------------------------------------------------------------------------

BASE = {"connected": "gauge", "new_connections_total": "counter", "new_disconnections_total": "counter",
        "socket_received_bytes": "counter", "socket_transmitted_bytes": "counter",
        "ws_messages_received_total": "counter", "ws_messages_sent_total": "counter",
        "http_received_bytes": "counter", "http_transmitted_bytes": "counter",
        "http_calls_received_total": "counter", "horizontal_adapter_resolve_time": "histogram",
        "horizontal_adapter_resolved_promises": "counter",
        "horizontal_adapter_uncomplete_promises": "counter",
        "horizontal_adapter_sent_requests": "counter",
        "horizontal_adapter_received_requests": "counter",
        "horizontal_adapter_received_responses": "counter"}
BOUNDS = ["0.5", "1", "2.5", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "+Inf"]


@case
def base_set(s):
    """MET-7 (of one node), MET-8, MET-17; every family of the tables is there with its labels."""
    s.apps.append(app("second"))
    s.reload()
    subscribe(s.client(), "room")
    s.publish("room")
    got = s.scrape()
    for name, kind in BASE.items():
        family = got.families["sockudo_" + name]
        need(family.kind == kind, name, family.kind)
        for _, labels in family.samples:
            names = [k for k, _ in labels if k != "le"]
            need(names == ["app_id", "port"] and dict(labels)["port"] == str(s.metrics_port), labels)
        apps = {dict(k)["app_id"] for _, k in family.samples}
        need(apps >= {"main", "second"}, name, apps)
    for name in list(BASE)[:10]:
        need(got.get(name, app_id="second") == 0, name)
    for name in list(BASE)[11:]:
        need(got.get(name) == 0, name)
    buckets = got.all("horizontal_adapter_resolve_time_bucket", app_id="main")
    need([dict(k)["le"] for k in buckets] == BOUNDS and sum(buckets.values()) == 0, buckets)
    table = exposition.metrics()
    need({"sockudo_" + n for n in table} | set(exposition.PROCESS) == set(got.families), "names")
    for name, (kind, labels) in table.items():
        family = got.families["sockudo_" + name]
        need(family.kind == kind, name)
        for _, pairs in family.samples:
            for label, value in pairs:
                need(label == "le" or label in labels, name, label)
                need(label == "le" or labels[label] is None or value in labels[label], name, value)


def stay_awake(clients, stop):
    while not stop.wait(0.3):
        for c in clients:
            c.wire.send(wsclient.frame(9, b""))


@case
def churn(s):
    """MET-9, MET-19: by Close, by reset, by silence; and who stays."""
    s.config["activity_timeout"] = 1
    s.reload()
    clients = [s.client() for _ in range(100)]
    staying, stop = clients[90:], threading.Event()
    awake = threading.Thread(target=stay_awake, args=(staying, stop))
    awake.start()
    try:
        for i, c in enumerate(clients):
            subscribe(c, "presence-room-%d" % (i % 7), user="u%d" % i)
        for c in clients[:30]:
            leave(c)
        for c in clients[30:60]:
            c.wire.reset()
        s.wait(10, "connected", app_id="main")
        got = s.scrape()
        need(got.get("new_connections_total", app_id="main") == 100, "new_connections_total")
        need(got.get("new_disconnections_total", app_id="main") == 90, "new_disconnections_total")
        need(got.get("connection_errors_total", app_id="main", error_type="pong_timeout") == 30,
             got.all("connection_errors_total"))
        need(got.get("active_channels", channel_type="presence") == 7, "active_channels")
    finally:
        stop.set()
        awake.join()
    for c in staying:
        leave(c)
    all_are_gone(s)


def all_are_gone(s):
    s.wait(0, "connected")
    got = s.scrape()
    need(got.get("active_channels") == 0, got.all("active_channels"))
    for k, v in got.all("channel_subscriptions_total").items():
        need(v == got.all("channel_unsubscriptions_total").get(k, 0), k, v)
    need(got.get("new_connections_total") == got.get("new_disconnections_total"), "ends")


@case
def lease_and_reload(s):
    """MET-9, MET-19 with a member that is still waited for, and an app that goes and comes back"""
    s.config["presence"] = {"ungraceful_timeout_seconds": 3600}
    s.reload()
    c = subscribe(s.client(), "presence-x", user="u")
    s.wait(1, "active_channels", channel_type="presence")
    c.wire.reset()
    all_are_gone(s)
    subscribe(s.client(), "presence-x", user="u").wire.reset()
    all_are_gone(s)
    kept, s.apps[:] = s.apps[0], [app("second")]
    c = subscribe(s.client(kept), "room")
    s.reload()
    need(ended(c) == 4003, "the app was removed")
    all_are_gone(s)
    need(s.scrape().get("new_connections_total", app_id="main") == 3, "the series stays")
    s.apps.append(kept)
    s.reload()
    c = subscribe(s.client(kept), "room")
    s.wait(1, "connected", app_id="main")
    s.wait(1, "active_channels", app_id="main", channel_type="public")
    leave(c)
    all_are_gone(s)


@case
def refused_handshakes(s):
    """MET-10, MET-23, MET-25: who is not admitted is an error and no connection"""
    s.apps += [app("quota", max_connections=1), app("off", enabled=False),
               app("here", allowed_origins=["https://here.example"])]
    s.reload()
    s.client(s.apps[1])
    for record, path, error in (
            (s.apps[1], None, "over_quota"), (s.apps[2], None, "app_disabled"),
            (s.apps[3], None, "origin_not_allowed"), (s.apps[0], "?protocol=3", "unsupported_protocol"),
            (s.apps[0], "?protocol=2", "unsupported_protocol")):
        target = "/app/%s%s" % (record["key"], path or "?protocol=7")
        need(isinstance(ended(s.client(path=target)), int), error)
    got = s.scrape()
    need(got.get("connected") == 1 and got.get("new_connections_total") == 1, "connections")
    for error, owner, n in (("over_quota", "quota", 1), ("app_disabled", "off", 1),
                            ("origin_not_allowed", "here", 1), ("unsupported_protocol", "unknown", 2)):
        need(got.get("connection_errors_total", error_type=error, app_id=owner) == n, error,
             got.all("connection_errors_total"))
    before = sum(len(f.samples) for f in got.families.values())
    for i in range(200):
        c = s.client(path="/app/stranger-%d?protocol=7" % i)
        need(ended(c) == 4001, i)
        c.wire.close()
        need(s.call("GET", "/up/stranger-%d" % i).status == 404, i)
    got = s.scrape()
    need(got.get("connection_errors_total", error_type="app_not_found", app_id="unknown") == 200, "unknown")
    new = {"http_requests_total", "http_request_duration_ms", "connection_errors_total", "event_loop_lag_ms"}
    after = sum(len(f.samples) for n, f in got.families.items() if n[8:] not in new)
    need(after <= before and "stranger" not in got.text, before, after)
    need(len(got.all("connection_errors_total")) == 5, got.all("connection_errors_total"))


@case
def over_capacity(s):
    """MET-10, MET-25"""
    s.config["max_connections"] = 1
    s.reload()
    s.client()
    need(ended(s.client(path="/app/main-key?protocol=7")) == 4100, "capacity")
    got = s.scrape()
    need(got.get("connected") == 1 and got.get("new_connections_total") == 1, "connections")
    need(got.get("connection_errors_total", error_type="over_capacity", app_id="main") == 1, "error")


@case
def deliveries(s):
    """MET-11, MET-20"""
    clients = [subscribe(s.client(), "room") for _ in range(11)]
    before = s.scrape()
    s.publish("room", data="first", socket_id=clients[0].id)
    frames = [c.next(WAIT_S)[2] for c in clients[1:]]
    s.wait(1, "broadcast_latency_ms_count", channel_type="public", recipient_count_bucket="xs")
    after = s.scrape()
    need(after.get("ws_messages_sent_total") - before.get("ws_messages_sent_total") == 10, "messages")
    need(after.get("socket_transmitted_bytes") - before.get("socket_transmitted_bytes")
         == 10 * len(frames[0]), "bytes")
    s.publish("room", data="second")
    s.wait(1, "broadcast_latency_ms_count", channel_type="public", recipient_count_bucket="sm")
    s.publish("nobody")
    s.publish("room", data="third")
    s.wait(2, "broadcast_latency_ms_count", channel_type="public", recipient_count_bucket="sm")
    need(s.scrape().get("broadcast_latency_ms_count") == 3, "none for nobody")


@case
def messages(s):
    """MET-13, MET-14, MET-25: of what comes in"""
    c = s.client()
    before = s.scrape()

    def moved(name, **labels):
        return s.scrape().get(name, **labels) - before.get(name, **labels)
    c.wire.send(wsclient.frame(9, b"are you there"))
    need(c.next(WAIT_S)[0] == "pong", "pong")
    need(moved("ws_messages_received_total") == moved("ws_messages_sent_total") == 0, "protocol pings")
    ping = '{"event":"pusher:ping","data":{}}'
    c.send_text(ping)
    pong = c.next(WAIT_S)[2]
    need(moved("ws_messages_received_total") == moved("ws_messages_sent_total") == 1, "pusher:ping")
    need(moved("socket_received_bytes") == len(ping), "received bytes")
    need(moved("socket_transmitted_bytes") == len(pong), "sent bytes")
    c.send_text("no JSON")
    c.next(WAIT_S)
    c.send_text('{"data":{}}')
    c.next(WAIT_S)
    say(c, "pusher:subscribe", {"channel": "private-x", "auth": "main-key:00"})
    hear(c, "pusher:error")
    say(c, "pusher:signin", {"auth": "main-key:00", "user_data": "{}"})
    hear(c, "pusher:error")
    for error, n in (("invalid_message_format", 1), ("missing_event_name", 1),
                     ("authentication_failed", 1), ("authentication_error", 1)):
        need(moved("connection_errors_total", error_type=error) == n, error)
    need(moved("ws_messages_received_total") == 5, "bad ones count")
    for code in (1002, 1007, 1009):
        other = s.client()
        other.send_close(code.to_bytes(2, "big"))
        ended(other)
    need(moved("connection_errors_total") == 4, "the peer's own close codes are no errors of ours")
    c.send_text("x" * (1 << 20))
    need(ended(c) == 1009, "too large")
    need(moved("connection_errors_total", error_type="message_too_large") == 1, "too large")
    other = s.client()
    other.wire.send(wsclient.frame(3, b""))
    need(ended(other) == 1002, "reserved opcode")
    need(moved("connection_errors_total", error_type="socket_handling_failed") == 1, "frame error")
    need(moved("connection_errors_total") == 6, "each once")


@case
def late_handshakes(s):
    """MET-25: who sends nothing, and who does not finish"""
    quiet, slow, fine = (socket.create_connection(("127.0.0.1", s.port), WAIT_S) for _ in range(3))
    slow.sendall(b"GET /app/main-key HTTP/1.1\r\nHost: x\r\n")
    fine.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
    need(b" 200 " in fine.recv(1000), "answer")
    metrics = socket.create_connection(("127.0.0.1", s.metrics_port), WAIT_S)
    quiet.settimeout(WAIT_S)
    slow.settimeout(WAIT_S)
    need(quiet.recv(1000) == b"" and b" 408 " in slow.recv(1000), "answers")
    metrics.settimeout(WAIT_S)
    need(metrics.recv(1000) == b"", "the metrics listener has its own")
    s.wait(2, "connection_errors_total", app_id="unknown", error_type="handshake_timeout")
    for sock in (quiet, slow, fine, metrics):
        sock.close()


@case
def late_tls(s):
    """MET-25: of TLS too, where who hangs up before is no error"""
    other = Server(s.binary, ssl={"enabled": True})
    try:
        late, gone, refused = (socket.create_connection(("127.0.0.1", other.port), WAIT_S)
                               for _ in range(3))
        late.sendall(b"\x16\x03\x01\x01\x00")
        gone.sendall(b"\x16\x03\x01\x01\x00")
        gone.close()
        refused.sendall(b"GET / HTTP/1.1\r\n\r\n")
        late.settimeout(WAIT_S)
        with contextlib.suppress(ConnectionError):
            need(late.recv(1000) == b"", "it is cut")
        other.wait(1, "connection_errors_total", error_type="handshake_timeout")
        need(other.scrape().get("connection_errors_total") == 1, "nothing else")
        late.close()
        refused.close()
    finally:
        other.close()


@case
def shutdown(s):
    """MET-9, MET-19 while the server ends: everybody has left before the metrics go"""
    s.config["shutdown_grace_period"] = 60
    s.stop()
    s.start()
    clients = [subscribe(s.client(), "presence-x", user="u%d" % i) for i in range(20)]
    s.process.send_signal(signal.SIGTERM)
    s.wait(0, "connected")
    all_are_gone(s)
    need(s.scrape().get("new_disconnections_total") == 20, "each once")
    need([ended(c) for c in clients] == [4200] * 20, "told")
    for c in clients:
        c.wire.close()
    need(s.process.wait(WAIT_S) == 0, "exit code")


@case
def many_apps(s):
    """MET-6: with 200 apps all are there, and messages are answered between scrapes; the times are
    measured elsewhere"""
    other = Server(s.binary, [app("app-%d" % i) for i in range(200)])
    try:
        c = other.client()
        for _ in range(3):
            got = other.scrape()
            c.fence(WAIT_S)
        need(len(got.all("connected")) == 200, "apps")
        need(sum(len(f.samples) for f in got.families.values()) < 20000, "not too many series")
        other.wait(4, "ws_messages_sent_total")
    finally:
        other.close()


@case
def api_calls(s):
    """MET-15, MET-16"""
    body = json.dumps({"name": "n", "channel": "c", "data": "d" * 1000}).encode()
    batch = json.dumps({"batch": [{"name": "n", "channel": "c", "data": "d"}]}).encode()
    answers = [s.signed("POST", "/apps/main/events", body),
               s.signed("POST", "/apps/main/batch_events", batch),
               s.signed("GET", "/apps/main/channels"),
               s.signed("GET", "/apps/main/channels/c"),
               s.signed("GET", "/apps/main/channels/presence-c/users"),
               s.signed("POST", "/apps/main/users/u/terminate_connections")]
    need([r.status for r in answers] == [200] * 6, [r.status for r in answers])
    got = s.scrape()
    need(got.get("http_calls_received_total", app_id="main") == 6, "calls")
    need(got.get("http_received_bytes") == len(body) + len(batch), "received")
    need(got.get("http_transmitted_bytes") == sum(len(r.body) for r in answers), "sent")
    bad = s.signed("POST", "/apps/main/events", b"{}")
    need(bad.status == 400, bad.status)
    need(s.signed("POST", "/apps/main/events", body, auth_signature="0" * 64).status == 401, 401)
    need(s.call("GET", "/up").status == 200 and s.call("GET", "/up/main").status == 200, "up")
    head = s.signed("HEAD", "/apps/main/channels")
    need(head.status == 200, head.status)
    got = s.scrape()
    need(got.get("http_calls_received_total", app_id="main") == 8, "a 400 counts")
    need(got.get("http_received_bytes") == len(body) + len(batch) + 2, "received")
    need(got.get("http_transmitted_bytes") == sum(len(r.body) for r in answers) + len(bad.body),
         "a HEAD has no body")


# ---- the further set -----------------------------------------------------------------------

KINDS = {"room": "public", "my-cache-x": "public", "private-x": "private",
         "private-encrypted-x": "private_encrypted", "presence-x": "presence", "cache-x": "cache",
         "private-cache-x": "cache", "presence-cache-x": "cache", "private-encrypted-cache-x": "cache"}


@case
def channel_types(s):
    """MET-18, MET-19"""
    clients = [s.client(), s.client()]
    for c in clients:
        for name in KINDS:
            subscribe(c, name, user="u" if name.startswith("presence-") else None)
    got = s.scrape()
    for kind in set(KINDS.values()):
        n = list(KINDS.values()).count(kind)
        need(got.get("active_channels", channel_type=kind) == n, kind, "active")
        need(got.get("channel_subscriptions_total", channel_type=kind) == 2 * n, kind)
    for name in KINDS:
        say(clients[0], "pusher:unsubscribe", {"channel": name})
    clients[0].fence(WAIT_S)
    got = s.scrape()
    need(got.get("channel_unsubscriptions_total") == len(KINDS) == got.get("active_channels"), "left")
    clients[1].wire.reset()
    leave(clients[0])
    all_are_gone(s)


@case
def cached_events(s):
    """MET-18 and the look-ups of cached events"""
    c = s.client()
    subscribe(c, "cache-a")
    hear(c, "pusher:cache_miss")
    s.publish("cache-b", data="kept")
    subscribe(c, "cache-b")
    hear(c, "n", "cache-b")
    got = s.scrape()
    need(got.get("channel_cache_total", result="miss") == 1, got.all("channel_cache_total"))
    need(got.get("channel_cache_total", result="hit") == 1, got.all("channel_cache_total"))


@case
def api_limit(s):
    """MET-21, MET-23"""
    other = Server(s.binary, rate_limiter={
        "enabled": True, "api_rate_limit": {"max_requests": 2, "window_seconds": 3600},
        "websocket_rate_limit": {"max_requests": 1, "window_seconds": 3600}})
    try:
        statuses = [other.signed("GET", "/apps/main/channels").status for _ in range(3)]
        need(statuses == [200, 200, 429], statuses)
        other.client()
        need(other.call("GET", "/app/main-key").status == 429, "upgrades")
        got = other.scrape()
        for kind, context, checks in (("api_rate_limit", "http_api", 3),
                                      ("websocket_rate_limit", "websocket_upgrade", 2)):
            labels = {"limiter_type": kind, "request_context": context, "app_id": "global"}
            need(got.get("rate_limit_checks_total", **labels) == checks, kind)
            need(got.get("rate_limit_triggered_total", **labels) == 1, kind)
        need(got.get("rate_limit_checks_total") == 5 and got.get("rate_limit_triggered_total") == 2, "else")
    finally:
        other.close()


@case
def client_limits(s):
    """MET-22"""
    s.apps[:] = [app(max_client_events_per_second=1, decay_seconds=3600),
                 app("quiet", message_rate_limit={"enabled": True, "max_attempts": 2,
                                                  "decay_seconds": 3600})]
    s.reload()
    c = subscribe(s.client(), "private-x")
    for _ in range(2):
        say(c, "client-a", channel="private-x")
    c.fence(WAIT_S)
    labels = {"limiter_type": "client_events", "request_context": "unknown", "app_id": "main"}
    got = s.scrape()
    checks, refused = got.get("rate_limit_checks_total", **labels), got.get("rate_limit_triggered_total", **labels)
    need((checks, refused) == (2, 1), checks, refused)
    other = s.client(s.apps[1])
    for _ in range(3):
        say(other, "pusher:ping")
    need(hear(other, "pusher:error")["data"]["code"] == 4301, "messages")
    labels = {"limiter_type": "messages", "request_context": "unknown", "app_id": "quiet"}
    got = s.scrape()
    checks, refused = got.get("rate_limit_checks_total", **labels), got.get("rate_limit_triggered_total", **labels)
    need((checks, refused) == (3, 1), checks, refused)
    need(got.get("ws_messages_received_total", app_id="quiet") == 3, "refused ones were received")


@case
def nothing_private(s):
    """MET-24: names of channels, users, sockets and addresses are in no label"""
    c = subscribe(s.client(), "private-confidential")
    member = subscribe(s.client(), "presence-confidential", user="somebody")
    say(c, "client-confidential", channel="private-confidential")
    s.publish("private-confidential")
    s.signed("GET", "/apps/main/channels/private-confidential")
    s.signed("POST", "/apps/main/users/somebody/terminate_connections")
    s.call("GET", "/confidential")
    s.call("BREW", "/confidential")
    s.call("GET", "/apps/confidential/channels?auth_key=somebody")
    c.fence(WAIT_S)
    text = s.scrape().text
    for word in ("confidential", "somebody", c.id, member.id, "127.0.0.1", "BREW"):
        need(word not in text, word)


@case
def process(s):
    """MET-27"""
    got = s.scrape()
    pid = s.process.pid
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        stat = f.read().rsplit(")", 1)[1].split()
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE")
    with open("/proc/stat", encoding="utf-8") as f:
        boot = int(next(line for line in f if line.startswith("btime")).split()[1])

    def near(name, value, slack=0.0):
        mine = got.families[name].samples[(name, ())]
        need(abs(mine - value) <= 0.05 * value + slack, name, mine, value)
    near("process_resident_memory_bytes", int(stat[21]) * page)
    near("process_virtual_memory_bytes", int(stat[20]))
    near("process_max_fds", resource.prlimit(pid, resource.RLIMIT_NOFILE)[0])
    near("process_cpu_seconds_total", (int(stat[11]) + int(stat[12])) / tick, 0.1)
    # Sockets of the questions before may still be on their way out; the scrape's own is one more.
    ends = time.monotonic() + WAIT_S
    while abs(s.scrape().families["process_open_fds"].samples[("process_open_fds", ())] -
              len(os.listdir("/proc/%d/fd" % pid))) > 1:
        need(time.monotonic() < ends, "process_open_fds")
    start = got.families["process_start_time_seconds"].samples[("process_start_time_seconds", ())]
    need(abs(start - boot - int(stat[19]) / tick) <= 2, "start", start)
    for name, kind in exposition.PROCESS.items():
        need(got.families[name].kind == kind, name)


# ---- additions -----------------------------------------------------------------------------

class Hooks:
    """A back end whose answers are statuses, one for each request."""

    def __init__(self, statuses):
        hooks = self
        hooks.statuses = statuses

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(hooks.statuses.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]


def hooked(url):
    return app(webhooks=[{"url": url, "event_types": ["client_event"],
                          "retry": {"max_attempts": 2, "initial_backoff_ms": 10, "max_backoff_ms": 20}}])


@case
def webhooks(s):
    """MET-29"""
    hooks = Hooks([200, 500, 200, 400, 500, 500])
    s.apps[:] = [hooked(hooks.url)]
    s.reload()
    c = subscribe(s.client(), "private-x")
    for n, outcomes in enumerate(({"delivered": 1}, {"delivered": 2, "retry": 1}, {"permanent": 1},
                                  {"expired": 1, "retry": 2})):
        say(c, "client-a", {"n": n}, channel="private-x")
        for outcome, count in outcomes.items():
            s.wait(count, "webhook_requests_total", app_id="main", target="http", outcome=outcome)
    got = s.scrape()
    need(got.get("webhook_events_total", app_id="main", event="client_event") == 4, "events")
    need(got.get("webhook_request_duration_ms_count", target="http") == 6, "durations")
    need(got.get("webhook_events_dropped_total") == 0, "nothing is lost")
    s.wait(2, "queue_depth", state="dead")  # what is given up can be seen
    hooks.statuses += [503] * 10
    say(c, "client-a", {"n": 4}, channel="private-x")
    s.wait(3, "webhook_requests_total", outcome="retry")
    s.wait(2, "webhook_requests_total", outcome="expired")
    hooks.server.shutdown()


@case
def webhooks_of_a_lost_app(s):
    """MET-29: the app has gone while its events waited"""
    hooks = Hooks([503] * 1000)
    s.apps[:] = [hooked(hooks.url), app("second")]
    s.apps[0]["webhooks"][0]["retry"] = {"max_attempts": 0, "initial_backoff_ms": 1000, "max_backoff_ms": 1000}
    s.reload()
    c = subscribe(s.client(), "private-x")
    say(c, "client-a", channel="private-x")
    s.wait(1, "webhook_requests_total", outcome="retry")
    s.apps.pop(0)
    s.reload()
    s.wait(1, "webhook_events_dropped_total", reason="app_gone")
    hooks.server.shutdown()


@case
def backends(s):
    """MET-30 of a node alone: all are up, as /up says"""
    got = s.scrape()
    up = got.all("backend_up")
    need(set(up.values()) == {1} and len(up) == 5, up)
    need(s.call("GET", "/up").body == b"OK", "up")
    need(got.get("cluster_nodes") == 1, "nodes")
    need({dict(k)["driver"] for k in got.all("queue_depth")} == {"memory"}, "queue")
    need({dict(k)["state"] for k in got.all("queue_depth")} == {"waiting", "delayed", "active", "dead"}, "q")


@case
def requests(s):
    """MET-31"""
    start = s.scrape().get("http_requests_total")
    sent = [("GET", "/", "/", 200), ("GET", "/up", "/up", 200), ("HEAD", "/up", "/up", 200),
            ("GET", "/up/main", "/up/{id}", 200), ("GET", "/up/nope", "/up/{id}", 404),
            ("GET", "/nope", "other", 404), ("POST", "/nope/1", "other", 404),
            ("PUT", "/up", "/up", 405), ("OPTIONS", "/apps/main/events", "/apps/{id}/events", 200),
            ("GET", "/apps/main/channels", "/apps/{id}/channels", 401),
            ("GET", "/apps/main/channels/a/users", "/apps/{id}/channels/{name}/users", 401),
            ("GET", "/app/main-key", "/app/{key}", 426)]
    for method, path, route, status in sent:
        r = s.call(method, path)
        method = method if method != "PUT" else "other"
        labels = {"route": route, "method": method, "status": str(r.status)}
        need(r.status == status or path.startswith("/app/"), path, r.status)
        need(s.scrape().get("http_requests_total", **labels) >= 1, labels)
    s.client()
    got = s.scrape()
    need(got.get("http_requests_total", route="/app/{key}", status="101") == 1, "upgrade")
    need(got.get("http_requests_total") - start == len(sent) + 1, "sum")
    need(got.get("http_request_duration_ms_count", route="/up") >= 2, "durations")


@case
def refusals(s):
    """MET-32"""
    body = b'{"name":"n","channel":"c","data":"d"}'
    path = "/apps/main/events"
    s.apps.append(app("off", enabled=False))
    s.reload()
    now = int(time.time())
    for reason, status, r in (
            ("missing", 401, s.signed("POST", path, body, auth_timestamp=None)),
            ("unknown_app", 404, s.signed("POST", "/apps/nobody/events", body)),
            ("key", 401, s.signed("POST", path, body, auth_key="off-key")),
            ("version", 401, s.signed("POST", path, body, auth_version="2.0")),
            ("timestamp", 401, s.signed("POST", path, body, auth_timestamp=str(now - 700))),
            ("md5", 401, s.signed("POST", path, body, body_md5="0" * 32)),
            ("md5", 401, s.signed("POST", path, body, body_md5=None)),
            ("signature", 401, s.signed("POST", path, body, auth_signature="0" * 64)),
            ("disabled", 403, s.signed("POST", "/apps/off/events", body, record=s.apps[1]))):
        need(r.status == status, reason, r.status, r.body)
        need(s.scrape().get("http_auth_failures_total", reason=reason) >= 1, reason)
    got = s.scrape()
    need(got.get("http_auth_failures_total") == 9, got.all("http_auth_failures_total"))
    need(got.get("http_calls_received_total", app_id="off") == 1, "the 403 of a disabled app counts")
    need(got.get("http_calls_received_total", app_id="main") == 0, "a 401 does not")


def fill(s, found):
    """Events until the one who does not read is noticed."""
    slow, fast = subscribe(s.client(rcvbuf=4096), "slow"), subscribe(s.client(), "slow")
    for i in range(3000):
        s.publish("slow", data="%d:%s" % (i, "x" * 9000))
        hear(fast, "n", "slow")
        if i % 20 == 0 and found(s.scrape()):
            return slow, fast, i + 1
    raise AssertionError("nobody was slow")


@case
def slow_consumers(s):
    """MET-33, MET-25"""
    s.config["websocket"] = {"max_messages": 20}
    s.reload()
    _, fast, _ = fill(s, lambda got: got.get("slow_consumer_closed_total", app_id="main") == 1)
    got = s.scrape()
    need(got.get("connection_errors_total", error_type="slow_consumer") == 1, "error")
    leave(fast)
    s.wait(0, "connected")
    s.wait(1, "slow_consumer_closed_total")


@case
def dropped_messages(s):
    """MET-33: who may stay misses events, and each is counted as dropped or sent"""
    s.config["websocket"] = {"max_messages": 20, "disconnect_on_buffer_full": False}
    s.reload()
    labels = {"app_id": "main", "reason": "slow_consumer"}
    base = s.scrape().get("ws_messages_sent_total")
    _, _, events = fill(s, lambda got: got.get("messages_dropped_total", **labels) > 0)
    got = s.scrape()
    need(got.get("slow_consumer_closed_total") == 0 and got.get("connected") == 2, "both are here")
    need(got.get("send_queue_bytes") > 0, "something waits")
    told = 4  # two are established and subscribed
    need(got.get("ws_messages_sent_total") - base + got.get("messages_dropped_total")
         == 2 * events + told, "sent and dropped")


@case
def watchlists(s):
    """MET-11: what watchers are told is sent as well"""
    s.apps[:] = [app(enable_user_authentication=True, enable_watchlist_events=True)]
    s.reload()

    def signin(c, **user):
        text = json.dumps(user)
        mac = hmac.new(b"main-secret", ("%s::user::%s" % (c.id, text)).encode(), hashlib.sha256)
        say(c, "pusher:signin", {"auth": "main-key:" + mac.hexdigest(), "user_data": text})
        hear(c, "pusher:signin_success")
    watcher = s.client()
    signin(watcher, id="w", watchlist=["u"])
    hear(watcher, "pusher_internal:watchlist_events")
    other = s.client()
    before = s.scrape()
    signin(other, id="u")
    told = watcher.next(WAIT_S)
    need(told[1]["event"] == "pusher_internal:watchlist_events", told)
    need(s.scrape().get("ws_messages_sent_total") - before.get("ws_messages_sent_total") == 2, "two")


@case
def never_less(s):
    """MET-34"""
    stop, lower, last = threading.Event(), [], {}

    def look():
        for name, family in s.scrape().families.items():
            for key, value in family.samples.items():
                if family.kind != "gauge":
                    if value < last.get(key, 0):
                        lower.append((name, key))
                    last[key] = value
    looking = threading.Thread(target=lambda: [look() for _ in iter(stop.is_set, True)])
    looking.start()
    try:
        for i in range(40):
            c = subscribe(s.client(), "room-%d" % (i % 3))
            s.publish("room-%d" % (i % 3))
            hear(c, "n")
            random.choice((leave, lambda c: c.wire.reset()))(c)
    finally:
        stop.set()
        looking.join()
    need(last and not lower, "went down:", lower[:5])
    s.wait(40, "new_disconnections_total")
    s.stop()
    s.start()
    need(s.scrape().get("new_connections_total") == 0, "begins at 0")


# ---- all -----------------------------------------------------------------------------------

def run_one(binary, function):
    server = None
    try:
        server = Server(binary)
        function(server)
        server.close()
        return None
    except (AssertionError, wsclient.Problem, OSError, LookupError, ValueError,
            http.client.HTTPException, subprocess.SubprocessError):
        text = traceback.format_exc()
        if server:
            text += "".join("    | %s\n" % line for line in server.log().split("\n")[-12:])
            server.process.kill()
            server.process.wait()
            shutil.rmtree(server.folder)
        return text


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: tests/metrics/run.py SERVER [NAME...]")
    binary, wanted = os.path.abspath(sys.argv[1]), sys.argv[2:]
    cases = [c for c in CASES if not wanted or c.__name__ in wanted]
    failed = 0
    cases.sort(key=lambda c: c is not churn)  # the longest first
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for c, problem in zip(cases, pool.map(lambda c: run_one(binary, c), cases)):
            failed += problem is not None
            print("%s %s (%s)" % ("FAILED" if problem else "passed", c.__name__,
                                  c.__doc__.split(":")[0].strip()))
            if problem:
                print(problem)
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
