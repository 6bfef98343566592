#!/usr/bin/env python3
"""scripts/coverage.py - which items of the WS, HTTP, CFG, HOOK, MET and SEC checklists no test cites.

An item counts as covered when a file below tests/ names it ("WS-28"; "WS-28...31" and
"WS-28..31" name a range). tests/later.txt lists the items that wait for later work.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ITEMS = [("WS", n) for n in range(1, 123)] + [("HTTP", n) for n in range(1, 85)]
ITEMS += [("CFG", n) for n in range(1, 87)] + [("HOOK", n) for n in range(1, 57)]
ITEMS += [("MET", n) for n in range(1, 43)] + [("SEC", n) for n in range(1, 35)]
CITED = re.compile(r"\b(WS|HTTP|CFG|HOOK|MET|SEC)-(\d+)"
                   r"(?:(?:\.\.\.?|…)(?:(?:WS|HTTP|CFG|HOOK|MET|SEC)-)?(\d+))?")


def cited():
    found = set()
    for folder, folders, files in os.walk(os.path.join(ROOT, "tests")):
        folders[:] = [d for d in folders if d not in ("node_modules", ".venv", "__pycache__", "corpus")]
        for name in files:
            if name in ("later.txt", "README.md", "package-lock.json"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8", errors="ignore") as f:
                for kind, first, last in CITED.findall(f.read()):
                    found.update((kind, n) for n in range(int(first), int(last or first) + 1))
    return found


def later():
    out = {}
    with open(os.path.join(ROOT, "tests", "later.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                item, why = line.strip().split(None, 1)
                kind, number = item.split("-")
                out[(kind, int(number))] = why
    return out


def main():
    have, wait = cited(), later()
    missing = [i for i in ITEMS if i not in have and i not in wait]
    waiting = [i for i in ITEMS if i not in have and i in wait]
    print("checklists: %d of %d items are cited by a test" % (
        sum(i in have for i in ITEMS), len(ITEMS)))
    print("not covered: %s" % (" ".join("%s-%d" % i for i in missing) or "none"))
    print("waiting for later work:%s" % ("" if waiting else " none"))
    for i in waiting:
        print("    %s-%d: %s" % (i + (wait[i],)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
