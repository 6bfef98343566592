#!/usr/bin/env python3
"""tests/proxies/run.py SERVER [NAME...] - the proxies of examples/proxies in front of a server.

Each sample file is taken as it is; only ports, host name, paths and the server's address are
replaced. Then a client speaks through the proxy: TLS, WebSocket, HTTP API, and the address it came
from must be the one the server counts (trust_hops 1).
"""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "proxies")
APP = {"id": "1", "key": "demo-key", "secret": "demo-secret", "enabled": True, "max_connections": 0,
       "max_client_events_per_second": 0, "enable_client_messages": True}
UPGRADES = 6  # upgrades that an address may ask for in a minute
WAIT_S = 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- a client ------------------------------------------------------------------------------

class Client:
    """A WebSocket through TLS, from a chosen loopback address."""

    def __init__(self, port, key="demo-key", source="127.0.0.1", headers=""):
        self.sock = connect(port, source)
        self.rest = b""
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((
            "GET /app/%s?protocol=7&client=test HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
            % (key, port, nonce, headers)).encode())
        self.status = int(self.upto(b"\r\n\r\n").split()[1])

    def more(self):
        got = self.sock.recv(1 << 16)
        if not got:
            raise EOFError("the connection ended")
        self.rest += got

    def upto(self, mark):
        while mark not in self.rest:
            self.more()
        head, self.rest = self.rest.split(mark, 1)
        return head

    def take(self, n):
        while len(self.rest) < n:
            self.more()
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def frame(self):
        first, length = self.take(2)
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        return first & 15, self.take(length)

    def event(self):
        opcode, payload = self.frame()
        assert opcode == 1, "opcode %d: %r" % (opcode, payload)
        return json.loads(payload)

    def expect(self, name):
        got = self.event()
        assert got["event"] == name, "%s instead of %s" % (got, name)
        return got

    def send(self, event, data):
        text = json.dumps({"event": event, "data": data}).encode()
        mask = os.urandom(4)
        assert len(text) < 126
        self.sock.sendall(bytes([0x81, 0x80 | len(text)]) + mask
                          + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))

    def close(self):
        self.sock.close()


def connect(port, source="127.0.0.1"):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", port), WAIT_S, (source, 0))
    return context.wrap_socket(raw, server_hostname="localhost")


def request(port, method, target, body=None):
    c = http.client.HTTPConnection("localhost", port)
    c.sock = connect(port)
    c.request(method, target, body, {"Host": "localhost", "Content-Type": "application/json"})
    answer = c.getresponse()
    text = answer.read().decode()
    c.close()
    return answer.status, text


def publish(port, channel, name, data):
    body = json.dumps({"name": name, "channels": [channel], "data": data})
    query = "auth_key=demo-key&auth_timestamp=%d&auth_version=1.0&body_md5=%s" % (
        time.time(), hashlib.md5(body.encode()).hexdigest())
    signed = hmac.new(b"demo-secret", ("POST\n/apps/1/events\n" + query).encode(), hashlib.sha256)
    return request(port, "POST", "/apps/1/events?%s&auth_signature=%s" % (query, signed.hexdigest()), body)


# ---- what is checked through each proxy ----------------------------------------------------

def check_talk(port):
    client = Client(port)
    assert client.status == 101, client.status
    client.expect("pusher:connection_established")
    client.send("pusher:subscribe", {"channel": "news"})
    client.expect("pusher_internal:subscription_succeeded")
    client.send("pusher:ping", {})
    client.expect("pusher:pong")
    for text in ("hello", "x" * 1500000):
        answer = publish(port, "news", "headline", text)
        assert answer == (200, "{}"), answer
        assert client.expect("headline")["data"] == text
    client.close()


def check_close_code(port):
    client = Client(port, key="nobody", source="127.0.0.9")
    client.expect("pusher:error")
    opcode, payload = client.frame()
    assert (opcode, struct.unpack(">H", payload[:2])[0]) == (8, 4001), payload
    client.close()


