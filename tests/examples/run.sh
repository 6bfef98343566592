#!/bin/sh
# tests/examples/run.sh SERVER - the chat example, and pusher-js itself, in the Chromium of the system.
# PICTURES=FOLDER keeps what the browser saw. Versions are pinned by the two package-lock.json.
set -u
SOCKUDO=$(realpath "$1")
export SOCKUDO
cd "$(dirname "$0")" || exit 1
[ -x "$SOCKUDO" ] || { echo "examples: no server at $SOCKUDO" >&2; exit 1; }
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser)} ||
    { echo "examples: no chromium; install it or set CHROMIUM" >&2; exit 1; }
export CHROMIUM

for folder in . ../../examples/chat; do
    if [ ! -e $folder/node_modules/.package-lock.json ] ||
        [ $folder/package-lock.json -nt $folder/node_modules/.package-lock.json ]; then
        (cd $folder && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || exit 1
    fi
done
exec node --test --test-concurrency=1
