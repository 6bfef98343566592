#!/usr/bin/env python3
"""scripts/docs.py [--check] - writes docs/errors.md from src/pusher/errors.def, docs/metrics.md from
src/metrics/metrics.def and labels.def, and docs/configuration.md from src/config/options.def,
app_fields.def and scope.def.

With --check nothing is written: exit 1 if a file is not what its table says.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "src", "pusher", "errors.def")
CONFIG = os.path.join(ROOT, "src", "config")
ROW = re.compile(r'^WIRE_ERROR\(\s*(\w+),\s*(\w+),\s*"((?:\\.|[^"\\])*)",\s*(\d+),\s*'
                 r'"((?:\\.|[^"\\])*)"\)\s*$')
HEAD = """# What a client is told

Made by `scripts/docs.py` from `src/pusher/errors.def`. Change the table, then run the script.

An error reaches a client as `pusher:error` with `code` and `message`. Where it ends the connection,
the Close frame carries the same code; a client of protocol 2 gets that frame alone. A refused subscribe
is told twice: `pusher:subscription_error` with `type`, `status` and the text, then `pusher:error`. A code
of `null` means that the command could not be understood; it never closes anything. `%s` is filled in
when the error is made.

The code of a Close frame tells pusher-js whether to come back:

| code | then the client |
|---|---|
| 4000-4099 | does not connect again: something must be changed first |
| 4100-4199 | connects again after a pause |
| 4200-4299 | connects again at once |
| 4300-4399 | does not connect again; in a `pusher:error` alone it means that one command was refused |

