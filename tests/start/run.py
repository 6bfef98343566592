#!/usr/bin/env python3
"""tests/start/run.py SERVER - the command line, the choice of the file, and what the server listens on.

Every case has a folder of its own as working directory and an empty environment.
"""
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

WAIT = 30
CASES = []


def case(function):
    CASES.append(function)
    return function


class Folder:
    """A working directory with files, in which the server is run."""

    def __init__(self, server):
        self.server, self.path, self.processes = server, tempfile.mkdtemp(prefix="start-"), []

    def write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text if isinstance(text, str) else json.dumps(text))

    def popen(self, args, env):
        own = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        process = subprocess.Popen([self.server, *args], cwd=self.path, env={**own, **env}, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def run(self, *args, **env):
        """Exit status and everything that was written."""
        process = self.popen(args, env)
        text, _ = process.communicate(timeout=WAIT)
        return process.returncode, text

    def listen(self, *args, **env):
        """What was written once the server listens."""
        process, text = self.popen(args, env), ""
        while not re.search(r"listening on .*\n", text):
            ready, _, _ = select.select([process.stdout], [], [], WAIT)
            piece = os.read(process.stdout.fileno(), 65536).decode() if ready else ""
            if not piece:
                raise AssertionError("does not listen: %s" % text)
            text += piece
        return text

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT)
        shutil.rmtree(self.path)


def expect(got, wanted, what):
    if not wanted:
        raise AssertionError("%s: %s" % (what, got))


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


QUIET = {"METRICS_ENABLED": "false"}


@case
def help_and_version(f):
    """CFG-2"""
    for args, part in ((["--help"], "--print-config"), (["-h"], "usage: "), (["-V"], "sockudo "),
                       (["--version"], "sockudo "), (["--help-config"], "\nport\n")):
        status, text = f.run(*args)
        expect((args, status, text), status == 0 and part in text, "help")


@case
def three_ways_to_name_a_file(f):
    """CFG-2"""
    f.write("a.json", {"port": 7123})
    texts = {f.run(*args, "--print-config")[1] for args in
             (["--config", "a.json"], ["--config=a.json"], ["-c", "a.json"])}
    expect(texts, len(texts) == 1 and '"port": 7123' in texts.pop(), "files")


@case
def usage(f):
    """CFG-3"""
    status, text = f.run("--nonsense")
    expect((status, text), status == 2 and text.startswith("unknown option --nonsense; usage: "), "usage")


@case
def missing_file(f):
    """CFG-4, CFG-5"""
    status, text = f.run("--config", "nowhere.json")
    expect((status, text), status == 1 and "cannot read nowhere.json" in text, "missing")
    status, text = f.run("--check-config", CONFIG_FILE="nowhere.json")
    expect((status, text), status == 0 and "CONFIG_FILE: nowhere.json does not exist" in text, "missing")


@case
def toml_before_json(f):
    """CFG-6, CFG-7, CFG-10"""
    f.write("config/config.toml", "port = 7001\n")
    f.write("config/config.json", {"port": 7002})
    f.write("other.json", {"port": 7003})
    f.write("named.json", {"port": 7004})
    status, text = f.run("--print-config")
    expect(text, status == 0 and "using config/config.toml" in text and '"port": 7001' in text, "TOML")
    expect(text, '"port": 7003' in f.run("--print-config", CONFIG_FILE="other.json")[1], "CONFIG_FILE")
    text = f.run("--print-config", "-c", "named.json", CONFIG_FILE="other.json")[1]
    expect(text, '"port": 7004' in text, "--config")
    f.write("config/config.toml", "port = 7001\nhost = oops\n")
    status, text = f.run("--check-config")
    expect((status, text), status == 1 and "config: config/config.toml:2:8: " in text, "broken TOML")


