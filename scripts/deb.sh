#!/bin/sh
# scripts/deb.sh [OUT] - builds the Debian package into OUT (default: dist).
# It is built in a copy, so that no output of debhelper lies in the tree.
set -eu
cd "$(dirname "$0")/.."
out=${1:-dist}
scripts/install.sh deb
mkdir -p "$out"
out=$(cd "$out" && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/sockudo-deb.XXXXXX")
trap 'rm -rf "$copy"' EXIT INT TERM

# Only what a build reads: sources, documents, licence. Folders of builds stay behind.
mkdir "$copy/sockudo"
for f in CHANGELOG.md LICENSE README.md meson.build meson_options.txt bench config debian docs examples \
    monitoring packaging scripts src; do
    cp -a "$f" "$copy/sockudo/"
done
cd "$copy/sockudo"
if ! dpkg-buildpackage --build=binary --no-sign >"$copy/log" 2>&1; then
    cat "$copy/log" >&2
    echo "deb: the package was not built" >&2
    exit 1
fi
find "$out" -maxdepth 1 \( -name 'sockudo*.deb' -o -name 'sockudo*.changes' -o -name 'sockudo*.buildinfo' \) -delete
mv "$copy"/sockudo*.deb "$copy"/sockudo*.changes "$copy"/sockudo*.buildinfo "$out/"
ls "$out"/sockudo_*.deb
