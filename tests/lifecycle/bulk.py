"""Thousands of WebSockets in one process, and a server to connect them to.

A Crowd opens sockets, answers Close frames, and counts what arrives; it never looks at clocks, but
it says when each Close came, for the tools that measure.
"""
import hashlib
import hmac
import json
import os
import re
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import urllib.request

WAIT = 60
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(folder, name, cn="localhost"):
    """A self-signed certificate; gives the paths of chain and key."""
    cert, key = (os.path.join(folder, name + end) for end in (".pem", ".key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=" + cn, "-keyout", key, "-out", cert],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o600)
    return cert, key


class Server:
    """The built server with a configuration file that may be written anew."""

    def __init__(self, binary, **changes):
        self.folder = tempfile.mkdtemp(prefix="lifecycle-")
        self.port, self.metrics_port = free_port(), free_port()
        self.config = {
            "host": "127.0.0.1", "port": self.port, "rate_limiter": {"enabled": False},
            "metrics": {"host": "127.0.0.1", "port": self.metrics_port},
            "app_manager": {"array": {"apps": [
                {"id": "1", "key": "k", "secret": "s", "enabled": True, "enable_client_messages": True}]}},
        }
        self.config.update(changes)
        self.write()
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        own = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        self.process = subprocess.Popen([binary, "--config", self.path], cwd=self.folder, env=own,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        self.wait_for(r"listening on", 1)

    @property
    def path(self):
        return os.path.join(self.folder, "config.json")

    def write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        os.replace(self.path + ".new", self.path)

    def text(self):
        with open(self.log.name, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def wait_for(self, pattern, count):
        """Until the log has it so many times."""
        end = time.monotonic() + WAIT
        while len(re.findall(pattern, self.text())) < count:
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("%r did not come %d times:\n%s" % (pattern, count, self.text()[-4000:]))
            time.sleep(0.02)

    def reload(self):
        seen = len(re.findall(r"configuration reloaded|reload refused", self.text()))
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(r"configuration reloaded|reload refused", seen + 1)

    def metrics(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.metrics_port) as r:
            lines = r.read().decode().splitlines()
        return {l.rsplit(" ", 1)[0]: float(l.rsplit(" ", 1)[1]) for l in lines if l[:1] not in ("#", "")}

    def memory_kib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=WAIT)
        assert status == 0, "exit status %d:\n%s" % (status, self.text()[-4000:])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def text_frame(text):
    data = text.encode()
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(data))
    return head + b"\0\0\0\0" + data


def subscribe_frame(channel, socket_id):
    data = {"channel": channel}
    if channel.startswith("private-"):
        data["auth"] = "k:" + hmac.new(b"s", socket_id + b":" + channel.encode(), hashlib.sha256).hexdigest()
    return text_frame(json.dumps({"event": "pusher:subscribe", "data": data}))


class Crowd:
    def __init__(self, port, tls=False):
        self.port, self.selector, self.sockets = port, selectors.DefaultSelector(), {}
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.received, self.closes, self.lost = 0, [], 0

    def open(self, count, subscribe=None, rcvbuf=0):
        """Connects, one after the other; gives the new ones."""
        new = []
        for _ in range(count):
            s = socket.socket()
            s.settimeout(WAIT)
            if rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            s.connect(("127.0.0.1", self.port))
            if self.context:
                s = self.context.wrap_socket(s)
            s.sendall(("GET /app/k?protocol=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
                       % KEY).encode())
            got = b""
            while b"connection_established" not in got:
                piece = s.recv(4096)
                assert piece, "closed in the handshake: %r" % got
                got += piece
            if subscribe:
                socket_id = re.search(rb'socket_id\\":\\"([0-9.]+)', got).group(1)
                s.sendall(subscribe_frame(subscribe, socket_id))
            s.setblocking(False)
            self.sockets[s] = b""
            self.selector.register(s, selectors.EVENT_READ)
            new.append(s)
        return new

    def drop(self, s):
        self.selector.unregister(s)
        del self.sockets[s]
        s.close()

    def read(self, s):
        try:
            piece = s.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError:
            piece = b""
        if not piece:
            self.lost += 1
            self.drop(s)
            return
        data = self.sockets[s] + piece
        while len(data) >= 2:
            size, head = data[1] & 127, 2
            if size == 126:
                if len(data) < 4:
                    break
                size, head = struct.unpack("!H", data[2:4])[0], 4
            if len(data) < head + size:
                break
            if data[0] == 0x88:
                self.closes.append((time.monotonic(), struct.unpack("!H", data[2:4])[0]))
                try:
                    s.send(b"\x88\x82\0\0\0\0" + data[head:head + 2])
                except OSError:
                    pass
                self.drop(s)
                return
            self.received += 1
            data = data[head + size:]
        self.sockets[s] = data

    def turn(self, timeout=0.05):
        ready = self.selector.select(timeout)
        for key, _ in ready:
            self.read(key.fileobj)
        return len(ready)

    def until(self, done):
        end = time.monotonic() + WAIT
        while not done():
            if time.monotonic() > end:
                raise AssertionError("it does not come: %d received, %d closed, %d lost" %
                                     (self.received, len(self.closes), self.lost))
            self.turn()

    def close(self):
        for s in list(self.sockets):
            self.drop(s)
