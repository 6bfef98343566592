#!/usr/bin/env python3
"""scripts/docs.py [--check] - writes docs/errors.md from src/pusher/errors.def.

With --check nothing is written: exit 1 if the file is not what the table says.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "src", "pusher", "errors.def")
PAGE = os.path.join(ROOT, "docs", "errors.md")
ROW = re.compile(r'^WIRE_ERROR\(\s*(\w+),\s*(\w+),\s*"((?:\\.|[^"\\])*)",\s*(\d+),\s*'
                 r'"((?:\\.|[^"\\])*)"\)\s*$')
HEAD = """# What a client is told

Made by `scripts/docs.py` from `src/pusher/errors.def`. Change the table, then run the script.

An error reaches a client as `pusher:error` with `code` and `message`. Where it ends the connection,
the Close frame carries the same code. A refused subscribe is told twice: `pusher:subscription_error`
with `type`, `status` and the text, then `pusher:error`. A code of `null` means that the command
could not be understood; it never closes anything. `%s` is filled in when the error is made.

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


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: scripts/docs.py [--check]")
    text = page(read_rows())
    if not sys.argv[1:]:
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(text)
        return
    found = ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as f:
            found = f.read()
    if found != text:
        sys.exit("docs/errors.md is not what src/pusher/errors.def says; run scripts/docs.py")


main()
