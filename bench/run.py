#!/usr/bin/env python3
"""bench/run.py - the server beside the bare send loop, in one run.."""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CONFIG = {
    "host": "127.0.0.1", "workers": 1,
    "rate_limiter": {"enabled": False}, "metrics": {"enabled": False},
    "app_manager": {"driver": "memory", "array": {"apps": [
        {"id": "1", "key": "bench-key", "secret": "bench-secret", "enabled": True,
         "max_connections": 0, "max_client_events_per_second": 0, "enable_client_messages": True}]}},
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit("bench: the server does not listen")


class Process:
    def __init__(self, argv, port, probe=True):
        self.port = port
        self.p = subprocess.Popen(["taskset", "-c", "0"] + argv, stderr=subprocess.DEVNULL)
        if probe:
            wait_port(port)
        else:
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.terminate()
        self.p.wait()


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.TemporaryDirectory(prefix="bench-")

    def server(self):
        port = free_port()
        path = os.path.join(self.dir.name, "config.json")
        with open(path, "w") as f:
            json.dump(dict(CONFIG, port=port), f)
        return Process([self.args.server, "--config", path], port)

    def floor(self, mode):
        port = free_port()
        return Process([os.path.join(self.args.tools, "floor"), str(port), mode], port, probe=False)

    def load(self, process, scenario, n, w, seconds=1.0):
        out = subprocess.run(
            ["taskset", "-c", "1", os.path.join(self.args.tools, "loadgen"), scenario, "127.0.0.1",
             str(process.port), "1", "bench-key", "bench-secret", str(process.p.pid), str(n), str(w),
             str(seconds)], stdout=subprocess.PIPE, check=True, text=True)
        return json.loads(out.stdout)

    def fanout(self, w, mode):
        ratios, ours, floors = [], [], []
        for _ in range(self.args.rounds):
            with self.floor(mode) as p:
                floor = self.load(p, "fanout", 1000, w)
            with self.server() as p:
                server = self.load(p, "fanout", 1000, w)
            floors.append(floor["cpu_us_per_delivery"])
            ours.append(server["cpu_us_per_delivery"])
            ratios.append(ours[-1] / floors[-1])
            last = server
        return statistics.median(ratios), statistics.median(ours), statistics.median(floors), last


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--server", default="build/sockudo")
    ap.add_argument("--tools", default="build/bench")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    b = Bench(ap.parse_args())
    missed = []

    def row(what, value, target, detail=""):
        bad = target is not None and value > target
        missed.extend([what] if bad else [])
        print("%-58s %8.2f  %-9s %s" % (what, value, "" if target is None else
                                        "<= %g%s" % (target, " MISSED" if bad else ""), detail))

    for w, mode, target in ((1, "single", 1.15), (16, "joined", 1.3)):
        ratio, ours, floor, last = b.fanout(w, mode)
        row("fan-out 1000 x 128 B, %d in flight: CPU / floor" % w, ratio, target,
            "%.3f / %.3f us, %d/s, p50 %d p99 %d us" % (
                ours, floor, last["deliveries_per_s"], last["p50_us"], last["p99_us"]))
    for mode, target in (("none", None), ("shared", 500), ("own", 800)):
        with b.server() as p:
            row("10,000 idle connections, channel %s: bytes each" % mode,
                b.load(p, "idle", 10000, mode)["bytes_per_connection"], target)
    with b.server() as p:
        r = b.load(p, "http", 8, 0)
        row("HTTP publish, 8 kept-alive, one subscriber: CPU us", r["cpu_us_per_request"], None,
            "%d/s" % r["requests_per_s"])
    with b.server() as p:
        r = b.load(p, "connect", 5000, 0)
        row("connect, upgrade, established: CPU us", r["cpu_us_per_connection"], None,
            "%d/s" % r["per_s"])
    sys.exit(1 if missed and b.args.check else 0)


if __name__ == "__main__":
    main()