"""


def read_rows():
    rows = []
    with open(TABLE, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.startswith("WIRE_ERROR("):
                continue
            found = ROW.match(line)
            if not found:
                sys.exit("%s:%d: not a row that docs.py can read" % (TABLE, number))
            rows.append(found.groups())
    if not rows:
        sys.exit("%s: no rows" % TABLE)
    return rows


def cell(text):
    return text.replace('\\"', '"').replace("\\\\", "\\").replace("|", "\\|")


def page(rows):
    out = [HEAD, "| code | text | `type` | `status` | in the source |\n", "|---|---|---|---|---|\n"]
    for name, code, kind, status, text in rows:
        out.append("| %s | %s | %s | %s | `WIRE_%s` |\n" % (
            "`null`" if code == "WIRE_NULL" else code, cell(text), cell(kind) or "–",
            status if kind else "–", name))
    return "".join(out)



TYPES = {
    "BOOL": "boolean", "U8": "integer", "U16": "integer", "U32": "integer", "U64": "integer",
    "I32": "integer", "F64": "number", "STR": "text", "U32_OPT": "integer", "U64_OPT": "integer",
    "STR_OPT": "text", "STR_UNSET": "text", "COUNT_OPT": "integer or none", "LIST": "list of texts",
    "NODES": "list of `host:port`", "OCTAL": "octal mode", "WORKERS": "integer or `auto`",
    "TREE": "object",
}
APP_TYPES = {"TEXT": "text", "FLAG": "boolean", "COUNT": "integer", "BIG_COUNT": "integer",
             "UNENFORCED": "integer", "SPECIAL": "object or list", "BEYOND": "any"}
PLACES = {"OUTER": "`%s`", "LIMITS": "`policy.limits.%s`", "FEATURES": "`policy.features.%s`",
          "CHANNELS": "`policy.channels.%s`", "POLICY": "`policy.%s`"}


def calls(text, macro):
    """Arguments of each use of the macro: words as they stand, literals joined and without quotes."""
    found = []
    token = re.compile(r'\s*(?:("(?:\\.|[^"\\])*")|([\w#-]+)|(,)|(\)))')
    for start in re.finditer(r"\b%s\(" % macro, text):
        at, args, now = start.end(), [], []
        while True:
            m = token.match(text, at)
            if not m:
                sys.exit("%s: a row that docs.py cannot read: %s" % (macro, text[start.start():at + 60]))
            at = m.end()
            if m.group(1) is not None:
                now.append(("text", m.group(1)[1:-1].replace('\\"', '"').replace("\\\\", "\\")))
            elif m.group(2) is not None:
                now.append(("word", m.group(2)))
            else:
                args.append(now)
                now = []
                if m.group(4):
                    break
        found.append((start.start(), args))
    return found


def joined(arg, values):
    """A literal, after the words that are parameters of the macro around it were put in."""
    return "".join(values.get(t, t) if kind == "word" else t for kind, t in arg)


def definitions(name):
    """A table of src/config without comments and broken lines."""
    with open(os.path.join(CONFIG, name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S).replace("\\\n", " ")


def option_rows():
    text = definitions("options.def")
    define = re.search(r"#define TLS_BLOCK\(([^)]*)\)(.*)", text)
    names = [n.strip() for n in define.group(1).split(",")]
    body = define.group(2)
    text = text.replace(define.group(0), " " * len(define.group(0)))
    rows = [(at, [joined(a, {}) for a in args]) for at, args in calls(text, "OPTION")]
    for at, args in calls(text, "TLS_BLOCK"):
        values = dict(zip(names, (joined(a, {}) for a in args)))
        rows += [(at, [joined(a, values) for a in inner]) for _, inner in calls(body, "OPTION")]
    return [row for _, row in sorted(rows, key=lambda r: r[0])]


def plain(text):
    return text.replace("|", "\\|")


def option_line(row):
    _, path, kind, default, env, effect, reload, sentence = row
    sentence = "" if sentence == "No effect" else sentence
    mark = {"EXPLICIT": " (written)", "ACCEPT": " (no effect)", "NOTE": " (no effect)"}.get(effect, "")
    names = ", ".join("`%s`" % e for e in env.split(",")) if env else ""
    default = "" if default == "null" else "`%s`" % default if default else "empty"
    return "| `%s` | %s | %s | %s | %s | %s%s |\n" % (
        path, TYPES[kind], plain(default), names, reload.lower(), plain(sentence),
        mark if sentence else mark.strip())


def option_tables():
    groups = {}
    for row in option_rows():
        parts = row[1].split(".")
        groups.setdefault(parts[0] if len(parts) > 1 else "", []).append(row)
    out = []
    for name in sorted(groups):
        out.append("## %s\n\n" % ("`%s`" % name if name else "The server"))
        out.append("| key | type | default | variable | reload | meaning |\n|---|---|---|---|---|---|\n")
        out += [option_line(row) for row in groups[name]]
        out.append("\n")
    return "".join(out[:-1])


def app_table():
    limits = {"OPT_" + row[0]: row[1] for row in option_rows()}
    out = ["| flat key | nested key | type | else | meaning |\n|---|---|---|---|---|\n"]
    for _, args in calls(definitions("app_fields.def"), "APP_FIELD"):
        name, place, kind, _, limit, sentence = [joined(a, {}) for a in args]
        out.append("| `%s` | %s | %s | %s | %s |\n" % (
            name, PLACES[place] % name, APP_TYPES[kind],
            "`%s`" % limits[limit] if limit in limits else "", plain(sentence)))
    return "".join(out)


def alias_table():
    rows = calls(definitions("scope.def"), "ALIAS")
    return "| written | read as |\n|---|---|\n" + "".join(
        "| `%s` | `%s` |\n" % (joined(a[0], {}), joined(a[1], {})) for _, a in rows)


def block_table():
    rows = calls(definitions("scope.def"), "SUBTREE")
    return "| block | what is not provided |\n|---|---|\n" + "".join(
        "| `%s` | %s |\n" % (joined(a[0], {}), joined(a[2], {})) for _, a in rows)


def config_page():
    with open(os.path.join(ROOT, "docs", "configuration.md.in"), encoding="utf-8") as f:
        text = f.read()
    for mark, table in (("@OPTIONS@\n", option_tables), ("@APPS@\n", app_table),
                        ("@ALIASES@\n", alias_table), ("@BLOCKS@\n", block_table)):
        if mark not in text:
            sys.exit("docs/configuration.md.in: no line %s" % mark.strip())
        text = text.replace(mark, table())
    return text


# ---- metrics -------------------------------------------------------------------------------

METRICS_HEAD = """# Metrics

Made by `scripts/docs.py` from `src/metrics/metrics.def` and `labels.def`. Change the tables, then run
the script.

