"""tests/security/kit.py - a server of its own for each case, signed requests, raw sockets."""
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "talk"))
import certificate  # noqa: E402
from wsclient import Client, Port, Problem, Wire, frame, read_response  # noqa: E402,F401

WAIT = float(os.environ.get("TALK_WAIT", "20"))


def app(id, **more):
    return {"id": id, "key": id + "-key", "secret": id + "-secret", "enabled": True, "max_connections": 0,
            "max_client_events_per_second": 0, "enable_client_messages": True,
            "enable_user_authentication": True, "enable_watchlist_events": True, **more}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def merge(base, change):
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return {**base, **{k: merge(base.get(k), v) for k, v in change.items()}}


class Server:
    def __init__(self, binary, config=None, env=None, tls=False, preload=None, before=None, args=(), apps=None,
                 **popen):
        self.folder = tempfile.mkdtemp(prefix="security-")
        self.metrics_port = free_port()
        base = {"host": "127.0.0.1", "port": 0, "rate_limiter": {"enabled": False}, "workers": 1,
                "metrics": {"enabled": True, "host": "127.0.0.1", "port": self.metrics_port},
                "app_manager": {"array": {"apps": apps or [app("main"), app("other")]}}}
        os.chmod(self.folder, 0o755)  # for servers of another user
        context = None
        if tls:
            import ssl
            cert, key = certificate.make(self.folder)
            base["ssl"] = {"enabled": True, "cert_path": cert, "key_path": key}
            context = ssl.create_default_context(cafile=cert)
        path = os.path.join(self.folder, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(merge(base, config or {}), f)
        own = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        own.update(env or {})
        if preload:
            own["LD_PRELOAD"] = preload
        self.process = subprocess.Popen([binary, "-c", path, *args], env=own, cwd=self.folder, text=False,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=before,
                                        **popen)
        self.pid, self.text, self.grown = self.process.pid, "", threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.clients = []
        found = self.wait_log(r"listening on \S+:(\d+)")
        self.port = Port(int(found.group(1)))
        if context:
            self.port.secure = context

    def read(self):
        while True:
            piece = os.read(self.process.stdout.fileno(), 65536)
            with self.grown:
                if not piece:
                    self.text += "\n<end>"
                self.text += piece.decode(errors="replace")
                self.grown.notify_all()
            if not piece:
                return

    def wait_log(self, pattern, seconds=WAIT):
        until = time.monotonic() + seconds
        with self.grown:
            while True:
                found = re.search(pattern, self.text)
                if found:
                    return found
                left = until - time.monotonic()
                if left <= 0 or "<end>" in self.text:
                    raise Problem("the log lacks %r: %s" % (pattern, self.text[-2000:]))
                self.grown.wait(left)

    def close(self, cleanly=True):
        for c in self.clients:
            c.wire.close()
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(WAIT)
            self.reader.join(WAIT)
            if cleanly and status != 0:
                raise Problem("the server ended with %s: %s" % (status, self.text[-3000:]))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Problem("the server does not end") from None
        finally:
            shutil.rmtree(self.folder)

    # ---- what it uses ----

    def proc(self, name):
        with open("/proc/%d/%s" % (self.pid, name), encoding="latin-1") as f:
            return f.read()

    def rss(self):
        return int(self.proc("statm").split()[1]) * os.sysconf("SC_PAGESIZE")

    def cpu(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    # ---- talking to it ----

    def metrics(self):
        wire = Wire(Port(self.metrics_port))
        wire.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        response = read_response(wire, WAIT)
        wire.close()
        if response.status != 200:
            raise Problem("metrics: %d" % response.status)
        return response.body.decode()

    def metric(self, name):
        return sum(float(line.rpartition(" ")[2]) for line in self.metrics().split("\n")
                   if re.match(r"sockudo_%s[{ ]" % name, line))

    def until(self, what, good, seconds=WAIT):
        """Asks again until the answer is good."""
        end = time.monotonic() + seconds
        while True:
            got = what()
            if good(got):
                return got
            if time.monotonic() > end:
                raise Problem("still %r" % (got,))
            time.sleep(0.05)

    def client(self, app_id="main", rcvbuf=0, headers=()):
        c = Client("c", self.port, "/app/%s-key?protocol=7" % app_id, list(headers), rcvbuf)
        c.finish_handshake(WAIT)
        item = c.next(WAIT)
        if item[0] != "text" or item[1]["event"] != "pusher:connection_established":
            raise Problem("not established: %r" % (item,))
        c.id = json.loads(item[1]["data"])["socket_id"]
        c.app = app_id
        self.clients.append(c)
        return c

    def request(self, method, path, body=b"", app_id="main", wire=None, params=None, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = wire or Wire(self.port)
        own.send(signed(method, path, data, app_id, params, headers) + data)
        response = read_response(own, WAIT)
        if not wire:
            own.close()
        return response

    def publish(self, channel, data, app_id="main", name="event", wire=None):
        return self.request("POST", "/apps/%s/events" % urllib.parse.quote(app_id, safe=""),
                            {"name": name, "channel": channel, "data": data}, app_id, wire)

    def raw(self, data, seconds=WAIT):
        """Everything that comes back until the server closes."""
        wire = Wire(self.port)
        wire.send(data)
        until = time.monotonic() + seconds
        while wire.more(until):
            pass
        wire.close()
        return wire.rest


def mac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(method, path, body=b"", app_id="main", params=None, headers=()):
    query = {"auth_key": app_id + "-key", "auth_timestamp": str(int(time.time())), "auth_version": "1.0",
             **(params or {})}
    if body:
        query["body_md5"] = hashlib.md5(body).hexdigest()
    text = "&".join("%s=%s" % (k, query[k]) for k in sorted(query))
    plain = urllib.parse.unquote(path)
    signature = mac(app_id + "-secret", "%s\n%s\n%s" % (method, plain, text))
    lines = ["%s %s?%s&auth_signature=%s HTTP/1.1" % (method, path, text, signature), "Host: x",
             "Content-Length: %d" % len(body), *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def auth(client, channel, data=None, app_id=None, socket_id=None):
    app_id = app_id or client.app
    text = "%s:%s" % (socket_id or client.id, channel) + (":" + data if data is not None else "")
    return "%s-key:%s" % (app_id, mac(app_id + "-secret", text))


def say(client, event, data, channel=None):
    message = {"event": event, "data": data}
    if channel is not None:
        message["channel"] = channel
    client.send_text(json.dumps(message))


def subscribe(client, channel, data=None, auth_text=""):
    body = {"channel": channel}
    if auth_text is not None and re.match("(private|presence)-", channel):
        body["auth"] = auth_text or auth(client, channel, data)
    if data is not None:
        body["channel_data"] = data
    say(client, "pusher:subscribe", body)


def hear(client, event, seconds=WAIT):
    """The next message of that event; others are passed over."""
    until = time.monotonic() + seconds
    while True:
        item = client.next(max(until - time.monotonic(), 0.01))
        if item[0] == "text" and item[1]["event"] == event:
            return item[1]
        if item[0] in ("close", "end"):
            raise Problem("%r while waiting for %s" % (item, event))


def expect(good, what):
    if not good:
        raise Problem(what if isinstance(what, str) else repr(what))


def run(cases, title):
    """cases: functions of no argument; "skip" reasons are what they return."""
    wanted, failed, skipped, count = sys.argv[2:], 0, 0, 0
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        count += 1
        begin = time.monotonic()
        try:
            why = case()
            skipped += why is not None
            print("%s %s (%.1f s)%s" % ("skip" if why else "ok  ", case.__name__, time.monotonic() - begin,
                                        ": " + why if why else ""), flush=True)
        except (Problem, OSError, subprocess.SubprocessError, KeyError, ValueError) as problem:
            failed += 1
            print("FAIL %s: %s" % (case.__name__, problem), flush=True)
    print("%s: %d passed, %d failed, %d skipped" % (title, count - failed - skipped, failed, skipped))
    return 1 if failed else 0
