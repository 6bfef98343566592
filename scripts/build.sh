#!/bin/sh
# scripts/build.sh VARIANT [TARGET...] - configures and builds one variant.
#   release  build/        optimised and hardened: the server and the benchmark tools
#   asan     build-asan/   AddressSanitizer and UBSan, with unit tests
#   tsan     build-tsan/   ThreadSanitizer, with unit tests
# meson reads the list of sources when it configures; so it runs again when that list changed.
set -eu
cd "$(dirname "$0")/.."
variant=$1
shift
checked="-Dtests=true -Dbench=false -Dhardening=false -Db_lundef=false -Doptimization=1"
case $variant in
release)
    dir=build
    options="-Dtests=false -Dhardening=true"
    ;;
asan)
    dir=build-asan
    options="$checked -Db_sanitize=address,undefined"
    ;;
tsan)
    dir=build-tsan
    options="$checked -Db_sanitize=thread"
    ;;
*)
    echo "build.sh: unknown variant '$variant' (release, asan, tsan)" >&2
    exit 2
    ;;
esac

list_sources() {
    for d in src tests/unit tests/interleave tests/support bench; do
        [ ! -d $d ] || find $d -name '*.c'
    done | LC_ALL=C sort
}

if [ ! -f $dir/build.ninja ]; then
    # shellcheck disable=SC2086
    meson setup $dir $options
elif ! list_sources | cmp -s - $dir/sources.list; then
    meson setup --reconfigure $dir
fi
list_sources >$dir/sources.list
exec ninja -C $dir "$@"