@case
def check_and_strict(f):
    """CFG-14, CFG-15, CFG-16: neither opens a port, so both work while it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        f.write("a.json", {"host": "127.0.0.1", "port": taken.getsockname()[1], "adaptor": {}})
        status, text = f.run("-c", "a.json", "--check-config")
        expect((status, text), status == 0 and 'did you mean "adapter"' in text, "check")
        status, text = f.run("-c", "a.json", "--check-config", "--strict-config")
        expect((status, text), status == 1 and "refused by --strict-config" in text, "strict")
    f.write("b.json", {"port": "6001"})
    status, text = f.run("-c", "b.json", "--check-config")
    expect((status, text), status == 1 and '"port"' in text, "bad value")


@case
def check_opens_certificates(f):
    """A key of another certificate is found by --check-config too."""
    for name in ("a", "b"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=" + name, "-keyout", os.path.join(f.path, name + ".key"), "-out",
                        os.path.join(f.path, name + ".pem")], check=True, capture_output=True)
    for key, wanted in (("a.key", 0), ("b.key", 1)):
        f.write("tls.json", {"ssl": {"enabled": True, "cert_path": "a.pem", "key_path": key}})
        status, text = f.run("--config", "tls.json", "--check-config")
        expect((status, text), status == wanted and ("config: fine" if wanted == 0 else '"b.key"') in text, key)


@case
def name_of_a_host(f):
    """CFG-8, CFG-30"""
    port = free_port()
    f.write("a.json", {"port": 1, "host": "192.0.2.1"})
    text = f.listen("-c", "a.json", HOST="localhost", PORT=str(port), **QUIET)
    expect(text, ":%d, " % port in text, "localhost")
    socket.create_connection(("127.0.0.1", port), WAIT).close()


@case
def ipv6(f):
    """CFG-31"""
    try:
        port = free_port(socket.AF_INET6, "::1")
    except OSError:
        return "no IPv6 here"
    for host in ("::1", "[::1]"):
        text = f.listen(HOST=host, PORT=str(port), **QUIET)
        socket.create_connection(("::1", port), WAIT).close()
        expect(text, re.search(r"listening on \S*::1\S*:%d" % port, text), host)
        f.processes[-1].send_signal(signal.SIGTERM)
        f.processes[-1].communicate(timeout=WAIT)
    return None


@case
def port_in_use(f):
    """CFG-32"""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, text = f.run(HOST="127.0.0.1", PORT=str(port), **QUIET)
    expect((status, text), status != 0 and "127.0.0.1:%d" % port in text, "port in use")


@case
def descriptors(f):
    """The soft limit goes up to the hard one, and the log says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        text = f.listen(HOST="127.0.0.1", PORT=str(free_port()), **QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    now = resource.prlimit(f.processes[-1].pid, resource.RLIMIT_NOFILE)
    expect((now, hard, text), now == (hard, hard) and "up to %d descriptors" % hard in text, "descriptors")


@case
def usage_of_the_machine(f):
    """HTTP-65: in bytes."""
    port = free_port()
    f.listen(HOST="127.0.0.1", PORT=str(port), **QUIET)
    with urllib.request.urlopen("http://127.0.0.1:%d/usage" % port, timeout=WAIT) as answer:
        memory = json.load(answer)["memory"]
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    expect((memory, total), abs(memory["total"] - total) <= total / 100, "total")
    expect(memory, memory["used"] + memory["free"] == memory["total"], "sum")
    expect(memory, abs(memory["percent"] - 100 * memory["used"] / memory["total"]) < 0.01, "percent")


@case
def secrets_are_not_printed(f):
    """CFG-17"""
    f.write("a.json", {"app_manager": {"array": {"apps": [
        {"id": "a", "key": "k", "secret": "hidden", "enabled": True}]}}})
    status, text = f.run("-c", "a.json", "--print-config")
    expect((status, text), status == 0 and "hidden" not in text and '"secret": "***"' in text, "secret")


@case
def demo(f):
    """What `make run` passes: port 6001 on loopback, one known app that may do everything, no limit that
    meets who tries things out, nothing but memory. (Its use: tests/clients/readme.py, tests/examples.)"""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    path = os.path.join(root, "config", "demo.json")
    with open(os.path.join(root, "Makefile"), encoding="utf-8") as m:
        expect("Makefile", "run: build\n\tbuild/sockudo --config config/demo.json" in m.read(), "make run")
    with open(path, encoding="utf-8") as d:
        app = json.load(d)["app_manager"]["array"]["apps"][0]
    expect(app, (app["id"], app["key"], app["secret"]) == ("1", "demo-key", "demo-secret"), "app")
    status, text = f.run("-c", path, "--print-config", "--strict-config")
    expect((status, text), status == 0 and "warning" not in text, "a quiet start")
    c = json.loads(text[text.index("{"):])
    expect(c, (c["host"], c["port"]) == ("127.0.0.1", 6001), "address")
    drivers = [c[part]["driver"] for part in ("adapter", "cache", "queue", "app_manager")]
    expect(drivers, drivers == ["local", "memory", "memory", "memory"], "drivers")
    expect(c["rate_limiter"], not c["rate_limiter"]["enabled"], "limits")
    features = c["app_manager"]["array"]["apps"][0]
    features = features.get("policy", {}).get("features", features)
    expect(features, features["enable_client_messages"] and features["enable_user_authentication"], "features")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tests/start/run.py SERVER")
    server, failed, skipped = os.path.abspath(sys.argv[1]), 0, 0
    for function in CASES:
        folder = Folder(server)
        try:
            why = function(folder)
            skipped += why is not None
            print("%s %s%s" % ("skip" if why else "ok  ", function.__name__, ": " + why if why else ""))
        except (AssertionError, OSError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print("FAIL %s: %s" % (function.__name__, problem))
        finally:
            folder.close()
    print("start: %d passed, %d failed, %d skipped" % (len(CASES) - failed - skipped, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