`GET /metrics` on the metrics listener (`metrics.host`, `metrics.port`: 9601) answers in the text
format 0.0.4 of Prometheus. The prefix (`metrics.prometheus.prefix`, by default `sockudo_`) stands
before every name but those of the process. [monitoring](../monitoring/README.md) has a dashboard
and alerts.

- `app_id` is the id of a configured app, `unknown` (before the app is known) or `global` (limits of
  the node). `port` is the metrics port. No label holds a channel, a user, a socket or an address,
  and all other values are those below, so nobody outside can create series.
- A configured app has its series from the start. Wide families show what has happened.
- Counters begin at 0 with the process and are those of one node. Histograms are in milliseconds and
  have `_bucket`, `_sum` and `_count`.
- `active_channels` counts a channel once on each node that has a subscriber of it.
- `app_cache_total` stays empty with the app manager `memory`, which has nothing to cache. What names a
  broker or other nodes moves only with such a driver; questions to other nodes are not asked at all,
  so `horizontal_adapter_*` stay 0.

"""
SHOWN = re.compile(r'\{"(\w+)", "(\w+)"\}')
PROCESS = re.compile(r'\{S\("(process_\w+)"\), NULL, "([^"]+)", "(\w+)",')
SORTS = [("APP", "Of an app", 3, 4), ("SHARE", "Of an app, when it has happened", 3, 5),
         ("ZERO", "Of an app, for dashboards that exist", 0, 0), ("NODE", "Of the node", 4, 7),
         ("READ", "Of the node, asked for at the scrape", 4, 7)]


def metrics_source(name):
    with open(os.path.join(ROOT, "src", "metrics", name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)


def metric_labels(sort, args, first, last, shown, values):
    """The cell of one row: names with their values."""
    out = ["`app_id`"] if sort in ("APP", "SHARE", "ZERO") else []
    for name in args[first:last]:
        if name == "none":
            continue
        out.append("`%s`: %s" % (shown.get(name, name), ", ".join("`%s`" % v for v in values[name])))
        if name == "limiter_type":
            out.append("`request_context`: `http_api`, `websocket_upgrade`, `unknown`")
    if sort in ("APP", "SHARE", "ZERO") or args[3] == "PORT":
        out.append("`port`")
    return "; ".join(out) or "–"


def metrics_page():
    table, writer, values = metrics_source("metrics.def"), metrics_source("write.c"), {}
    for label, _, text in ([joined(a, {}) for a in args] for _, args in calls(
            metrics_source("labels.def"), "VALUE")):
        values.setdefault(label, []).append(text)
    shown = dict(SHOWN.findall(writer))
    out, line = [METRICS_HEAD], "| %s | %s | %s | %s |\n"
    head = line % ("name", "type", "labels", "meaning") + "|---|---|---|---|\n"
    for sort, title, first, last in SORTS:
        out.append("## %s\n\n%s" % (title, head))
        for _, raw in calls(table, sort):
            args = [joined(a, {}) for a in raw]
            kind = "histogram" if args[2].startswith("MS") else args[2].lower()
            out.append(line % ("`%s`" % args[1], kind, metric_labels(sort, args, first, last, shown, values),
                               plain(args[-1])))
        if sort == "READ":
            out.append(line % ("`build_info`", "gauge", "`version`; `commit`", "1"))
        out.append("\n")
    out.append("## Of the process, without prefix\n\n" + head)
    rows = PROCESS.findall(writer)
    if len(rows) != 6 or len(shown) < 5:
        sys.exit("docs.py cannot read src/metrics/write.c any more")
    out += [line % ("`%s`" % name, kind, "–", text) for name, text, kind in rows]
    return "".join(out)


PAGES = [("docs/errors.md", lambda: page(read_rows())), ("docs/configuration.md", config_page),
         ("docs/metrics.md", metrics_page)]


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: scripts/docs.py [--check]")
    stale = []
    for name, make in PAGES:
        path, text, found = os.path.join(ROOT, name), make(), ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                found = f.read()
        if found == text:
            continue
        stale.append(name)
        if not sys.argv[1:]:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    if stale and sys.argv[1:]:
        sys.exit("not what the tables say: %s; run scripts/docs.py" % " ".join(stale))


if __name__ == "__main__":
    main()
