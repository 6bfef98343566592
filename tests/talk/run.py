#!/usr/bin/env python3
"""tests/talk/run.py - plays talk files against a server. The language: tests/talk/README.md.

    run.py [-j N] [-v] [--tls] SERVER [FILE.talk...]

Every talk gets a server process of its own on ports the kernel chose. After the last line the
server is asked to stop with SIGTERM and must end with status 0: so a leak that a sanitizer finds
at exit fails the talk too.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import certificate  # noqa: E402
from wsclient import (OPCODES, Client, Port, Problem, Wire, frame, read_response)  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT = float(os.environ.get("TALK_WAIT", "5"))
ESTABLISHED = "pusher:connection_established"


# ---- the language ----------------------------------------------------------------------------

class Statement:
    def __init__(self, line, number):
        self.text, self.number, self.more = line, number, []


def parse(text):
    """Statements with their indented continuation lines; comments and blank lines dropped."""
    out = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t":
            if not out:
                raise Problem("line %d: a continuation without a statement" % number)
            out[-1].more.append(line.strip())
        else:
            out.append(Statement(line.rstrip(), number))
    return out


def expand(text, look_up):
    """Replaces ${...}; inner ones first, so they nest."""
    out, i = "", 0
    while True:
        start = text.find("${", i)
        if start < 0:
            return out + text[i:]
        depth, end = 1, start + 2
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if depth:
            raise Problem("${ without its } in: %s" % text)
        out += text[i:start] + look_up(expand(text[start + 2:end - 1], look_up))
        i = end


def matches(want, got):
    """"*" is anything, "~RE" a string, {"$json": X} a string that holds JSON X,
    a key "..." allows further keys."""
    if want == "*":
        return True
    if isinstance(want, str) and want.startswith("~"):
        return isinstance(got, str) and re.search(want[1:], got, re.S) is not None
    if isinstance(want, dict) and "$json" in want:
        try:
            return isinstance(got, str) and matches(want["$json"], json.loads(got))
        except ValueError:
            return False
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return False
        keys = [k for k in want if k != "..."]
        if "..." not in want and set(keys) != set(got):
            return False
        return all(k in got and matches(want[k], got[k]) for k in keys)
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(matches, want, got))
    return type(want) is type(got) and want == got


def merge(base, change):
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    out = dict(base)
    for k, v in change.items():
        out[k] = merge(base.get(k), v)
    return out


def changed(config, change):
    """The configuration with a change; {"$apps": {ID: {...}}} changes apps."""
    apps = change.pop("$apps", {})
    out = merge(config, change)
    if apps:
        array = out["app_manager"]["array"]
        array = dict(array, apps=[merge(a, apps.get(a["id"], {})) for a in array["apps"]])
        out["app_manager"] = dict(out["app_manager"], array=array)
    return out


def hex_hmac(secret, text):
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


# ---- the server ------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, binary, config, env, is_unread=False, is_tls=False, is_unix=False):
        self.folder = tempfile.mkdtemp(prefix="talk-")
        self.port, self.metrics_port = Port(free_port()), free_port()
        self.redirect_port = free_port()
        if is_tls:
            self.make_certificate("localhost")
            config = merge({"ssl": {"enabled": True, "cert_path": "cert.pem", "key_path": "key.pem",
                                    "http_port": self.redirect_port}}, config)
        if is_unix:
            self.port.path = os.path.join(self.folder, "run", "sock")
            config = merge({"unix_socket": {"enabled": True, "path": self.port.path}}, config)
        config = merge({"host": "127.0.0.1", "port": self.port,
                        "metrics": {"host": "127.0.0.1", "port": self.metrics_port}}, config)
        self.config_path = path = os.path.join(self.folder, "config.json")
        self.configure(config)
        self.log_path = os.path.join(self.folder, "log")  # stdout
        self.errors_path = os.path.join(self.folder, "errors")
        full = {k: v for k, v in os.environ.items()
                if k in ("PATH", "HOME", "TMPDIR", "LANG", "ASAN_SYMBOLIZER_PATH")}
        full.update({"ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
                     "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
                     "TSAN_OPTIONS": "halt_on_error=1:exitcode=99"})
        full["RUST_LOG"] = "trace"  # what must not be logged is not logged at any level (MET-40)
        full.update(env)
        full = {k: v for k, v in full.items() if v is not None}
        self.pipe = None
        with open(self.log_path, "wb") as log, open(self.errors_path, "wb") as errors:
            out = log
            if is_unread:
                self.pipe, out = os.pipe()
            self.process = subprocess.Popen([binary, "--config", path], stdout=out, stderr=errors,
                                            stdin=subprocess.DEVNULL, env=full, cwd=self.folder)
            if is_unread:
                os.close(out)
        self.did_stop = False

    def make_certificate(self, name):
        cert, _ = certificate.make(self.folder, name)
        self.port.secure = ssl.create_default_context(cafile=cert)

    def configure(self, config):
        self.config = config
        with open(self.config_path, "w", encoding="utf-8") as f:
            json.dump(config, f)

    def wait_ready(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Problem("the server ended at start with status %d" % self.process.returncode)
            try:
                with socket.socket(socket.AF_UNIX if self.port.path else socket.AF_INET) as s:
                    s.connect(self.port.path or ("127.0.0.1", self.port))
                return
            except OSError:
                time.sleep(0.01)
        raise Problem("the server did not listen in time")

    def wait_exit(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Problem("the server did not end within %g s" % seconds) from None

    def stop(self):
        if self.did_stop:
            return
        self.did_stop = True
        early = self.process.poll()
        if early is not None:
            raise Problem("the server ended by itself with status %d" % early)
        self.process.send_signal(signal.SIGTERM)
        status = self.wait_exit(15)
        if status != 0:
            raise Problem("the server ended with status %d" % status)
        if self.port.path and os.path.exists(self.port.path):
            raise Problem("the socket was left behind")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read_pipe(self):
        """From now on somebody reads the stdout that nobody has read so far."""
        def copy(fd):
            with open(fd, "rb") as source, open(self.log_path, "wb", buffering=0) as log:
                for line in source:
                    log.write(line)
        pipe, self.pipe = self.pipe, None
        threading.Thread(target=copy, args=(pipe,), daemon=True).start()

    def out(self):
        with open(self.log_path, encoding="utf-8", errors="replace", newline="\n") as f:
            return f.read()

    def log(self):
        with open(self.errors_path, encoding="utf-8", errors="replace") as f:
            return f.read() + self.out()


# ---- one talk --------------------------------------------------------------------------------

class Talk:
    all_tls = False  # every server speaks TLS

    def __init__(self, binary, path):
        self.binary, self.path = binary, path
        self.clients, self.wires, self.values = {}, {}, {}
        self.server = None
        self.seconds = WAIT
        self.log_checks, self.signatures = [], set()  # of the whole log, at the end

    # Values in ${...}.
    def look_up(self, text):
        word, _, rest = text.strip().partition(" ")
        if word in self.values:
            return self.values[word]
        if word == "port":
            return str(int(self.server.port))
        if word == "redirect-port":
            return str(self.server.redirect_port)
        if word == "now":
            return str(int(time.time()) + int(rest or 0))
        if word == "json":
            return json.dumps(rest, ensure_ascii=False)
        if word == "repeat":
            n, _, what = rest.partition(" ")
            return what * int(n)
        if word == "upper":
            key, _, digest = rest.partition(":")
            return key + ":" + digest.upper()
        if word in ("auth", "signin", "digest"):
            return self.sign(word, rest)
        if word.endswith(".id") and word[:-3] in self.clients:
            return self.clients[word[:-3]].id
        raise Problem("unknown value ${%s}" % text)

    def sign(self, word, rest):
        """auth A CHANNEL [DATA]; signin A USER_DATA; digest APP TEXT."""
        who, _, rest = rest.partition(" ")
        if word == "digest":
            return self.hex_hmac(who + "-secret", rest)
        client = self.clients[who]
        if word == "signin":
            text = "%s::user::%s" % (client.id, rest)
        else:
            channel, _, data = rest.partition(" ")
            text = "%s:%s" % (client.id, channel) + (":" + data if data else "")
        return "%s-key:%s" % (client.app, self.hex_hmac(client.app + "-secret", text))

    def hex_hmac(self, secret, text):
        self.signatures.add(hex_hmac(secret, text))
        return hex_hmac(secret, text)

    # Running.
    def run(self):
        with open(self.path, encoding="utf-8") as f:
            statements = parse(f.read())
        try:
            if not statements or not statements[0].text.startswith("server"):
                self.start_server("default")
            for s in statements:
                try:
                    self.play(s)
                except (Problem, KeyError, ValueError, IndexError, OSError) as e:
                    raise Problem("line %d: %s\n    %s" % (s.number, s.text[:160],
                                  e if isinstance(e, Problem) else repr(e))) from None
            self.finish()
        except Problem as e:
            return "%s%s" % (e, self.tail_of_log())
        finally:
            for c in list(self.clients.values()):
                c.wire.close()
            for w in self.wires.values():
                w.close()
            if self.server:
                self.server.kill()
                shutil.rmtree(self.server.folder, ignore_errors=True)
        return None

    def finish(self):
        for c in self.clients.values():
            c.wire.close()
        for w in self.wires.values():
            w.close()
        self.server.stop()
        for check in self.log_checks + [self.check_no_secrets]:
            check()

    def check_no_secrets(self):
        text = self.server.log()
        for secret in self.signatures | set(re.findall(r"\b\w+-secret\b", text)):
            if secret in text:
                raise Problem("the log has the secret or signature %s" % secret)

    def tail_of_log(self):
        if not self.server:
            return ""
        text = self.server.log()
        at = text.find("ERROR: AddressSanitizer")
        if at < 0:
            at = text.find("runtime error:")
        if at < 0:
            at = text.find("ERROR: LeakSanitizer")
        part = text[max(at - 200, 0):at + 2500] if at >= 0 else text[-600:]
        return "\n    | " + part.strip().replace("\n", "\n    | ") if part.strip() else ""

    def start_server(self, text):
        name, _, change = text.strip().partition(" ")
        with open(os.path.join(HERE, "configs", name + ".json"), encoding="utf-8") as f:
            config = json.load(f)
        change = json.loads(change) if change else {}
        env, is_unread = change.pop("$env", {}), change.pop("$unread", False)
        is_unix = change.pop("$unix", False)
        is_tls = change.pop("$tls", Talk.all_tls and not is_unix)
        will_start = change.pop("$starts", True)
        config = changed(config, change)
        self.server = Server(self.binary, config, env, is_unread, is_tls, is_unix)
        if will_start:
            self.server.wait_ready()

    def play(self, s):
        if s.text.startswith("server"):
            return self.start_server(" ".join([s.text[6:]] + s.more))
        text = s.text
        word, _, rest = text.partition(" ")
        if word == "times":
            n, _, rest = rest.partition(" ")
            for i in range(1, int(n) + 1):
                self.values["i"] = str(i)
                inner = Statement(rest, s.number)
                inner.more = [m for m in s.more if not m.startswith("then ")]
                self.play(inner)
                for m in s.more:
                    if m.startswith("then "):
                        self.play(Statement(m[5:], s.number))
            return None
        text = expand(text, self.look_up)
        more = [expand(m, self.look_up) for m in s.more]
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if word == "http" or word.startswith("http["):
            return self.do_http(text, more)
        verb = getattr(self, "do_" + word.replace("-", "_"), None)
        if verb:
            return verb(rest, more)
        if word in self.wires:
            return self.play_wire(self.wires[word], rest, more)
        if word in self.clients:
            return self.play_client(self.clients[word], rest, more)
        raise Problem("unknown statement or client '%s'" % word)

    # Statements without a speaker.
    def do_let(self, rest, more):
        name, _, value = rest.partition(" ")
        self.values[name] = " ".join([value] + more).strip()

    def do_patience(self, rest, _more):
        self.seconds = float(rest)

    def do_pause(self, rest, _more):
        time.sleep(float(rest) / 1000)

    def do_client(self, rest, more):
        words = rest.split()
        app = words[1] if len(words) > 1 else "main"
        target = "/app/%s-key?protocol=7&client=%s&version=8.6.0&flash=false" % (
            app, words[2] if len(words) > 2 else "js")
        self.open(words[0], target, app, more)
        self.await_established(self.clients[words[0]])

    def do_open(self, rest, more):
        name, target = rest.split(None, 1)
        found = re.match(r"/app/(\w+)-key", urllib.parse.unquote(target))
        self.open(name, target, found.group(1) if found else "", more)
        response = self.clients[name].response
        if response.status != 101:
            raise Problem("upgrade refused with %d" % response.status)

    def open(self, name, target, app, more):
        headers = [tuple(p.strip() for p in m[1:].partition(":")[::2])
                   for m in more if m.startswith(">")]
        rcvbuf = [int(m.split()[1]) for m in more if m.startswith("rcvbuf ")]
        if name in self.clients:
            self.clients[name].wire.close()
        client = Client(name, self.server.port, target, headers, rcvbuf[0] if rcvbuf else 0)
        client.app = app
        self.clients[name] = client
        client.finish_handshake(self.seconds)
        self.check_headers(client.response, more)

    def await_established(self, client):
        item = client.next(self.seconds)
        if item[0] != "text" or item[1]["event"] != ESTABLISHED:
            raise Problem("%s expected %s, got %s" % (client.name, ESTABLISHED, item))
        if not isinstance(item[1]["data"], str):
            raise Problem("the data of %s is not a string" % ESTABLISHED)
        data = json.loads(item[1]["data"])
        if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)", data["socket_id"]):
            raise Problem("socket_id %r" % data["socket_id"])
        if max(int(p) for p in data["socket_id"].split(".")) > 10000000000:
            raise Problem("socket_id %r is too large" % data["socket_id"])
        client.id, client.is_established = data["socket_id"], True

    def do_flood(self, rest, _more):
        """flood N APP -> ADMITTED CODE: N clients open at the same time."""
        left, _, right = rest.partition("->")
        count, app = left.split()
        admitted, code = (int(x) for x in right.split())
        clients = [Client("flood%d" % i, self.server.port, "/app/%s-key?protocol=7" % app, [])
                   for i in range(int(count))]
        got_in = 0
        for c in clients:
            self.clients[c.name] = c
            c.finish_handshake(self.seconds)
            item = c.next(self.seconds)
            if item[0] == "text" and item[1]["event"] == ESTABLISHED:
                got_in += 1
            elif item[0] != "text" or item[1]["data"]["code"] != code:
                raise Problem("expected error %d, got %s" % (code, item))
        if got_in != admitted:
            raise Problem("%d of %s were admitted" % (got_in, count))

    def do_tcp(self, rest, _more):
        """tcp NAME [plain|redirect]"""
        name, *how = rest.split()
        port = {"plain": int(self.server.port), "redirect": self.server.redirect_port}
        self.wires[name] = Wire(port[how[0]] if how else self.server.port)

    def do_certificate(self, rest, _more):
        """certificate NAME [SIGNAL]: replaces the files; waits until the server uses them"""
        name, *sig = rest.split()
        self.server.make_certificate(name)
        if sig:
            self.do_signal(sig[0], [])
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                Wire(self.server.port).close()
                return
            except ssl.SSLError:
                if time.monotonic() > deadline:
                    raise Problem("the certificate is not used") from None
                time.sleep(0.05)

    def do_spoil(self, rest, _more):
        """spoil FILE: it holds nothing good any more"""
        with open(os.path.join(self.server.folder, rest), "w", encoding="utf-8") as f:
            f.write("spoilt")

    def do_refused(self, rest, more):
        """refused TEXT: the server has ended with status 1 and that line"""
        self.do_exit("1 15", [])
        if " ".join([rest] + more) not in self.server.log():
            raise Problem("it said: %s" % self.server.log()[-300:])

    def do_socket_mode(self, rest, _more):
        mode = os.stat(self.server.port.path).st_mode & 0o7777
        if mode != int(rest, 8):
            raise Problem("the socket has mode %o" % mode)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.server.port)) == 0:
                raise Problem("TCP is open too")

    def do_signal(self, rest, _more):
        self.server.process.send_signal(getattr(signal, "SIG" + rest))

    def do_reload(self, rest, more):
        """reload JSON: changes the configuration file, then SIGHUP"""
        self.server.configure(changed(self.server.config, json.loads(" ".join([rest] + more))))
        self.server.process.send_signal(signal.SIGHUP)

    def do_exit(self, rest, _more):
        """exit STATUS SECONDS"""
        status, seconds = rest.split()
        self.server.did_stop = True
        got = self.server.wait_exit(float(seconds))
        if got != int(status):
            raise Problem("the server ended with status %d" % got)

    def do_exit_soon(self, rest, _more):
        """The process ends in time, with any status."""
        self.server.did_stop = True
        self.server.wait_exit(float(rest))

    def do_log(self, rest, _more):
        """log has TEXT; log lacks TEXT; log lacks-yet TEXT; log most N TEXT; log json; log text; log read"""
        how, _, what = rest.partition(" ")
        if how == "has":
            deadline = time.monotonic() + self.seconds
            while what not in self.server.log():
                if time.monotonic() > deadline:
                    raise Problem("the log lacks %s" % what)
                time.sleep(0.01)
        elif how == "lacks-yet":
            self.check_log("lacks", what)
        elif how == "read":
            self.server.read_pipe()
        else:  # it is written behind the server's back: looked at in the end
            self.log_checks.append(lambda: self.check_log(how, what))

    def check_log(self, how, what):
        if how == "lacks" and what in self.server.log():
            raise Problem("the log has %s" % what)
        if how == "most":
            count, _, what = what.partition(" ")
            found = self.server.log().count(what)
            if not 0 < found <= int(count):
                raise Problem("the log has %d of %s" % (found, what))
        if how in ("json", "text"):
            self.check_lines(self.server.out().split("\n"), how)

    def check_lines(self, lines, how):
        if lines.pop() or not lines:
            raise Problem("the log is empty or ends within a line")
        form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
        for line in lines:
            try:
                if how == "json":
                    item = json.loads(line)
                    good = re.fullmatch(form, item["timestamp"]) and item["level"].isupper() and \
                        isinstance(item["fields"]["message"], str)
                else:
                    good = re.match(form + " (ERROR| WARN| INFO|DEBUG|TRACE) ", line)
            except (ValueError, KeyError, TypeError):
                good = False
            if not good or not line.isprintable():
                raise Problem("no line of the log: %s" % line)

    # HTTP.
    def do_http(self, text, more):
        """http[OPTION,...] METHOD TARGET [BODY] -> STATUS [PATTERN]"""
        request, _, want = " ".join(
            [text] + [m for m in more if not m.startswith((">", "<", "!"))]).partition(" -> ")
        head, method, target = (request.split(None, 3) + [""])[:3]
        body = (request.split(None, 3) + ["", "", "", ""])[3].strip()
        options = dict(p.partition("=")[::2] for p in head[5:-1].split(",") if p)
        status, _, pattern = want.strip().partition(" ")
        wire = self.wires.get(options["on"]) if "on" in options else Wire(self.server.port)
        sent = [m[1:].strip() for m in more if m.startswith(">")]
        wire.send(self.request_bytes(method, target, body, options, sent))
        response = read_response(wire, self.seconds, method == "HEAD")
        self.check_response(response, int(status), pattern.strip(), more)
        if "on" not in options:
            wire.close()

    def request_bytes(self, method, target, body, options, headers):
        body = body.encode("utf-8", "surrogateescape")
        signed_body = options["signedbody"].encode() if "signedbody" in options else body
        if "unsigned" not in options:
            target = self.signed_target(method, target, signed_body, options)
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: 127.0.0.1:%d" % self.server.port]
        names = [h.partition(":")[0].lower() for h in headers]
        if body and "content-type" not in names:
            lines.append("Content-Type: application/json")
        if (body or method == "POST") and not {"transfer-encoding", "content-length"} & set(names):
            lines.append("Content-Length: %d" % len(body))
        return ("\r\n".join(lines + headers) + "\r\n\r\n").encode() + body

    def signed_target(self, method, target, body, options):
        path, _, query = target.partition("?")
        found = re.match(r"/apps/([^/]+)/", path)
        app = options.get("app") or (found.group(1) if found else "main")
        pairs = [("auth_key", options.get("key", app + "-key")),
                 ("auth_timestamp", options.get("stamp") or
                  str(int(time.time()) + int(options.get("time", "0")))),
                 ("auth_version", options.get("version", "1.0"))]
        md5 = options.get("md5", "auto")
        if md5 == "auto":
            if body:
                pairs.append(("body_md5", hashlib.md5(body).hexdigest()))
        elif md5 == "empty":
            pairs.append(("body_md5", hashlib.md5(b"").hexdigest()))
        elif md5 != "none":
            pairs.append(("body_md5", md5))
        if "drop" in options:
            pairs = [p for p in pairs if p[0] != options["drop"]]
        if "blank" in options:
            pairs = [(k, "" if k == options["blank"] else v) for k, v in pairs]
        if "twice" in options:
            pairs += [p for p in pairs if p[0] == options["twice"]]
        wire_query = ["%s=%s" % p for p in pairs] + ([query] if query else [])
        if "plus" in options:  # the query is signed with its literal "+"
            query = query.replace("+", "%2B")
        decoded = [tuple(urllib.parse.unquote_plus(x) for x in p.partition("=")[::2])
                   for p in query.split("&") if p]
        text = "&".join("%s=%s" % p for p in sorted(
            [(k.lower(), v) for k, v in pairs + decoded], key=lambda p: p[0]))
        signed_path = urllib.parse.unquote(path) if "decodedpath" in options else path
        signature = self.hex_hmac(options.get("secret", app + "-secret"), "%s\n%s\n%s" % (
            method, options.get("signedpath", signed_path), text))
        if "badsignature" in options:
            signature = ("0" if signature[0] != "0" else "1") + signature[1:]
        last = ["auth_signature=" + signature]
        if options.get("drop") == "auth_signature":
            last = []
        if options.get("blank") == "auth_signature":
            last = ["auth_signature="]
        if options.get("twice") == "auth_signature":
            last *= 2
        if "unsignedextra" in options:
            wire_query.append(options["unsignedextra"])
        if "reversed" in options:
            wire_query.reverse()
        return path + "?" + "&".join(wire_query + last)

    def check_response(self, response, status, pattern, more):
        body = response.body.decode("utf-8", "replace")
        if response.status != status:
            raise Problem("expected %d, got %d %s" % (status, response.status, body[:300]))
        if pattern:
            want = json.loads(pattern)
            if isinstance(want, str):
                if want != "*" and not matches(want, body):
                    raise Problem("expected body %s, got %s" % (want, body[:300]))
            else:
                try:
                    got = json.loads(body)
                except ValueError:
                    raise Problem("the body is not JSON: %s" % body[:300]) from None
                if not matches(want, got):
                    raise Problem("expected %s\n         got %s" % (json.dumps(want), body[:600]))
        self.check_headers(response, more)

    def check_headers(self, response, more):
        """`< Name: VALUE` must be there (VALUE as in patterns), `! Name` must not."""
        for m in more:
            if m.startswith("!") and response.all(m[1:].strip()):
                raise Problem("header %s is there" % m[1:].strip())
            if m.startswith("<"):
                name, _, value = m[1:].partition(":")
                got = response.all(name.strip())
                if not any(matches(value.strip(), g) for g in got):
                    raise Problem("header %s is %s" % (name.strip(), got))

    def play_wire(self, wire, rest, more):
        verb, _, what = rest.partition(" ")
        if verb == "send":
            wire.send(json.loads(" ".join([what] + more)).encode("latin-1"))
        elif verb in ("sign", "head"):
            # sign METHOD TARGET BODY: as http, without waiting; head: signed for BODY, not sent
            method, target, body = (what.split(None, 2) + [""])[:3]
            sent = [m[1:].strip() for m in more if m.startswith(">")]
            whole = self.request_bytes(method, target, "" if body == "-" else body, {}, sent)
            wire.send(whole[:whole.index(b"\r\n\r\n") + 4] if verb == "head" else whole)
        elif verb == "zeros":
            wire.send(b"0" * int(what))
        elif verb == "response":
            words = what.split(None, 1)
            no_body = len(words) > 1 and words[1] == "nobody"
            pattern = "" if no_body or len(words) < 2 else words[1]
            self.check_response(read_response(wire, self.seconds, no_body), int(words[0]),
                                pattern, more)
        elif verb == "end":
            deadline = time.monotonic() + self.seconds
            while wire.more(deadline):
                pass
            if wire.rest:
                raise Problem("before the end came %r" % wire.rest[:200])
        else:
            raise Problem("unknown: %s" % verb)

    # What a client says and hears.
    def play_client(self, c, rest, more):
        verb, _, what = rest.partition(" ")
        what = " ".join([what.strip()] + more).strip()
        say = {">": self.say, ">>": self.say_joined, "frame": self.say_frame,
               "subscribe": self.say_subscribe, "unsubscribe": self.say_unsubscribe,
               "signin": self.say_signin, "close": self.say_close, "reset": self.say_reset,
               "cut": self.say_cut, "silent": self.say_silent, "bytes": self.say_bytes}
        hear = {"<": self.hear, "<~": self.hear_later, "<none": self.hear_none,
                "<close": self.hear_close, "<end": self.hear_end, "<ping": self.hear_control,
                "<pong": self.hear_control, "joined": self.hear_joined,
                "refused": self.hear_refused, "<error": self.hear_error,
                "<established": self.hear_established, "<drain": self.hear_drain,
                "<text": self.hear_text, "<none-or": self.hear_only, "<overrun": self.hear_overrun}
        if verb in say:
            return say[verb](c, what)
        if verb in hear:
            return hear[verb](c, what, verb)
        raise Problem("unknown: %s" % verb)

    def say(self, c, what):
        c.send_text(what)

    def say_joined(self, c, what):
        c.join_text(what)

    def say_bytes(self, c, what):
        c.is_odd = True
        c.wire.send(bytes.fromhex(what))

    def say_frame(self, c, what):
        """frame [more] [rsv1] [unmasked] OPCODE [JSON string | hex:BYTES]"""
        fin, rsv, masked = True, 0, True
        words = what.split(" ")
        while words[0] in ("more", "rsv1", "unmasked"):
            flag = words.pop(0)
            fin = fin and flag != "more"
            rsv = rsv or flag == "rsv1"
            masked = masked and flag != "unmasked"
        opcode, payload = OPCODES[words[0]], " ".join(words[1:])
        if payload.startswith("hex:"):
            data = bytes.fromhex(payload[4:])
        else:
            data = json.loads(payload).encode() if payload else b""
        if opcode in (0, 1, 2):
            c.is_odd = not fin
        c.wire.send(frame(opcode, data, fin, int(rsv) * 4, masked))

    def say_subscribe(self, c, what):
        channel, _, data = what.partition(" ")
        message = {"auth": "", "channel": channel}
        if re.match(r"(private|presence)-", channel):
            message["auth"] = self.sign("auth", "%s %s" % (c.name, what))
        if data:
            message["channel_data"] = data
        c.send_text(json.dumps({"event": "pusher:subscribe", "data": message}, ensure_ascii=False))

    def say_unsubscribe(self, c, what):
        c.send_text(json.dumps({"event": "pusher:unsubscribe", "data": {"channel": what}}))

    def say_signin(self, c, what):
        c.send_text(json.dumps({"event": "pusher:signin", "data": {
            "auth": self.sign("signin", "%s %s" % (c.name, what)), "user_data": what}},
            ensure_ascii=False))

    def say_close(self, c, what):
        code, _, reason = what.partition(" ")
        c.did_close = True
        payload = int(code).to_bytes(2, "big") + reason.encode() if code else b""
        c.wire.send(frame(8, payload))

    def say_reset(self, c, _what):
        c.wire.reset()
        del self.clients[c.name]

    def say_silent(self, c, _what):
        """Will not answer a Close."""
        c.did_close = True

    def say_cut(self, c, _what):
        """Ends TCP without a Close."""
        c.wire.close()
        del self.clients[c.name]

    def next_message(self, c, want):
        """The next item; WebSocket Pings are probes and passed over unless one is waited for."""
        try:
            item = c.next(self.seconds)
            while item[0] == "ping" and want != "<ping":
                item = c.next(self.seconds)
            return item
        except Problem as e:
            raise Problem("%s: %s" % (c.name, e)) from None

    def hear(self, c, what, _verb):
        want = json.loads(what)
        item = self.next_message(c, "<")
        if item[0] != "text" or not matches(want, item[1]):
            raise Problem("expected %s\n         got %s" % (
                json.dumps(want, ensure_ascii=False)[:600],
                (item[2] if item[0] == "text" else str(item))[:600]))

    def hear_text(self, c, what, _verb):
        """The message itself, byte for byte."""
        item = self.next_message(c, "<")
        if item[0] != "text" or item[2] != what:
            raise Problem("got %s" % (item[2] if item[0] == "text" else str(item))[:600])

    def hear_later(self, c, what, _verb):
        want, seen = json.loads(what), []
        while True:
            item = self.next_message(c, "<")
            if item[0] == "text" and matches(want, item[1]):
                return
            seen.append(item)
            if item[0] in ("close", "end"):
                raise Problem("did not come; came %s" % str(seen)[:600])

    def hear_none(self, c, _what, _verb):
        for other in self.clients.values():
            if other is not c and other.is_established and not other.is_odd and not other.wire.ended:
                other.fence(self.seconds)
        c.fence(self.seconds)
        unexpected = [i for i in c.queue if i[0] != "ping"]
        if unexpected:
            raise Problem("%s got %s" % (c.name, str(unexpected)[:600]))

    def hear_close(self, c, what, _verb):
        code, _, text = what.partition(" ")
        item = self.next_message(c, "<close")
        want = json.loads(text) if text else None
        if item[0] != "close" or str(item[1]) != code or (
                want is not None and not matches(want, item[2])):
            raise Problem("%s expected Close %s, got %s" % (c.name, what, str(item)[:300]))
        if len(item[2].encode()) > 123:
            raise Problem("the close reason is too long")
        c.is_established = False

    def hear_end(self, c, _what, _verb):
        item = self.next_message(c, "<end")
        if item[0] != "end":
            raise Problem("%s got %s" % (c.name, str(item)[:300]))
        c.is_established = False

    def hear_control(self, c, what, verb):
        item = self.next_message(c, verb)
        want = bytes.fromhex(what[4:]) if what.startswith("hex:") else (
            json.loads(what).encode() if what else None)
        if item[0] != verb[1:] or (want is not None and item[1] != want):
            raise Problem("%s got %s" % (c.name, str(item)[:300]))

    def hear_joined(self, c, what, _verb):
        """joined CHANNEL [PATTERN of the presence data]"""
        channel, _, data = what.partition(" ")
        default = '"*"' if channel.startswith("presence-") else '{}'
        want = json.loads(data or default)
        self.hear(c, json.dumps({"event": "pusher_internal:subscription_succeeded",
                                 "channel": channel,
                                 "data": {"$json": want} if want != {} else "{}"}), "<")

    def hear_refused(self, c, what, _verb):
        """refused CHANNEL CODE TYPE STATUS TEXT-PATTERN: subscription_error, then pusher:error"""
        channel, code, kind, status, text = what.split(None, 4)
        text = json.loads(text)
        self.hear(c, json.dumps({"event": "pusher:subscription_error", "channel": channel,
                                 "data": {"type": kind, "error": text, "status": int(status)}}), "<")
        self.hear(c, json.dumps({"event": "pusher:error", "channel": channel,
                                 "data": {"code": json.loads(code), "message": text}}), "<")

    def hear_error(self, c, what, _verb):
        """<error [CHANNEL] CODE TEXT-PATTERN; CHANNEL - means that the key is absent"""
        channel, code, text = what.split(None, 2)
        want = {"event": "pusher:error", "data": {"code": json.loads(code), "message": json.loads(text)}}
        if channel == "*":
            want["..."] = "*"
        elif channel != "-":
            want["channel"] = channel
        self.hear(c, json.dumps(want), "<")

    def hear_established(self, c, _what, _verb):
        self.await_established(c)

    def hear_only(self, c, what, _verb):
        """Nothing but messages that match, until a fence."""
        c.fence(self.seconds)
        want = json.loads(what)
        wrong = [i for i in c.queue if i[0] != "text" or not matches(want, i[1])]
        c.queue.clear()
        if wrong:
            raise Problem("%s got %s" % (c.name, str(wrong)[:600]))

    def hear_overrun(self, c, what, _verb):
        """overrun CHANNEL CODE TEXT: events whose data begin 1:, 2:, 3: … without a gap, then
        pusher:error and Close, before all of them have come."""
        channel, code, text = what.split(None, 2)
        number = 0
        while True:
            item = self.next_message(c, "<")
            if item[0] != "text" or item[1]["event"] == "pusher:error":
                break
            number += 1
            if item[1]["channel"] != channel or item[1]["data"].split(":")[0] != str(number):
                raise Problem("a gap at event %d" % number)
        error = {"event": "pusher:error", "data": {"code": int(code), "message": text}}
        if item[0] != "text" or item[1] != error:
            raise Problem("after %d events came %s" % (number, str(item)[:300]))
        self.hear_close(c, "%s %s" % (code, json.dumps(text)), "<close")

    def hear_drain(self, c, _what, _verb):
        """Forgets what has come until now."""
        c.fence(self.seconds)
        c.queue.clear()


# ---- all talks -------------------------------------------------------------------------------

def play_file(binary, path):
    begin = time.monotonic()
    try:
        problem = Talk(binary, path).run()
    except Exception as e:  # a bug of the runner is a failed talk, not a lost run
        problem = "the runner failed: %r" % e
    return path, problem, time.monotonic() - begin


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-j", type=int, default=4)
    ap.add_argument("-v", action="store_true")
    ap.add_argument("--tls", action="store_true", help="every talk over TLS")
    ap.add_argument("--parse", action="store_true", help="only read the files")
    ap.add_argument("binary")
    ap.add_argument("files", nargs="*")
    args = ap.parse_args()
    Talk.all_tls = args.tls
    files = args.files or sorted(glob.glob(os.path.join(HERE, "*.talk")))
    if args.parse:
        for path in files:
            with open(path, encoding="utf-8") as f:
                parse(f.read())
        print("%d talks can be read" % len(files))
        return 0
    binary = os.path.abspath(args.binary)
    passed, failed = 0, 0
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for path, problem, seconds in pool.map(lambda p: play_file(binary, p), files):
            name = os.path.basename(path)
            if problem:
                failed += 1
                print("FAIL %s (%.1f s)\n  %s" % (name, seconds, problem), flush=True)
            else:
                passed += 1
                if args.v:
                    print("ok   %s (%.1f s)" % (name, seconds), flush=True)
    print("talk: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
