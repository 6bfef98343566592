#!/bin/sh
# tests/package/run.sh - builds the Debian package, looks at it, installs it in a throw-away system.
#
# The system is this machine seen through an overlay, in namespaces of its own (mounts, processes,
# network, cgroup): what dpkg and systemd do there is gone with it, and its ports are all free.
# installed.py is what runs inside. Root is needed; without it, or where the kernel refuses, the
# test is skipped, says so, and exits with 77.
set -u
cd "$(dirname "$0")/../.."
here=tests/package

skip() {
    echo "package: skipped, $1"
    exit 77
}
fail() {
    echo "package: $1" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || skip "it needs root"
[ -r /etc/debian_version ] || skip "this is not Debian"
scripts/install.sh package || exit 1
unshare --mount --pid --net --uts --ipc --fork true 2>/dev/null || skip "no namespaces here"

work=$(mktemp -d "${TMPDIR:-/tmp}/sockudo-package.XXXXXX")
cgroup=
cleanup() {
    [ -z "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# What "docker build" would get: no more than a clone has, and no tests.
mkdir "$work/clone" "$work/deb" "$work/system"
$here/files.py --copy "$work/clone" || fail "the tree was not copied"
echo "== build"
"$work/clone/scripts/deb.sh" "$work/deb" || exit 1
echo "== lintian"
lintian --allow-root --fail-on error,warning "$work"/deb/*.changes || fail "lintian has complaints"
echo "== install, serve, purge"
mkdir "$work/guest"
cp "$work"/deb/sockudo_*.deb "$work/guest/sockudo.deb"
cp $here/installed.py tests/talk/wsclient.py "$work/guest/"
: >"$work/console"
unified=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
init=none
if [ -x /lib/systemd/systemd ] && [ -n "$unified" ] && mkdir "$unified/sockudo-package.$$" 2>/dev/null; then
    cgroup=$unified/sockudo-package.$$
    init=systemd
fi
# The cgroup namespace begins where this child is: systemd must not see the machine's own groups.
(
    [ -z "$cgroup" ] || sh -c 'echo $PPID' >"$cgroup/cgroup.procs"
    exec timeout --signal KILL 300 unshare --mount --pid --net --uts --ipc --cgroup --fork \
        --kill-child $here/system.sh "$work" $init
)
cat "$work/console"
grep -q '^package: passed' "$work/console" || fail "failed"
