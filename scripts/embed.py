#!/usr/bin/env python3
"""scripts/embed.py PAGE.html OUT.h - the status page as a C string, and its Content-Security-Policy.

The policy names the page's one style and one script by their hashes; nothing else may load or run.
"""
import base64
import hashlib
import re
import sys


def source_of(page, tag):
    found = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), page, re.S)
    if len(found) != 1:
        sys.exit("embed.py: %d elements <%s>, one is wanted" % (len(found), tag.decode()))
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(found[0]).digest()).decode()


def literal(line):
    return '"%s"' % "".join("\\%03o" % b if b < 32 or b > 126 or b in b'"\\?' else chr(b) for b in line)


def main():
    with open(sys.argv[1], "rb") as f:
        page = f.read()
    policy = ("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
              "require-trusted-types-for 'script'" %
              (source_of(page, b"script"), source_of(page, b"style")))
    with open(sys.argv[2], "w", encoding="ascii") as f:
        f.write("/* Made by scripts/embed.py. */\n#define STATUS_PAGE_POLICY \"%s\"\n" % policy)
        f.write("static const char status_page[] =\n    %s;\n" %
                "\n    ".join(literal(line) for line in page.splitlines(keepends=True)))


main()
