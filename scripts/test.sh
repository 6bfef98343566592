#!/bin/sh
# scripts/test.sh - everything: builds, unit and talk tests under ASan and UBSan, start, reload and
# drain, real clients, webhooks, metrics, Autobahn, the examples and the status page in a browser,
# proxies in front, attacks, threads under TSan, the Debian package, fuzz smoke, lint, docs, and what
# the checklists still miss.
set -u
cd "$(dirname "$0")/.."
scripts/install.sh test || exit 1

# A step that hangs has failed; none takes a third of this on a slow machine.
LONGEST=15m

summary=
failed=0
step() {
    name=$1
    shift
    echo
    echo "== $name"
    timeout -k 30 $LONGEST "$@"
    case $? in
    0)
        summary="$summary
  passed   $name"
        ;;
    77)
        skip "$name" "it says why above"
        ;;
    124)
        failed=1
        summary="$summary
  FAILED   $name (not done after $LONGEST)"
        ;;
    *)
        failed=1
        summary="$summary
  FAILED   $name"
        ;;
    esac
}
skip() {
    summary="$summary
  skipped  $1 ($2)"
}

step "build (release)" scripts/build.sh release
step "build (asan)" scripts/build.sh asan -k 0
step "unit tests (asan)" meson test -C build-asan --no-rebuild --print-errorlogs
step "talk tests (asan)" tests/talk/run.py build-asan/sockudo
step "talk tests over TLS (asan)" tests/talk/run.py --tls build-asan/sockudo
step "start tests (asan)" tests/start/run.py build-asan/sockudo
step "lifecycle" tests/lifecycle/run.py build-asan/sockudo
step "clients" tests/clients/run.sh build/sockudo
step "webhooks (asan)" tests/webhooks/run.py build-asan/sockudo
step "metrics" tests/metrics/run.py build-asan/sockudo
step "monitoring" tests/metrics/monitoring.py
step "autobahn" tests/autobahn.sh build-asan/tests/ws_echo build-asan/autobahn
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
    step "examples" tests/examples/run.sh build/sockudo
else
    skip "examples" "no chromium"
fi
step "status page" tests/status/run.sh build/sockudo
step "proxies" tests/proxies/run.py build/sockudo
step "security" tests/security/run.py build/sockudo
step "llhttp" tests/security/llhttp.py build-asan/tests/http1_read
step "threads (tsan)" scripts/check-tsan.sh
step "faults (asan)" tests/security/run.py build-asan/sockudo calls_fail one_byte_at_a_time
step "hardening" tests/package/hardening.py build
step "packaging files" tests/package/files.py build/sockudo
step "package" tests/package/run.sh
step "fuzz smoke" scripts/fuzz-smoke.sh 60
step "parsers" scripts/parsers.py
step "lint" scripts/lint.py
step "generated docs" scripts/docs.py --check
step "names in docs" scripts/check-docs.py
echo
echo "== checklists"
scripts/coverage.py
echo
echo "summary:$summary"
exit $failed
