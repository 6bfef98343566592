#!/bin/sh
# scripts/check-tsan.sh - what has threads, with ThreadSanitizer: unit tests, talks, reloads and the
# drain. (The interleaving test plays all workers on one thread; ASan has it.)
set -u
cd "$(dirname "$0")/.."
scripts/build.sh tsan || exit 1
failed=0
meson test -C build-tsan --no-rebuild --print-errorlogs --suite unit || failed=1
TALK_WAIT=15 tests/talk/run.py -j 2 build-tsan/sockudo || failed=1
tests/lifecycle/run.py build-tsan/sockudo || failed=1
exit $failed