def check_paths(port, plain_port):
    assert request(port, "GET", "/up") == (200, "OK")
    for path in ("/usage", "/stats", "/metrics", "/"):
        assert request(port, "GET", path)[0] == 404, path
    c = http.client.HTTPConnection("127.0.0.1", plain_port, timeout=WAIT_S)
    c.request("GET", "/up?x=1", headers={"Host": "localhost"})
    answer = c.getresponse()
    assert answer.status == 308, answer.status
    assert re.match(r"https://localhost(:\d+)?/up\?x=1$", answer.getheader("Location"))
    c.close()


def check_address(port):
    """The limit counts whoever spoke to the proxy, whatever X-Forwarded-For he sends (HTTP-79, DRV-116)."""
    def upgrade(source, headers=""):
        client = Client(port, source=source, headers=headers)
        client.close()
        return client.status
    assert [upgrade("127.0.0.2") for _ in range(UPGRADES)] == [101] * UPGRADES
    assert upgrade("127.0.0.2") == 429
    assert upgrade("127.0.0.2", "X-Forwarded-For: 10.1.2.3\r\nX-Real-IP: 10.1.2.4\r\n") == 429
    assert upgrade("127.0.0.3") == 101


def check_timeouts():
    """A silent client speaks every activity_timeout seconds, and then has 30 s to answer."""
    for name, pattern in (("nginx.conf", r"proxy_(?:read|send)_timeout (\d+)s"),
                          ("haproxy.cfg", r"timeout tunnel (\d+)s")):
        with open(os.path.join(SAMPLES, name), encoding="utf-8") as f:
            found = re.findall(pattern, f.read())
        assert found and all(int(seconds) > 120 + 30 for seconds in found), (name, found)


# ---- starting things -----------------------------------------------------------------------

@contextlib.contextmanager
def running(args, folder, is_ready, **more):
    name = os.path.basename(args[0])
    log_path = os.path.join(folder, name + ".log")
    with open(log_path, "wb") as log:
        child = subprocess.Popen(args, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)
    try:
        deadline = time.monotonic() + WAIT_S
        while not is_ready():
            if child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("%s did not come up" % name)
            time.sleep(0.02)
        yield child
    except BaseException:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            sys.stderr.write("".join("  %s: %s" % (name, line) for line in log.readlines()[-30:]))
        raise
    finally:
        child.terminate()
        try:
            child.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def server_config(folder, port, socket_path):
    limit = {"max_requests": 1000, "window_seconds": 60, "trust_hops": 1}
    config = {
        "host": "127.0.0.1", "port": port, "shutdown_grace_period": 2, "metrics": {"enabled": False},
        "app_manager": {"driver": "memory", "array": {"apps": [APP]}},
        "rate_limiter": {"enabled": True, "driver": "memory", "api_rate_limit": limit,
                         "websocket_rate_limit": dict(limit, max_requests=UPGRADES)},
    }
    if socket_path:
        config["unix_socket"] = {"enabled": True, "path": socket_path, "permission_mode": "666"}
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    return path


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder + "/privkey.pem", "-out", folder + "/fullchain.pem"],
                   check=True, capture_output=True)
    with open(folder + "/haproxy.pem", "wb") as out:
        for part in ("fullchain.pem", "privkey.pem"):
            with open(os.path.join(folder, part), "rb") as f:
                out.write(f.read())


def replace(text, changes):
    for old, new in changes:
        assert old in text, "%r is not in the sample" % old
        text = text.replace(old, new)
    return text


def sample(name, folder, changes):
    with open(os.path.join(SAMPLES, name), encoding="utf-8") as f:
        text = replace(f.read(), [("/etc/ssl/ws.example.com", folder)] + changes)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


# Each: the file with its changes for (folder, tls port, plain port, server or socket), and how to run it.

