#!/usr/bin/env python3
"""scripts/lint.py - rules of the house that a compiler does not know.

Layers (src/LAYERS), own header first, header guards and first lines, functions nobody may use,
lines over 100 columns, tabs and trailing blanks, TODO without an issue number.
"""
import fnmatch
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BANNED = {
    "gets": "fgets", "strcpy": "buf", "strcat": "buf", "strncpy": "memcpy", "strncat": "buf",
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "strtok": "a loop over str", "atoi": "strtol",
    "atol": "strtol", "atof": "strtod", "alloca": "an arena", "gmtime": "gmtime_r",
    "localtime": "localtime_r", "asctime": "strftime", "ctime": "strftime", "rand": "random bytes",
    "tmpnam": "mkstemp", "mktemp": "mkstemp", "system": "nothing", "popen": "nothing",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
problems = []


def complain(path, line, text):
    problems.append("%s:%d: %s" % (os.path.relpath(path, ROOT), line, text))


def read_layers():
    layers, allows, libraries = {}, set(), []
    with open(os.path.join(ROOT, "src", "LAYERS"), encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "layer":
                layers.update((folder, int(words[1])) for folder in words[2:])
            elif words[0] == "allow":
                allows.add((words[1], words[2]))
            elif words[0] == "library":
                libraries.append((words[1], words[2:]))
    return layers, allows, libraries


def without_comments(text):
    """Comments and literals become blanks; lines stay where they are."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def check_text(path, text, is_c):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > (100 if is_c else 120):
            complain(path, number, "%d columns" % len(line))
        if line != line.rstrip():
            complain(path, number, "blanks at the end")
        if is_c and "\t" in line:
            complain(path, number, "a tab")
        if "TODO" in line and not re.search(r"TODO\(#\d+\):", line) and "lint" not in path:
            complain(path, number, "TODO without an issue number")
    if text and not text.endswith("\n"):
        complain(path, text.count("\n") + 1, "no newline at the end")


def check_banned(path, code):
    for found in BANNED_CALL.finditer(code):
        complain(path, code.count("\n", 0, found.start()) + 1,
                 "%s() is not used here; use %s" % (found.group(1), BANNED[found.group(1)]))


def check_guard(path, name, text):
    guard = re.sub(r"\W", "_", name).upper()
    if "#ifndef %s\n#define %s\n" % (guard, guard) not in text:
        complain(path, 1, "header guard %s is missing" % guard)


def check_first_lines(path, name, text, has_own_header):
    own = '#include "%s.h"' % name[:-2]
    if text.startswith("/* %s - " % name) or text.startswith("/* "):
        pass
    elif not (name.endswith(".c") and has_own_header and text.startswith(own)):
        complain(path, 1, "begins neither with a comment nor with its own header")
    if name.endswith(".c") and has_own_header:
        first = re.search(r'^#include .*$', text, re.M)
        if first and first.group(0) != own:
            complain(path, text.count("\n", 0, first.start()) + 1, "the own header comes first")


def check_includes(path, name, text, rules):
    layers, allows, libraries = rules
    folder = name.split("/")[0] if "/" in name else None
    for found in re.finditer(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.M):
        line = text.count("\n", 0, found.start()) + 1
        kind, target = found.groups()
        if kind == "<":
            for prefix, users in libraries:
                if target.startswith(prefix) and not any(fnmatch.fnmatch(name, u) for u in users):
                    complain(path, line, "<%s> belongs to %s" % (target, " ".join(users)))
            continue
        other = target.split("/")[0] if "/" in target else None
        if other is None:
            if target != "drivers.def" and not target.endswith(".generated.h"):
                complain(path, line, 'include "%s" with its folder' % target)
            continue
        if folder is None or other == folder or (folder, target) in allows:
            continue
        if other not in layers or folder not in layers:
            complain(path, line, "folder %s or %s is not in src/LAYERS" % (folder, other))
        elif layers[other] >= layers[folder]:
            complain(path, line, "%s (layer %d) includes %s (layer %d)" % (
                folder, layers[folder], target, layers[other]))
        elif target.endswith("/driver.h"):
            complain(path, line, "%s is private to its folder" % target)


def files_of_git():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    if out.returncode == 0:
        return [f for f in out.stdout.split("\n") if f and os.path.isfile(os.path.join(ROOT, f))]
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [d for d in folders if d not in (".git", "node_modules", ".venv", "__pycache__")
                      and d != "build" and not d.startswith("build-")]
        found += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return found


def main():
    rules = read_layers()
    for rel in files_of_git():
        path = os.path.join(ROOT, rel)
        is_c = rel.endswith((".c", ".h"))
        if not is_c and not rel.endswith((".py", ".sh", ".js", ".mjs")):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        check_text(path, text, is_c)
        if rel.endswith(".sh") and subprocess.run(["sh", "-n", path], check=False).returncode:
            complain(path, 1, "the shell cannot read it")
        if not is_c:
            continue
        if rel.startswith("src/"):
            check_banned(path, without_comments(text))
            name = rel[4:]
            if name.endswith(".h"):
                check_guard(path, name, text)
            check_first_lines(path, name, text, os.path.exists(path[:-2] + ".h"))
            check_includes(path, name, text, rules)
    for p in problems:
        print(p)
    print("lint: %d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
