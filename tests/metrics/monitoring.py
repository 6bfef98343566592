#!/usr/bin/env python3
"""tests/metrics/monitoring.py - the dashboard and the alerts name only what the server has.

MET-28: so do the queries of Sockudo's own dashboard. Expressions are parsed by promtool; without it
the names are still compared, and the step counts as skipped.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import exposition
from exposition import need

ROOT = exposition.ROOT
TARGET_LABELS = {"job", "instance", "le"}
WORDS = set("""
    sum min max avg count by without on ignoring group_left group_right and or unless offset bool
    rate increase irate histogram_quantile max_over_time min_over_time time scalar
""".split())
# metrics.md §3.1: what ops/grafana of Sockudo v5.0.1 uses, and its labels.
SOCKUDO_DASHBOARD = {
    "connected": (), "new_connections_total": (), "new_disconnections_total": (),
    "connection_errors_total": ("error_type",), "ws_messages_received_total": (),
    "ws_messages_sent_total": (), "socket_received_bytes": (), "socket_transmitted_bytes": (),
    "http_calls_received_total": (), "http_received_bytes": (), "http_transmitted_bytes": (),
    "active_channels": ("channel_type",), "channel_subscriptions_total": ("channel_type",),
    "channel_unsubscriptions_total": ("channel_type",), "rate_limit_checks_total": ("limiter_type",),
    "rate_limit_triggered_total": ("limiter_type",), "horizontal_adapter_resolve_time_bucket": (),
    "horizontal_adapter_resolved_promises": (), "horizontal_adapter_uncomplete_promises": (),
    "horizontal_adapter_sent_requests": (), "horizontal_adapter_received_requests": (),
    "horizontal_adapter_received_responses": ()}


def known():
    """{full name of a series: {label: values}}"""
    out = {name: {} for name in exposition.PROCESS}
    for name, (kind, labels) in exposition.metrics().items():
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            out["sockudo_" + name + suffix] = labels
    out["up"] = {}
    return out


def check_matchers(names, name, text):
    """Labels exist, and so do the values that are written out."""
    for label, op, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', text):
        need(label in names[name] or label in TARGET_LABELS, name, "has no label", label)
        values = names[name].get(label)
        for v in value.split("|") if op in ("=~", "!~") else [value]:
            need(values is None or v == ".*" or v in values, name, label, "is never", v)


def check_expression(names, text):
    found = []
    for name, matchers in re.findall(r"\b([a-zA-Z_:]\w*)\b(?:\s*\{([^}]*)\})?(?!\s*[(\w])",
                                     re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", text)):
        if name in WORDS or re.match(r"\d", name):
            continue
        inside = re.search(r"\{[^}]*\b%s\b[^}]*\}" % re.escape(name), text)
        if name not in names and (inside or re.search(r"\[[^]]*\b%s\b" % name, text)):
            continue  # of a matcher or a range
        need(name in names, "unknown metric", name, "in", text)
        check_matchers(names, name, matchers)
        found.append(name)
    need(found, "no metric in", text)
    labels = {label for name in found for label in names[name]} | TARGET_LABELS
    for part in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", text):
        for label in re.findall(r"\w+", part):
            need(label in labels, "no metric has the label", label, "in", text)
    return found, labels


def dashboard():
    """Its expressions, with the variables filled in, and what a legend may name."""
    with open(os.path.join(ROOT, "monitoring", "grafana", "sockudo.json"), encoding="utf-8") as f:
        board = json.load(f)
    variables = {v["name"]: v for v in board["templating"]["list"]}
    need(set(variables) >= {"datasource", "prefix", "app"}, "variables", list(variables))
    need(len({p["id"] for p in board["panels"]}) == len(board["panels"]), "a panel's id twice")
    out = []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            out.append((target["expr"], target["legendFormat"]))
    out += [(v["query"]["query"], "") for v in variables.values() if v["type"] == "query"]
    return [(e.replace("${prefix}", "sockudo_").replace("$__rate_interval", "5m").replace("$app", ".*")
             .replace("$instance", ".*").replace("$job", ".*"), legend) for e, legend in out]


def alerts():
    """Expressions as they stand, read without a YAML library: this file keeps to two forms."""
    with open(os.path.join(ROOT, "monitoring", "prometheus", "alerts.yml"), encoding="utf-8") as f:
        text = f.read()
    blocks = re.findall(r"^        expr: (?:\|\n((?:          .*\n)+)|(.+)\n)", text, re.M)
    need(len(blocks) == text.count("- alert:") == text.count("expr:"), "an alert that cannot be read")
    return [(a or b).strip() for a, b in blocks]


def promtool_parses(expressions):
    rules = {"groups": [{"name": "all", "rules": [
        {"record": "test:expression_%d" % i, "expr": e} for i, e in enumerate(expressions)]}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
        json.dump(rules, f)
        f.flush()
        for path in (f.name, os.path.join(ROOT, "monitoring", "prometheus", "alerts.yml")):
            r = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True,
                               check=False)
            need(r.returncode == 0, r.stdout, r.stderr)


def main():
    names = known()
    for name, labels in SOCKUDO_DASHBOARD.items():
        need("sockudo_" + name in names, "Sockudo's dashboard uses", name)
        need(set(labels) | {"app_id"} <= set(names["sockudo_" + name]), name, labels)
    queries, rules = dashboard(), alerts()
    seen = set()
    for expression, legend in queries:
        if expression.startswith("label_values("):
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", expression).groups()
            need(name in names and (label in names[name] or label in TARGET_LABELS), expression)
            continue
        found, labels = check_expression(names, expression)
        seen.update(found)
        for label in re.findall(r"\{\{(\w+)\}\}", legend):
            need(label in labels, "legend", legend, "of", expression)
    for expression in rules:
        check_expression(names, expression)
    need({"sockudo_" + n for n in SOCKUDO_DASHBOARD if not n.startswith("horizontal")} <= seen, "rows")
    for wrong in ("sum(sockudo_conected)", 'sockudo_connected{channel="x"}',
                  'sockudo_queue_depth{state="wait"}', "sum by (socket) (sockudo_connected)"):
        try:
            check_expression(names, wrong)
        except AssertionError:
            continue
        raise AssertionError("this test takes " + wrong)
    print("%d queries and %d alerts name what exists" % (len(queries), len(rules)))
    if not shutil.which("promtool"):
        print("promtool is not there: nothing was parsed")
        return 77
    promtool_parses([e for e, _ in queries if not e.startswith("label_values(")])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as e:
        sys.exit("FAILED: %s" % e)
