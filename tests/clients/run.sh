#!/bin/sh
# tests/clients/run.sh SERVER - the official clients and server libraries against a server, Sockudo's own
# client, and the README's programs.
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

both() {
    (cd node && node --test --test-concurrency=1) || failed=1
    $venv/bin/python python/test_pusher.py || failed=1
}

# The same over TLS, with a certificate of a CA of our own.
CLIENTS_TLS=$(mktemp -d)
trap 'rm -rf "$CLIENTS_TLS"' EXIT
(
    cd "$CLIENTS_TLS" && umask 077
    new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj "/CN=Clients CA" &&
        openssl req $new -keyout key.pem -out leaf.csr -subj /CN=localhost &&
        echo "subjectAltName=DNS:localhost,IP:127.0.0.1" >leaf.ext &&
        openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile leaf.ext -out cert.pem
) 2>/dev/null || { echo "clients: openssl made no certificate" >&2; exit 1; }

both
$venv/bin/python -W ignore python/test_sockudo.py || failed=1
./readme.py "$SOCKUDO" || failed=1
echo "clients: over TLS"
NODE_EXTRA_CA_CERTS=$CLIENTS_TLS/ca.pem
export CLIENTS_TLS NODE_EXTRA_CA_CERTS
both
exit $failed
