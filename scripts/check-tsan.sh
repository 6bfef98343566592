#!/bin/sh
# scripts/check-tsan.sh - unit, interleaving and talk tests with ThreadSanitizer.
set -u
cd "$(dirname "$0")/.."
scripts/build.sh tsan || exit 1
failed=0
meson test -C build-tsan --no-rebuild --print-errorlogs || failed=1
TALK_WAIT=15 tests/talk/run.py -j 2 build-tsan/sockudo || failed=1
exit $failed
