#!/bin/sh
# scripts/check.sh - unit, interleaving, talk and start tests with ASan and UBSan.
set -u
cd "$(dirname "$0")/.."
scripts/build.sh asan || exit 1
failed=0
meson test -C build-asan --no-rebuild --print-errorlogs || failed=1
tests/talk/run.py build-asan/sockudo || failed=1
tests/start/run.py build-asan/sockudo || failed=1
exit $failed
