#!/bin/sh
# scripts/format.sh - clang-format over all C sources, in place.
set -eu
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || {
    echo "format: clang-format is missing (Debian package clang-format)" >&2
    exit 1
}
find src tests bench -name node_modules -prune -o \( -name '*.c' -o -name '*.h' \) -print0 |
    xargs -0 clang-format -i
