#!/usr/bin/env python3
"""tests/package/hardening.py [BUILD] - is the release build as hard as security.md §4 asks (SEC-31)?

Looks at the finished program, at the flags of every source, and at which functions of the
signature code call memcmp or str*. BUILD is a build folder of the release variant (build/).
"""
import glob
import json
import os
import re
import subprocess
import sys

FLAGS = """-O2 -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE
    -Werror=format-security -D_FORTIFY_SOURCE=3 -Wvla -Wframe-larger-than=8192""".split()
X86_FLAGS = {"-fcf-protection=full"}
GCC_FLAGS = ["-ftrivial-auto-var-init=zero"]  # clang 14 refuses it

# The code of signatures and tokens is what calls crypto_equal; these have to be among it.
SIGNATURES = {"api_auth", "pusher_api_sign", "pusher_sign"}
# Functions there that may compare bytes as they please: what they compare is no secret.
COMPARES_NO_SECRET = {
    "api_auth": ("auth_head", "auth_body"),
    "pusher_api_sign": ("add_new", "path_variants", "query_text"),
}
COMPARE = re.compile(r"^(__)?(memcmp|bcmp|str(n?casecmp|n?cmp|coll|str|spn|pbrk))(_chk)?$")
failures = []


def expect(good, text):
    print("%-4s %s" % ("ok" if good else "FAIL", text))
    if not good:
        failures.append(text)


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C")).stdout


def undefined_symbols(program):
    names = set()
    for line in output("readelf", "-W", "--dyn-syms", program).splitlines():
        words = line.split()
        if len(words) >= 8 and words[6] == "UND":
            names.add(words[7].split("@")[0])
    return names


def check_program(program):
    header = output("readelf", "-W", "-h", program)
    segments = output("readelf", "-W", "-l", program)
    dynamic = output("readelf", "-W", "-d", program)
    stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}(\S+)", segments)
    symbols = undefined_symbols(program)
    fortified = sorted(s for s in symbols if re.match(r"__\w+_chk$", s))
    expect("Type:" in header and "DYN" in header and "PIE" in dynamic, "position independent (PIE)")
    expect("GNU_RELRO" in segments, "relocations read-only (RELRO)")
    expect("BIND_NOW" in dynamic and "NOW" in dynamic, "bound at start (NOW)")
    expect(stack is not None and "E" not in stack.group(1), "stack not executable")
    expect(not re.search(r"LOAD.*\bRWE\b", segments), "no segment writable and executable")
    expect("TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic,
           "no text relocations, no run path")
    expect("__stack_chk_fail" in symbols, "stack canaries")
    expect(len(fortified) >= 3, "fortified calls: " + " ".join(fortified))
    expect(not symbols & {"gets", "strcpy", "strcat", "sprintf", "system", "popen", "execve"},
           "no call that cannot be made safe")


def check_flags(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = [c for c in json.load(f) if re.search(r"\.\./src/|(^|/)src/", c["file"])]
    expect(len(commands) > 40, "%d sources of the server are built" % len(commands))
    wanted = FLAGS + ([] if "clang" in commands[0]["command"].split()[0] else GCC_FLAGS)
    if os.uname().machine not in ("x86_64", "i686"):
        wanted = [flag for flag in wanted if flag not in X86_FLAGS]
    for flag in wanted:
        without = [c["file"] for c in commands if flag not in c["command"].split()]
        expect(not without, "%s in every source%s" % (flag, "".join(" not " + f for f in without[:3])))
    levels = {re.findall(r"_FORTIFY_SOURCE(?:=\d)?", c["command"])[-1] for c in commands}
    expect(levels == {"_FORTIFY_SOURCE=3"}, "no flag lowers the level of fortification")


def calls(obj):
    """(function, called symbol) for each call through a relocation."""
    function, found = None, []
    for line in output("objdump", "-dr", obj).splitlines():
        head = re.match(r"^[0-9a-f]+ <(\S+)>:$", line)
        reloc = re.search(r"\sR_\w+\s+(\w+)", line)
        if head:
            function = re.sub(r"\.(part|isra|constprop|cold)\b.*", "", head.group(1))
        elif reloc:
            found.append((function, reloc.group(1)))
    return found


def check_signatures(build):
    folder = os.path.join(build, "src", "libsockudo_core.a.p")
    seen = set()
    for path in sorted(glob.glob(os.path.join(folder, "*.o"))):
        name = os.path.basename(path)[:-len(".c.o")]
        found = calls(path)
        if not any(s == "crypto_equal" for _, s in found):
            continue
        seen.add(name)
        bad = sorted({"%s calls %s" % (f, s) for f, s in found
                      if COMPARE.match(s) and f not in COMPARES_NO_SECRET.get(name, ())})
        expect(not bad, "%s.c compares no secret byte by byte%s" % (name, "".join(": " + b for b in bad)))
    expect(SIGNATURES <= seen, "compared by crypto_equal: " + " ".join(sorted(SIGNATURES)))
    inside = {s for f, s in calls(os.path.join(folder, "base_crypto.c.o")) if f == "crypto_equal"}
    expect("CRYPTO_memcmp" in inside and not any(COMPARE.match(s) for s in inside),
           "crypto_equal takes the time of the length (CRYPTO_memcmp)")


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    check_program(os.path.join(build, "sockudo"))
    check_flags(build)
    check_signatures(build)
    if failures:
        sys.exit("hardening: %d failed" % len(failures))
    print("hardening: passed")


if __name__ == "__main__":
    main()
