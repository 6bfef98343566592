"""tests/talk/wsclient.py - a WebSocket and HTTP client that hides nothing.

It reads only when a talk waits for something, answers nothing by itself except Close and
`pusher:ping`, and can send any bytes at all.
"""
import base64
import hashlib
import json
import os
import socket
import struct
import time

OPCODES = {"cont": 0, "text": 1, "binary": 2, "reserved": 3, "close": 8, "ping": 9, "pong": 10}


class Problem(Exception):
    """What a talk expected did not happen."""


class Port(int):
    """A port that is not just plain TCP on 127.0.0.1."""
    secure = None  # an ssl.SSLContext
    path = None    # of a Unix socket


class Wire:
    """One connection with deadlines."""

    def __init__(self, port, rcvbuf=0):
        path, secure = getattr(port, "path", None), getattr(port, "secure", None)
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(5)
        self.sock.connect(path or ("127.0.0.1", port))
        if not path:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            self.sock = secure.wrap_socket(self.sock, server_hostname="localhost")
        self.rest = b""
        self.ended = ""

    def send(self, data):
        try:
            self.sock.settimeout(20)
            self.sock.sendall(data)
        except OSError as e:
            self.ended = self.ended or str(e)

    def more(self, deadline):
        """Reads once; False at the end of the connection."""
        if self.ended:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise Problem("nothing came in time")
        self.sock.settimeout(left)
        try:
            got = self.sock.recv(1 << 16)
        except socket.timeout:
            raise Problem("nothing came in time") from None
        except OSError as e:
            self.ended = str(e)
            return False
        if not got:
            self.ended = "end"
            return False
        self.rest += got
        return True

    def take(self, n, deadline):
        while len(self.rest) < n:
            if not self.more(deadline):
                raise Problem("the connection ended (%s)" % self.ended)
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.ended = "reset by us"

    def close(self):
        self.ended = self.ended or "closed by us"
        self.sock.close()


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [v for k, v in self.headers if k == name.lower()]


def read_head(wire, deadline):
    while b"\r\n\r\n" not in wire.rest:
        if not wire.more(deadline):
            raise Problem("no complete response head: %r" % wire.rest[:200])
    head, wire.rest = wire.rest.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.append((name.strip().lower(), value.strip()))
    return int(lines[0].split(" ")[1]), headers


def read_response(wire, seconds, no_body=False):
    deadline = time.monotonic() + seconds
    status, headers = read_head(wire, deadline)
    names = dict(headers)
    if no_body or status in (100, 101, 204, 304):
        return Response(status, headers, b"")
    if "content-length" in names:
        return Response(status, headers, wire.take(int(names["content-length"]), deadline))
    while wire.more(deadline):
        pass
    body, wire.rest = wire.rest, b""
    return Response(status, headers, body)


def frame(opcode, payload, fin=True, rsv=0, masked=True):
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode])
    mask_bit = 0x80 if masked else 0
    n = len(payload)
    if n < 126:
        head += bytes([mask_bit | n])
    elif n < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", n)
    if not masked:
        return head + payload
    key = os.urandom(4)
    pad = (key * (n // 4 + 1))[:n]
    mixed = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")
    return head + key + mixed


class Client:
    """One WebSocket. Received items: ("text", object), ("ping", bytes), ("pong", bytes),
    ("close", code, text), ("end",)."""

    def __init__(self, name, port, target, headers, rcvbuf=0):
        self.name = name
        self.port = port
        self.wire = Wire(port, rcvbuf)
        self.queue = []
        self.joined_sends = b""
        self.is_established = False
        self.is_odd = False  # sent something that a fence must not interrupt
        self.did_close = False
        self.id = ""
        self.app = ""
        self.fence_count = 0
        self.sniff = []
        key = base64.b64encode(os.urandom(16)).decode()
        given = {k.lower() for k, _ in headers}
        lines = ["GET %s HTTP/1.1" % target]
        for k, v in (("Host", "127.0.0.1:%d" % port), ("Upgrade", "websocket"),
                     ("Connection", "Upgrade"), ("Sec-WebSocket-Key", key),
                     ("Sec-WebSocket-Version", "13")):
            if k.lower() not in given:
                lines.append("%s: %s" % (k, v))
        lines += ["%s: %s" % (k, v) for k, v in headers if v != "-"]
        self.key = key
        self.wire.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def finish_handshake(self, seconds):
        self.response = read_response(self.wire, seconds)
        if self.response.status != 101:
            return
        want = base64.b64encode(hashlib.sha1(
            (self.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if self.response.all("sec-websocket-accept") != [want]:
            raise Problem("wrong Sec-WebSocket-Accept")

    def send_text(self, text):
        self.wire.send(self.joined_sends + frame(1, text.encode("utf-8", "surrogateescape")))
        self.joined_sends = b""

    def join_text(self, text):
        self.joined_sends += frame(1, text.encode("utf-8", "surrogateescape"))

    def read_frame(self, deadline):
        try:
            a, b = self.wire.take(2, deadline)
        except Problem:
            if self.wire.ended:
                return None
            raise
        if b & 0x80:
            raise Problem("%s got a masked frame" % self.name)
        if a & 0x70:
            raise Problem("%s got a frame with RSV bits" % self.name)
        n = b & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.wire.take(2, deadline))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.wire.take(8, deadline))[0]
        return a & 0x0f, bool(a & 0x80), self.wire.take(n, deadline)

    def read_item(self, deadline):
        got = self.read_frame(deadline)
        if got is None:
            return ("end",)
        opcode, fin, payload = got
        while not fin and opcode < 8:
            more = self.read_frame(deadline)
            if more is None:
                return ("end",)
            fin = more[1]
            payload += more[2]
        if opcode == 1:
            return ("text", parse_event(self.name, payload), payload.decode())
        if opcode == 8:
            code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 0
            self.send_close(payload[:2])
            return ("close", code, payload[2:].decode("utf-8"))
        if opcode in (9, 10):
            return ("ping" if opcode == 9 else "pong", payload)
        raise Problem("%s got a frame with opcode %d" % (self.name, opcode))

    def send_close(self, payload):
        if not self.did_close:
            self.did_close = True
            self.wire.send(frame(8, payload))

    def next(self, seconds):
        if self.queue:
            return self.queue.pop(0)
        return self.read_item(time.monotonic() + seconds)

    def fence(self, seconds):
        """Sends pusher:ping; what came before its pong goes to the queue."""
        self.send_text('{"event":"pusher:ping","data":{}}')
        deadline = time.monotonic() + seconds
        seen = []
        while True:
            item = self.read_item(deadline)
            if item[0] == "text" and item[1].get("event") == "pusher:pong":
                break
            seen.append(item)
            if item[0] in ("close", "end"):
                break
        self.queue += seen


def parse_event(name, payload):
    try:
        message = json.loads(payload.decode("utf-8"))
    except ValueError as e:
        raise Problem("%s got a message that is not JSON (%s): %r" % (name, e, payload[:200]))
    if not isinstance(message, dict) or not isinstance(message.get("event"), str):
        raise Problem("%s got a message without a string event: %r" % (name, payload[:200]))
    return message
