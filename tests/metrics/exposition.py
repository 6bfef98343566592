"""tests/metrics/exposition.py - a strict parser of the Prometheus text format 0.0.4, and the names in
the server's tables.

Source: prometheus.io "Text-based exposition format"; metrics.md §1
"""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,(?!\})|(?=\}))')
VALUE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def need(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Family:
    def __init__(self, name, kind):
        self.name, self.kind, self.samples = name, kind, {}

    def suffixes(self):
        return ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)


def read_sample(line):
    """name, labels as a tuple of pairs, value as a text."""
    name = NAME.match(line)
    need(name, "no name:", line)
    at, labels = name.end(), []
    if line[at:at + 1] == "{":
        at += 1
        while line[at:at + 1] != "}":
            found = LABEL.match(line, at)
            need(found, "bad label:", line)
            value = re.sub(r"\\.", lambda m: ESCAPES[m.group(0)], found.group(2))
            labels.append((found.group(1), value))
            at = found.end()
        at += 1
    need(line[at:at + 1] == " ", "no blank before the value:", line)
    need(VALUE.match(line[at + 1:]), "bad value:", line)
    names = [k for k, _ in labels]
    need(len(set(names)) == len(names), "a label twice:", line)
    return name.group(0), tuple(labels), line[at + 1:]


def check_histogram(family):
    """Buckets add up to +Inf, which is the count; each has a sum; bounds are in order."""
    groups = {}
    for (name, labels), value in family.samples.items():
        rest = tuple(p for p in labels if p[0] != "le")
        group = groups.setdefault(rest, {"bounds": [], "counts": []})
        if name.endswith("_bucket"):
            group["bounds"].append(dict(labels)["le"])
            group["counts"].append(value)
        else:
            need("le" not in dict(labels), "le on", name)
            group[name[len(family.name):]] = value
    for labels, group in groups.items():
        need(group["bounds"] and group["bounds"][-1] == "+Inf", "no +Inf:", family.name, labels)
        bounds = [float(b) for b in group["bounds"]]
        need(bounds == sorted(set(bounds)), "bounds out of order:", family.name, bounds)
        need(group["counts"] == sorted(group["counts"]), "buckets shrink:", family.name, labels)
        need(group["_count"] == group["counts"][-1], "count is not +Inf:", family.name, labels)
        need(group["_sum"] >= 0, "negative sum:", family.name)


def parse(text):
    """{name: Family}; raises AssertionError where the format is broken (MET-3)."""
    need(text.endswith("\n") and "\r" not in text, "no newline at the end")
    families, order, now, helped = {}, [], None, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped, _, words = line[7:].partition(" ")
            need(helped not in families and words.strip(), "HELP twice or empty:", line)
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            need(name == helped and name not in families, "TYPE without its HELP:", line)
            need(NAME.fullmatch(name) and kind in ("counter", "gauge", "histogram"), line)
            now = families[name] = Family(name, kind)
            order.append(name)
        else:
            name, labels, value = read_sample(line)
            need(now and name in [now.name + s for s in now.suffixes()], "outside its family:", line)
            need((name, labels) not in now.samples, "series twice:", line)
            need(frozenset(labels) not in [frozenset(k[1]) for k in now.samples if k[0] == name]
                 if len(now.samples) < 200 else True, "series twice, labels in another order:", line)
            is_whole = now.kind != "gauge" and not name.endswith("_sum") and \
                not name.startswith("process_")
            need(not is_whole or value.isdigit(), "a counter is not whole:", line)
            now.samples[(name, labels)] = float(value)
    need(order == sorted(order), "families are not sorted")
    for family in families.values():
        if family.kind == "histogram":
            check_histogram(family)
    return families


# ---- the server's own tables ---------------------------------------------------------------

SHOWN = {"queue_driver": "driver", "auth_reason": "reason", "webhook_event": "event",
         "drop_reason": "reason", "message_reason": "reason", "nats_event": "event",
         "app_cache_result": "result", "channel_cache_result": "result"}
PROCESS = {"process_resident_memory_bytes": "gauge", "process_virtual_memory_bytes": "gauge",
           "process_open_fds": "gauge", "process_max_fds": "gauge",
           "process_start_time_seconds": "gauge", "process_cpu_seconds_total": "counter"}


def table(name):
    with open(os.path.join(ROOT, "src", "metrics", name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)


def label_values():
    values = {}
    for label, text in re.findall(r'^VALUE\((\w+), \w+, "([^"]*)"\)', table("labels.def"), re.M):
        values.setdefault(label, []).append(text)
    return values


def metrics():
    """{name behind the prefix: (type, {label: set of values, None: any})}."""
    values, out = label_values(), {}
    for kind, args in re.findall(r"^(APP|SHARE|ZERO|NODE|READ)\((.*)\)$", table("metrics.def"), re.M):
        parts = [p.strip() for p in args.split(", ")]
        name, shape = parts[1].strip('"'), parts[2]
        places = {"APP": parts[3:4], "SHARE": parts[3:5], "ZERO": [], "NODE": parts[4:7],
                  "READ": parts[4:7]}[kind]
        labels = {SHOWN.get(p, p): set(values[p]) for p in places if p != "none"}
        if "limiter_type" in labels:
            labels["request_context"] = {"http_api", "websocket_upgrade", "unknown"}
        if kind in ("APP", "SHARE", "ZERO"):
            labels["app_id"] = None
        if kind in ("APP", "SHARE", "ZERO") or parts[3] == "PORT":
            labels["port"] = None
        out[name] = ("histogram" if shape.startswith("MS") else shape.lower(), labels)
    out["build_info"] = ("gauge", {"version": None, "commit": None})
    need(len(out) > 40, "metrics.def was not read")
    return out
