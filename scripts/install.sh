#!/bin/sh
# scripts/install.sh build|example|test - installs the Debian packages that are missing.
# deb builds the Debian package, package also looks at it (tests/package).
# Present tools count, wherever they come from: node 18 or newer, python3 3.9 or newer with venv.
set -eu
purpose=${1:-build}
packages="build-essential meson ninja-build pkg-config libssl-dev zlib1g-dev libxxhash-dev
    libcurl4-openssl-dev libpcre2-dev"

node_is_usable() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        node -e 'process.exit(parseInt(process.versions.node, 10) >= 18 ? 0 : 1)'
}
python_is_usable() {
    command -v python3 >/dev/null &&
        python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null
}
is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

case $purpose in
build) ;;
example)
    packages=
    node_is_usable || packages="nodejs npm"
    ;;
test)
    packages="$packages libcmocka-dev libjansson-dev clang libclang-rt-14-dev"
    packages="$packages chromium nginx-light haproxy caddy prometheus openssl curl"
    python_is_usable || packages="$packages python3 python3-venv"
    python3 -c 'import yaml' 2>/dev/null || packages="$packages python3-yaml"
    node_is_usable || packages="$packages nodejs npm"
    ;;
deb) packages="$packages debhelper dpkg-dev" ;;
package)
    packages="$packages debhelper dpkg-dev lintian iproute2"
    python3 -c 'import yaml' 2>/dev/null || packages="$packages python3 python3-yaml"
    ;;
*)
    echo "install.sh: build, example, test, deb or package, not '$purpose'" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this is not Debian; make sure these are installed: $packages" >&2
    exit 0
fi

missing=
for p in $packages; do
    is_installed "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "install.sh: missing packages, and neither root nor sudo to install them. Run as root:" >&2
    echo "    apt-get install$missing" >&2
    exit 1
fi

# Debian starts a server when it is installed and at each boot. Tests want the programs alone.
policy=/usr/sbin/policy-rc.d
servers=
for p in $missing; do
    case $p in
    nginx-light) servers="$servers nginx" ;;
    haproxy | caddy | prometheus) servers="$servers $p" ;;
    esac
done
keep_servers_off() {
    [ -n "$servers" ] && [ ! -e $policy ] || return 0
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    trap '$as_root rm -f $policy' EXIT
    $as_root chmod 755 $policy
}
disable_servers() {
    [ -n "$servers" ] && [ -d /run/systemd/system ] || return 0
    # shellcheck disable=SC2086
    $as_root systemctl disable --quiet $servers
}

echo "installing Debian packages:$missing"
install_missing() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
$as_root apt-get update -q || echo "install.sh: apt-get update failed, trying with the lists at hand" >&2
keep_servers_off
if ! install_missing; then
    echo "install.sh: apt-get could not install:$missing" >&2
    exit 1
fi
disable_servers