def nginx(folder, tls, plain, server, socket_path):
    places = "".join("%s_temp_path %s/%s;" % (k, folder, k)
                     for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    changes = [("listen 443", "listen 127.0.0.1:%d" % tls), ("listen 80", "listen 127.0.0.1:%d" % plain),
               ("ws.example.com;", "localhost;"),
               ("http {", "http { access_log off; " + places),
               ("worker_processes auto", "worker_processes 1"),
               ("worker_connections 65536", "worker_connections 512"),
               ("worker_rlimit_nofile 131072;", "")]
    if socket_path:
        changes += [("server 127.0.0.1:6001;", ""),
                    ("# server unix:/run/sockudo/sockudo.sock;", "server unix:%s;" % socket_path)]
    else:
        changes.append(("127.0.0.1:6001", server))
    path = sample("nginx.conf", folder, changes)
    options = "daemon off; pid %s/pid; error_log stderr;" % folder
    return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-p", folder, "-c", path, "-g", options]


def caddy(folder, tls, plain, server, socket_path):
    options = "{\n\tadmin off\n\thttp_port %d\n\tdefault_bind 127.0.0.1\n}\n" % plain
    changes = [("ws.example.com {", "%shttps://localhost:%d {" % (options, tls))]
    if socket_path:
        changes += [("reverse_proxy 127.0.0.1:6001", "reverse_proxy unix/" + socket_path)]
    else:
        changes.append(("127.0.0.1:6001", server))
    path = sample("Caddyfile", folder, changes)
    return [shutil.which("caddy"), "run", "--adapter", "caddyfile", "--config", path]


def haproxy(folder, tls, plain, server, socket_path):
    changes = [(":443", "127.0.0.1:%d" % tls), (":80", "127.0.0.1:%d" % plain),
               ("maxconn 100000", "maxconn 200")]
    if socket_path:
        changes += [("server node1 127.0.0.1:6001", ""),
                    ("# server node1 unix@/run/sockudo/sockudo.sock", "server node1 unix@" + socket_path)]
    else:
        changes.append(("127.0.0.1:6001", server))
    path = sample("haproxy.cfg", folder, changes)
    return [shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"), "-W", "-f", path]


PROXIES = [nginx, caddy, haproxy]


def run_one(binary, make, by_socket):
    with tempfile.TemporaryDirectory(prefix="proxies-") as folder:
        os.chmod(folder, 0o755)  # nginx drops root
        make_certificate(folder)
        port, tls, plain = free_port(), free_port(), free_port()
        socket_path = os.path.join(folder, "s.sock") if by_socket else None
        config = server_config(folder, port, socket_path)
        env = dict(os.environ, XDG_DATA_HOME=folder, XDG_CONFIG_HOME=folder, HOME=folder)
        is_up = (lambda: os.path.exists(socket_path)) if by_socket else (lambda: accepts(port))
        args = make(folder, tls, plain, "127.0.0.1:%d" % port, socket_path)

        def is_through():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return request(tls, "GET", "/up")[0] == 200
            return False
        with running([binary, "--config", config], folder, is_up), \
                running(args, folder, is_through, env=env, cwd=folder):
            check_talk(tls)
            check_close_code(tls)
            check_paths(tls, plain)
            check_address(tls)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, wanted = os.path.realpath(sys.argv[1]), sys.argv[2:]
    failed = skipped = passed = 0
    check_timeouts()
    for make in PROXIES:
        name = make.__name__
        if wanted and name not in wanted:
            continue
        if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"):
            print("skipped %s: it is not installed" % name)
            skipped += 1
            continue
        for by_socket in (False, True):
            title = "%s, %s" % (name, "Unix socket" if by_socket else "TCP")
            began = time.monotonic()
            try:
                run_one(binary, make, by_socket)
                passed += 1
                print("passed  %s (%.1f s)" % (title, time.monotonic() - began))
            except (AssertionError, OSError, EOFError) as e:
                failed += 1
                print("FAILED  %s: %s: %s" % (title, type(e).__name__, e))
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
