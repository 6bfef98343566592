#!/usr/bin/env python3
"""scripts/check-docs.py - what the documentation names exists.

Relative links and their headings; keys, variables, options of the command line, routes and metrics
in code spans and code blocks. Names of other programs are known by the lists below.
"""
import glob
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md", "CHANGELOG.md", "docs/*.md", "examples/*.md", "bench/*.md", "tests/*/*.md"]
# Pages for users; those about the source name files and functions instead, some are generated.
USER_PAGES = re.compile(r"README\.md|docs/(?!architecture|tour|errors|configuration)\w[\w-]*\.md|examples/README\.md")
FOREIGN_VARIABLES = re.compile(r"(PUSHER|REVERB|VITE|SOKETI|BROADCAST|NODE|CAP|APP|LD|MALLOC)_|AF_|SSL_CTX")
FOREIGN_WORDS = set("""
    channel_name_starts_with channel_name_ends_with encryption_master_key_base64 client_options
    raw_body content_type max_body_size
""".split())
FOREIGN_TEXTS = {"Address already in use"}
FILE_NAME = re.compile(r"\.(c|h|md|json|toml|def|sock|conf|cfg|service|js|mjs|py)$")
# Members of objects whose inside is not an option each: apps, webhooks, certificates.
TREES = ("app_manager.array.apps", "ssl.certificates")
problems = []


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def sources(*patterns):
    return "\n".join(read(os.path.relpath(p, ROOT)) for pattern in patterns
                     for p in sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True)) if os.path.isfile(p))


def complain(page, text):
    problems.append("%s: %s" % (page, text))


# ---- what exists ---------------------------------------------------------------------------

def option_paths():
    """Every path of options.def, TLS_BLOCK rows stand for five each, and of scope.def."""
    text = read("src/config/options.def")
    paths = set(re.findall(r'^OPTION\(\w+,\s*"([^"]+)"', text, re.M))
    members = re.findall(r'OPTION\(id##\w+, path "([^"]+)"', text)
    for block in re.findall(r'^TLS_BLOCK\(\w+,\s*"([^"]+)"', text, re.M):
        paths.update(block + member for member in members)
    paths.update(re.findall(r'^(?:ALIAS|SUBTREE)\("([^"]+)"', read("src/config/scope.def"), re.M))
    if len(paths) < 100:
        sys.exit("check-docs.py cannot read src/config/options.def any more")
    return paths


def route_patterns():
    text = read("src/api/routes.def")
    rows = re.findall(r'^ROUTE\(\s*"\w+",\s*"([^"]*)"', text, re.M)
    if len(rows) < 10:
        sys.exit("check-docs.py cannot read src/api/routes.def any more")
    return [row.split("/") for row in rows]


def metric_names():
    names = set(re.findall(r'^[A-Z_]+\(\s*\w+,\s*"(\w+)"', read("src/metrics/metrics.def"), re.M))
    if len(names) < 30:
        sys.exit("check-docs.py cannot read src/metrics/metrics.def any more")
    return names | set(re.findall(r"\bprocess_\w+", sources("src/metrics/*")))


OPTIONS = option_paths()
SECTIONS = {path.split(".")[0] for path in OPTIONS}
INNER = {".".join(p.split(".")[:n]) for p in OPTIONS for n in range(1, p.count(".") + 1)}
ROUTES = route_patterns()
METRICS = metric_names()
SOURCE = sources("src/**/*.c", "src/**/*.h", "src/**/*.def", "src/main.c")
ARGUMENTS = sources("src/config/args.c", "src/main.c")
NEAR = SOURCE + sources("examples/**/*.conf", "examples/*/*file", "examples/**/*.cfg", "examples/chat/*.mjs",
                        "examples/chat/public/*", "tests/clients/**/*.mjs", "packaging/**/*.yaml",
                        "debian/*", "scripts/*.sh", "meson_options.txt")
APP_WORDS = set(re.findall(r"\w+", sources("src/config/*.c", "src/config/*.def")))
WORDS = set(re.findall(r"\w+", NEAR))


# ---- links ---------------------------------------------------------------------------------

def anchors(page):
    found = set()
    for heading in re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return found


def check_links(page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        whole = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(ROOT, whole)):
            complain(page, "the link %s leads nowhere" % target)
        elif anchor and whole.endswith(".md") and anchor not in anchors(whole):
            complain(page, "%s has no heading #%s" % (whole, anchor))


# ---- names ---------------------------------------------------------------------------------

