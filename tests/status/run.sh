#!/bin/sh
# tests/status/run.sh SERVER - the status page: who gets it, then how it looks in the Chromium of the
# system. PICTURES=FOLDER keeps what the browser saw. Versions are pinned by package-lock.json.
set -u
SOCKUDO=$(realpath "$1")
export SOCKUDO
cd "$(dirname "$0")" || exit 1
[ -x "$SOCKUDO" ] || { echo "status: no server at $SOCKUDO" >&2; exit 1; }
./access.py "$SOCKUDO" || exit 1
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser)} ||
    { echo "status: no chromium; install it or set CHROMIUM" >&2; exit 77; }
export CHROMIUM
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || exit 1
fi
exec node --test --test-concurrency=1
