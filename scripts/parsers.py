#!/usr/bin/env python3
"""scripts/parsers.py - every parser of bytes that others make has a fuzz target and a corpus (SEC-34).

A parser that waits for later work is named with its reason. What the targets cover, in edges, is
what scripts/fuzz-smoke.sh prints.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARSERS = {
    "HTTP head": (["http1"], "wire/http1.c"),
    "chunks": (["http1_chunks"], "wire/http1.c"),
    "frames": (["wire_ws_frame"], "wire/ws_frame.c"),
    "inflate": (["wire_ws_inflate"], "wire/ws_inflate.c"),
    "JSON": (["base_json", "base_utf8"], "base/json.c"),
    "query and signing string": (["pusher_api_sign"], "pusher/api_sign.c"),
    "forwarded list": (["wire_forwarded"], "wire/forwarded.c"),
    "origins": (["pusher_origin"], "pusher/origin.c"),
    "extension and protocol headers": (["ws_handshake"], "wire/ws_handshake.c"),
    "config": (["config_tree", "config_toml"], "config/tree.c"),
    "names, ids and members": (["pusher_member", "pusher_frames"], "pusher/member.c"),
    "job": (["webhook_job"], "webhook/job.c"),
    "envelope": ([], "cluster/envelope.c"),
    "RESP": ([], "client/redis.c"),
}


def problems():
    fuzz, named = os.path.join(ROOT, "tests", "fuzz"), set()
    for parser, (targets, source) in PARSERS.items():
        is_built = os.path.exists(os.path.join(ROOT, "src", source))
        if bool(targets) != is_built:
            yield "%s: src/%s %s" % (parser, source, "has no target" if is_built else "is gone")
        for target in targets:
            named.add(target)
            corpus = os.path.join(fuzz, "corpus", target)
            if not os.path.exists(os.path.join(fuzz, target + ".c")):
                yield "%s: tests/fuzz/%s.c is missing" % (parser, target)
            if not os.path.isdir(corpus) or not os.listdir(corpus):
                yield "%s: tests/fuzz/corpus/%s is empty" % (parser, target)
    for name in sorted(os.listdir(fuzz)):
        if name.endswith(".c") and name[:-2] not in named:
            yield "tests/fuzz/%s: which parser?" % name


def main():
    found = list(problems())
    for problem in found:
        print(problem)
    waiting = [parser for parser, (targets, _) in PARSERS.items() if not targets]
    print("parsers: %d have a fuzz target, %d problems; not built: %s" % (
        len(PARSERS) - len(waiting), len(found), ", ".join(waiting) or "none"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
