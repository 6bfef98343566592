#!/bin/sh
# tests/clients/run.sh SERVER - the official clients and server libraries against a server.
# Versions are pinned by tests/clients/node/package-lock.json and .../python/requirements.txt.
set -u
SOCKUDO=$(realpath "$1")
export SOCKUDO
cd "$(dirname "$0")" || exit 1
[ -x "$SOCKUDO" ] || { echo "clients: no server at $SOCKUDO" >&2; exit 1; }
venv=../../build-clients/venv
failed=0

if [ ! -e node/node_modules/.package-lock.json ] ||
    [ node/package-lock.json -nt node/node_modules/.package-lock.json ]; then
    (cd node && npm ci --no-audit --no-fund --loglevel=error) || exit 1
fi
if [ ! -e $venv/done ] || [ python/requirements.txt -nt $venv/done ]; then
    python3 -m venv $venv && $venv/bin/pip install -q --disable-pip-version-check \
        -r python/requirements.txt && touch $venv/done || exit 1
fi

(cd node && node --test --test-concurrency=1) || failed=1
$venv/bin/python python/test_pusher.py || failed=1
exit $failed
