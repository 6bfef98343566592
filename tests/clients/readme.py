#!/usr/bin/env python3
"""tests/clients/readme.py SERVER - the five minutes of the README, word for word.

The programs for Node and the commands for curl are taken from README.md and run against the server
with the file that `make run` passes; only the port is another one. What curl and Node publish reaches
pusher-js.
"""
import contextlib
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WAIT_S = 30


def block(text, after, language):
    """The first code block of the language behind the text `after`."""
    found = re.search(r"```%s\n(.*?)```" % language, text[text.index(after):], re.S)
    return found.group(1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def node(program, **more):
    return subprocess.Popen(["node", "--input-type=module", "-e", program], text=True,
                            cwd=os.path.join(ROOT, "tests", "clients", "node"), **more)


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Lines:
    """What a program writes, line by line."""

    def __init__(self, process):
        self.lines = queue.Queue()
        threading.Thread(target=self.read, args=(process,), daemon=True).start()

    def read(self, process):
        for line in process.stdout:
            self.lines.put(line)

    def has(self, pattern, seconds):
        """Whether such a line comes; those before it are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                return False
            if re.search(pattern, line):
                return True


def publish_until_heard(publish, lines):
    """The listener says when it is connected, not when it has subscribed: so perhaps twice."""
    end = time.monotonic() + WAIT_S
    while True:
        publish()
        if lines.has(r"^headline .*hello", 1):
            return
        assert time.monotonic() < end, "the headline is not heard"


def main():
    server = os.path.abspath(sys.argv[1])
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    port = str(free_port())
    listen, publish, curl = (block(text, after, language).replace("6001", port) for after, language in (
        ("`listen.mjs`", "js"), ("`publish.mjs`", "js"), ("with curl and openssl", "sh")))
    assert all(port in part for part in (listen, publish, curl)), "a part names no port"
    env = dict(os.environ, PORT=port, METRICS_ENABLED="false")
    running = subprocess.Popen([server, "--config", "config/demo.json"], cwd=ROOT, env=env)
    listener = None
    try:
        end = time.monotonic() + WAIT_S
        while not answers(int(port)):
            assert time.monotonic() < end and running.poll() is None, "the server does not listen"
            time.sleep(0.05)
        listener = node(listen, stdout=subprocess.PIPE)
        lines = Lines(listener)
        assert lines.has(r"^socket \d+\.\d+$", WAIT_S), "pusher-js does not connect"

        def by_curl():
            out = subprocess.run(["sh", "-ec", curl], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 text=True, check=True).stdout
            assert out == "{}", "curl got %r" % out
        if shutil.which("curl"):
            publish_until_heard(by_curl, lines)
        else:
            print("readme: skipped what curl publishes: it is not installed")
        publish_until_heard(lambda: node(publish).wait(WAIT_S), lines)
    finally:
        if listener:
            listener.kill()
        running.send_signal(signal.SIGTERM)
        assert running.wait(WAIT_S) == 0
    print("readme: pusher-js hears what is published")


if __name__ == "__main__":
    main()
