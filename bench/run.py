#!/usr/bin/env python3
"""bench/run.py - the server beside the bare send loop, and beside peers, in one run.

Everything but Python's standard library is in bench/README.md: what is measured, how to read it.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVER_CPU, GENERATOR_CPU = "0", "1"
APP = "1:bench-key:bench-secret"
CONFIG = {
    "host": "127.0.0.1", "workers": 1,
    "rate_limiter": {"enabled": False}, "metrics": {"enabled": False},
    "app_manager": {"driver": "memory", "array": {"apps": [
        {"id": "1", "key": "bench-key", "secret": "bench-secret", "enabled": True,
         "max_connections": 0, "max_client_events_per_second": 0,
         "enable_client_messages": True}]}},
}


def die(text):
    sys.exit("bench: " + text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port):
    for _ in range(250):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    die("nothing listens on port %d" % port)


class Running:
    """A server under test: what the generator must know of it."""

    def __init__(self, address, app, pid, process=None):
        self.address, self.app, self.pid, self.process = address, app, pid, process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(argv, port):
    process = subprocess.Popen(["taskset", "-c", SERVER_CPU] + argv, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_port(port)
    return Running("127.0.0.1:%d" % port, APP, process.pid, process)


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.TemporaryDirectory(prefix="bench-")
        self.noisy = 0
        self.record = open(args.record, "a", encoding="utf-8") if args.record else None

    def ours(self):
        port = free_port()
        path = os.path.join(self.dir.name, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(dict(CONFIG, port=port), f)
        return start([self.args.server, "--config", path], port)

    def floor(self, mode="single"):
        port = free_port()
        return start([os.path.join(self.args.tools, "floor"), str(port), mode], port)

    def peer(self, text):
        address, app, pid = text.split(",")
        return Running(address, app, int(pid))

    def load(self, who, running, scenario, **options):
        argv = ["taskset", "-c", GENERATOR_CPU, os.path.join(self.args.tools, "loadgen"), scenario,
                "--server", running.address, "--app", running.app, "--pid", str(running.pid)]
        for name, value in options.items():
            argv += [("-" if len(name) == 1 else "--") + name, str(value)]
        out = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
        if out.returncode != 0:
            die("%s failed on %s (%s)" % (scenario, who, " ".join(argv)))
        result = json.loads(out.stdout)
        if self.record:
            self.record.write(json.dumps(dict(result, server=who)) + "\n")
        return result

    def rounds(self, who_list, scenario, **options):
        """Runs A-B-C-A-B-C. A round that others disturbed is run again, so often as there are
        rounds; then it counts. Gives a list of {who: result}."""
        good, spare = [], self.args.rounds
        while len(good) < self.args.rounds:
            one = {}
            for who, opener in who_list:
                with opener() as running:
                    one[who] = self.load(who, running, scenario, **options)
            quiet = all(r["other_cpu"] <= 0.10 and r["steal"] <= 0.01 for r in one.values())
            if not quiet and spare > 0:
                spare -= 1
                continue
            self.noisy += not quiet
            good.append(one)
        return good

    def servers(self):
        peers = [p.split("=", 1) for p in self.args.peer]
        return [("sockudo", self.ours)] + [
            (name, lambda text=text: self.peer(text)) for name, text in peers]


class Table:
    """goal: what the design wants; limit: what --check lets pass (machines and days differ)."""

    def __init__(self):
        self.missed = []
        print("%-50s %-9s %8s %7s %7s" % ("measure", "server", "value", "goal", "limit"))

    def row(self, what, who, value, goal=None, limit=None, detail=""):
        verdict = ""
        if who == "sockudo" and limit is not None and value > limit:
            verdict = " MISSED"
            self.missed.append(what)
        elif who == "sockudo" and goal is not None and value > goal:
            verdict = " above goal"
        print("%-50s %-9s %8.2f %7s %7s  %s%s" % (
            what, who, value, "" if goal is None else "%g" % goal,
            "" if limit is None else "%g" % limit, detail, verdict), flush=True)


def median(rounds, who, key):
    return statistics.median(r[who][key] for r in rounds)


def against_floor(bench, table, what, scenario, key, goal, limit, mode="single", detail=None,
                  **options):
    servers = bench.servers()
    who_list = [("floor", lambda: bench.floor(mode))] + servers
    rounds = bench.rounds(who_list, scenario, **options)
    for who, _ in servers:
        ratio = statistics.median(r[who][key] / r["floor"][key] for r in rounds)
        text = "%.3f / %.3f us" % (median(rounds, who, key), median(rounds, "floor", key))
        if detail:
            text += ", " + detail(rounds, who)
        table.row(what + " / floor", who, ratio, goal, limit, text)


def per_second(key):
    def text(rounds, who):
        out = "%.0f/s" % median(rounds, who, key)
        if "p50_us" in rounds[0][who]:
            out += ", p50 %.0f p99 %.0f us" % (median(rounds, who, "p50_us"),
                                               median(rounds, who, "p99_us"))
        return out
    return text


def absolute(bench, table, what, scenario, key, goal, limit, detail, rounds=None, floor=False,
             **options):
    servers = bench.servers() + ([("floor", bench.floor)] if floor else [])
    kept = bench.args.rounds
    bench.args.rounds = min(rounds or kept, kept)
    results = bench.rounds(servers, scenario, **options)
    bench.args.rounds = kept
    for who, _ in servers:
        table.row(what, who, median(results, who, key), goal, limit, detail(results, who))


def measure(bench, table):
    args = bench.args
    n = args.subscribers
    want = lambda name: not args.only or name in args.only
    if want("fanout"):
        against_floor(bench, table, "fan-out %d x 128 B, 1 in flight: CPU" % n, "fanout",
                      "cpu_us_per_delivery", 1.05, 1.15, n=n, w=1,
                      detail=per_second("deliveries_per_s"))
        against_floor(bench, table, "fan-out %d x 128 B, 16 in flight: CPU" % n, "fanout",
                      "cpu_us_per_delivery", 1.10, 1.30, mode="joined", n=n, w=16,
                      detail=per_second("deliveries_per_s"))
    if want("paced"):
        against_floor(bench, table, "%d x 128 B, 50 a second: p99" % n, "fanout", "p99_us", 1.2, 2,
                      n=n, rate=50, seconds=2, detail=per_second("deliveries_per_s"))
    if want("slow"):
        absolute(bench, table, "1 of %d stalled: p99 of the others, ratio" % n, "slow", "p99_ratio",
                 1.10, 1.5, lambda r, who: "p99 %.0f -> %.0f us, p50 ratio %.2f, %+.0f KiB, closed %d" % (
                     median(r, who, "p99_us_before"), median(r, who, "p99_us"),
                     median(r, who, "p50_ratio"), median(r, who, "memory_growth") / 1024,
                     median(r, who, "closed_by_server")),
                 n=n, bytes=1024, seconds=2)
    if want("pingpong"):
        for w, mode in ((1, "single"), (16, "joined")):
            against_floor(bench, table, "ping, 100 clients, %d in flight: CPU" % w, "pingpong",
                          "cpu_us_per_ping", 1.1 if w == 1 else None, 1.5 if w == 1 else None,
                          n=100, w=w, mode=mode, detail=per_second("pings_per_s"))
    if want("http-publish"):
        for subscribers, goal, limit in ((0, 12, 24), (1, 16, 32)):
            absolute(bench, table, "HTTP publish, 8 in flight, %d subscribers: CPU us" % subscribers,
                     "http-publish", "cpu_us_per_request", goal, limit,
                     per_second("requests_per_s"), n=subscribers, w=8)
    if want("connect"):
        for w in (1, 64):
            absolute(bench, table, "connect and upgrade, %d at a time: CPU us" % w, "connect",
                     "cpu_us_per_connection", 25, 50, lambda r, who: "%.0f/s, close %.1f us" % (
                         median(r, who, "per_s"), median(r, who, "cpu_us_per_close")),
                     floor=True, n=min(5000, args.connections), w=w)
    if want("idle"):
        for channels, goal, limit in (("none", 300, 500), ("shared", 400, 500), ("own", 560, 800)):
            absolute(bench, table, "%d idle, channel %s: bytes each" % (args.connections, channels),
                     "idle", "bytes_per_connection", goal, limit,
                     lambda r, who: "%.0f after all have left" % median(
                         r, who, "bytes_per_connection_after"),
                     rounds=1, n=args.connections, channels=channels)


def main():
    ap = argparse.ArgumentParser(description="Measures the server; see bench/README.md")
    ap.add_argument("--server", default="build/sockudo")
    ap.add_argument("--tools", default="build/bench", help="where loadgen and floor are")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--subscribers", type=int, default=1000)
    ap.add_argument("--connections", type=int, default=10000)
    ap.add_argument("--peer", action="append", default=[], metavar="NAME=HOST:PORT,ID:KEY:SECRET,PID",
                    help="a running server to measure beside ours; pin it to CPU 0")
    ap.add_argument("--only", action="append", metavar="SCENARIO",
                    help="fanout, paced, slow, pingpong, http-publish, connect or idle")
    ap.add_argument("--record", metavar="FILE", help="append each run's JSON line")
    ap.add_argument("--check", action="store_true", help="exit 1 if a limit is missed")
    args = ap.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        die("needs two CPUs: one for the server, one for the generator")
    table, bench = Table(), Bench(args)
    measure(bench, table)
    if bench.noisy:
        print("%d rounds were disturbed by other processes" % bench.noisy)
    if table.missed and args.check:
        die("missed: " + "; ".join(table.missed))


if __name__ == "__main__":
    main()
