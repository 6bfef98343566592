#!/usr/bin/env python3
"""scripts/man.py PROGRAM TEMPLATE OUT - writes sockudo(8).

Version, synopsis, options and the choice of a file are what the program itself says (--version,
--help); everything else stands in the template (packaging/sockudo.8.in).
"""
import re
import subprocess
import sys

OPTION = re.compile(r"^ {2,}((?:-\w, )?--[\w-]+(?: [A-Z]+)?) +(\S.*)$", re.M)


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def synopsis(usage):
    """-c FILE and [--x] as roff: what is typed in bold, what is filled in slanted."""
    out = []
    for word in usage.split():
        found = re.match(r"^(\[?)([^\]]*)(\]?)$", word)
        left, body, right = found.groups()
        face = "I" if body.isupper() else "B"
        out.append("%s\\f%s%s\\fR%s" % (left, face, escape(body), right))
    return " ".join(out)


def option(names, text):
    marked = re.sub(r"(--?[\w-]+)", lambda m: "\\fB" + escape(m.group(1)) + "\\fR", names)
    marked = re.sub(r" ([A-Z]+)$", r" \\fI\1\\fR", marked)
    return ".TP\n%s\n%s.\n" % (marked, escape(text[0].upper() + text[1:]))


def unfolded(paragraph):
    """Lines of --help; one that is indented far goes on with the one before it."""
    return re.sub(r"\n {12,}(?!-)", " ", paragraph).split("\n")


def read_help(text):
    """Usage, options as (names, sentence), and the lines of what follows."""
    usage, *rest = text.rstrip("\n").split("\n\n")
    options = [OPTION.match(line) for p in rest if OPTION.match(p) for line in unfolded(p)]
    prose = [line for p in rest if not OPTION.match(p) for line in p.split("\n")]
    if not usage.startswith("usage: ") or not options or not all(options) or not prose:
        sys.exit("man.py: --help is not usage, options and files")
    return usage[len("usage: "):], [found.groups() for found in options], prose


def main():
    program, template, target = sys.argv[1:]
    usage, options, prose = read_help(output(program, "--help"))
    with open(template, encoding="utf-8") as f:
        page = f.read()
    for mark, text in (("VERSION", output(program, "--version").split()[-1]),
                       ("SYNOPSIS", synopsis(usage)),
                       ("OPTIONS", "".join(option(*o) for o in options).rstrip("\n")),
                       ("FILES", "\n".join(escape(line) for line in prose))):
        page = page.replace("@%s@" % mark, text)
    with open(target, "w", encoding="utf-8") as f:
        f.write(page)


if __name__ == "__main__":
    main()
