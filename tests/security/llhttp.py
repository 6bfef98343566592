#!/usr/bin/env python3
"""tests/security/llhttp.py READER - SEC-17: what we accept, Node's parser reads alike.

READER is tests/support/http1_read. Every request of the corpus has a second one behind it. Method,
target and body of what we accept are those that llhttp reads; we refuse what we must; and llhttp
accepts that only where it is listed, if it is at least as strict as the one that the list was made
with. (That the server answers once and closes: run.py, smuggling.)
"""
import base64
import itertools
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

from corpus import ACCEPTED, NEXT, REFUSED
from kit import Problem, expect

LISTED_WITH = 9  # major version of llhttp, of newer Node 20s; that of Debian 12 takes more
HERE = os.path.dirname(os.path.abspath(__file__))


def our_readings(reader, inputs):
    data = b"".join(struct.pack(">I", len(i)) + i for i in inputs)
    out = subprocess.run([reader], input=data, stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def node_readings(inputs):
    data = b"".join(base64.b64encode(i) + b"\n" for i in inputs)
    out = subprocess.run(["node", os.path.join(HERE, "llhttp.mjs")], input=data, stdout=subprocess.PIPE,
                         check=True, timeout=60).stdout
    return [json.loads(line) for line in out.splitlines()]


def mutants(count):
    """Some bytes of good and bad requests, put together anew; the same in every run."""
    rng, made = random.Random(17), []
    texts = ACCEPTED + [text for text, _, _ in REFUSED]
    texts = [t for t in texts if len(t) < 600]
    bits = [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"0", b"chunked", b"\x80",
            b"\x7f", b"1", b"\"", b"x"]
    while len(made) < count:
        text = rng.choice(texts) + NEXT
        for _ in range(rng.randrange(1, 3)):
            at = rng.randrange(len(text))
            way = rng.randrange(4)
            if way == 0:
                text = text[:at] + rng.choice(bits) + text[at:]
            elif way == 1:
                text = text[:at] + text[at + 1:]
            elif way == 2:
                text = text[:at] + rng.choice(bits) + text[at + 1:]
            else:
                other = rng.choice(texts)
                text = text[:at] + other[rng.randrange(len(other)):]
        made.append(text)
    return made


def agree(text, our, their, methods):
    """Request for request. llhttp may stop earlier at a method that it does not know, or at a TAB behind
    a coding."""
    for ours, theirs in itertools.zip_longest(our, their[:len(our)]):
        if theirs is None:
            return ours["method"] not in methods or re.search(rb"chunked[ \t]*\t[ \t]*\r\n", text, re.I)
        if ours != theirs:
            return False
    return True


def readings_agree(reader):
    """Nothing that we accept is read otherwise, also of mutants; the lists are as they say."""
    methods, version = json.loads(subprocess.check_output(
        ["node", "-p", "JSON.stringify([http.METHODS, process.versions.llhttp])"]))
    is_listed = int(version.split(".")[0]) >= LISTED_WITH
    methods = {m.encode().hex() for m in methods}
    inputs = [text + NEXT for text, _, _ in REFUSED] + [text + NEXT for text in ACCEPTED] + mutants(3000)
    ours, theirs = our_readings(reader, inputs), node_readings(inputs)
    expect(len(ours) == len(theirs) == len(inputs), "readings are missing")
    wrong = []
    for i, (text, our, their) in enumerate(zip(inputs, ours, theirs)):
        n = len(our["requests"])
        if not agree(text, our["requests"], their["requests"], methods):
            wrong.append("read otherwise: %r: %r, llhttp %r" % (text, our, their))
        if i < len(REFUSED):
            _, status, differs = REFUSED[i]
            if n or our["end"] != status:
                wrong.append("not refused with %d: %r: %r" % (status, text, our))
            if is_listed and (len(their["requests"]) > 0) != (differs is not None):
                wrong.append("listed as %r: %r, llhttp %r" % (differs, text, their))
        elif i < len(REFUSED) + len(ACCEPTED) and n == 0:
            wrong.append("refused: %r: %r" % (text, our))
    for line in wrong:
        print("     " + line[:600])
    expect(not wrong, "%d of %d inputs" % (len(wrong), len(inputs)))
    return "%d inputs, %d of them accepted by both, llhttp %s" % (
        len(inputs), sum(bool(o["requests"]) for o in ours), version)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tests/security/llhttp.py READER")
    if not shutil.which("node"):
        print("skip: no node")
        return 77
    try:
        print("ok   readings_agree: " + readings_agree(os.path.abspath(sys.argv[1])))
    except (Problem, OSError, subprocess.SubprocessError, ValueError) as problem:
        print("FAIL readings_agree: %s" % problem)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