def is_option(path):
    path = re.sub(r"\.\*$", "", path)
    return path in OPTIONS or path in INNER or path.startswith(TREES)


def is_variable(name):
    """Those of the default app are its fields behind a prefix."""
    return name in WORDS or name in SOURCE or (
        name.startswith("SOCKUDO_DEFAULT_APP_") and name[20:] in WORDS)


def is_route(path):
    """/apps/{appId}/channels, /up, and /apps/ for all that begins so."""
    parts = [p for p in path.split("?")[0].split("/")[1:]]
    is_prefix = parts[-1] in ("", "*", "**")
    if is_prefix:
        parts = parts[:-1]

    def fits(route):
        if len(route) < len(parts) or (not is_prefix and len(route) != len(parts)):
            return False
        return all(want in ("*", got) or re.fullmatch(r"\{\w+\}", got) for want, got in zip(route, parts))
    return any(fits(route) for route in ROUTES)


def check_span(page, span, own_names=()):
    """One code span, or one line of a block; own_names are variables that the page itself sets."""
    if re.fullmatch(r"[a-z_]+(\.[a-z0-9_]+)+(\.\*)?", span) and span.split(".")[0] in SECTIONS \
            and not FILE_NAME.search(span) and not is_option(span):
        complain(page, "no option %s" % span)
    for name in re.findall(r"(?<![\w$.])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b(?!\*)", span):
        if name not in own_names and not FOREIGN_VARIABLES.match(name) and not is_variable(name):
            complain(page, "no variable %s" % name)
    if span.startswith("--") or re.match(r"(build/)?sockudo ", span):
        for flag in re.findall(r"(?<!\S)--[a-z][a-z-]*", span):
            if not re.search(re.escape(flag) + r"(?![\w-])", ARGUMENTS):
                complain(page, "no option %s of the command line" % flag)
    if re.fullmatch(r"/[\w{}*/.-]+", span):
        first = span.split("/")[1]
        if any(route[0] == first for route in ROUTES) and not is_route(span):
            complain(page, "no route %s" % span)
    for name in re.findall(r"\b(?:sockudo|process)_[a-z_]+[a-z]\b", span):
        bare = re.sub(r"_(bucket|sum|count)$", "", name.replace("sockudo_", "", 1))
        if bare not in METRICS and bare not in ("adapter", "cache", "queue", "rl"):
            complain(page, "no metric %s" % name)
    if re.fullmatch(r"[A-Z][a-z]+( \w+)+", span) and span not in SOURCE and span not in FOREIGN_TEXTS:
        complain(page, "nobody says \"%s\"" % span)
    if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", span) and not span.startswith(("sockudo_", "process_")) \
            and span not in WORDS | METRICS | FOREIGN_WORDS:
        complain(page, "nothing in the tree is called %s" % span)


def flatten(value, path=""):
    if isinstance(value, dict) and value and not path.startswith(TREES):
        for key, inner in value.items():
            yield from flatten(inner, path + "." + key if path else key)
    else:
        yield path


def check_json(page, block):
    """A block whose outer keys are sections is a configuration."""
    try:
        tree = json.loads(block)
    except ValueError as e:
        complain(page, "a JSON block does not parse: %s" % e)
        return
    if isinstance(tree, dict) and "secret" in tree:  # an app alone
        tree = {"app_manager": {"array": {"apps": [tree]}}}
    if not isinstance(tree, dict) or not set(tree) & SECTIONS:
        return
    for path in flatten(tree):
        if not is_option(path):
            complain(page, "no option %s in a JSON block" % path)
    for app in tree.get("app_manager", {}).get("array", {}).get("apps", []):
        for key in app:
            if key not in APP_WORDS:
                complain(page, "no member %s of an app" % key)


def check_names(page, text):
    own_names = set(re.findall(r"^export (\w+)=", text, re.M))
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if kind == "json":
            check_json(page, block)
        elif kind in ("sh", ""):
            for line in block.split("\n"):
                check_span(page, line.strip(), own_names)
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        check_span(page, span, own_names)


def main():
    pages = sorted({os.path.relpath(p, ROOT) for pattern in PAGES for p in glob.glob(os.path.join(ROOT, pattern))})
    for page in pages:
        text = read(page)
        check_links(page, text)
        if USER_PAGES.fullmatch(page):
            check_names(page, text)
    for problem in problems:
        print(problem)
    print("check-docs: %d pages, %d problems" % (len(pages), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
