#!/bin/sh
# scripts/fuzz-smoke.sh [SECONDS] - builds every tests/fuzz/*.c with clang, libFuzzer, ASan and UBSan
# and runs all of them, on their corpus, for SECONDS in sum (default 60). What it finds is kept in the
# folder FUZZ_CORPUS (default build-fuzz/corpus) and comes first next time.
set -eu
cd "$(dirname "$0")/.."
total=${1:-60}
out=build-fuzz
corpus=${FUZZ_CORPUS:-$out/corpus}
command -v clang >/dev/null || { echo "fuzz: clang is missing (make install-test)" >&2; exit 1; }
mkdir -p $out/obj $out/artifacts

flags="-std=gnu11 -g -O1 -D_GNU_SOURCE -DSOCKUDO_VERSION='\"fuzz\"' -Isrc -Itests -I$out -fno-omit-frame-pointer"
flags="$flags -fno-sanitize-recover=undefined $(pkg-config --cflags openssl jansson zlib libxxhash libcurl libpcre2-8)"
libs="$(pkg-config --libs openssl jansson zlib libxxhash libcurl libpcre2-8) -lpthread -lm"

scripts/embed.py src/api/status.html $out/status_page.generated.h
# The library of the sources: one object per file, made again when it or a header is newer.
newest_header=$(find src -name '*.h' -o -name '*.def' | xargs ls -t | head -1)
for f in $(scripts/sources.sh lib src); do
    o=$out/obj/$(echo "$f" | tr / _).o
    if [ ! -f "$o" ] || [ "src/$f" -nt "$o" ] || [ "$newest_header" -nt "$o" ]; then
        echo "$f $o"
    fi
done | xargs -r -P "$(nproc)" -n 2 sh -c \
    "clang $flags -fsanitize=fuzzer-no-link,address,undefined -c src/\$0 -o \$1"
objects=
for f in $(scripts/sources.sh lib src); do objects="$objects $out/obj/$(echo "$f" | tr / _).o"; done
rm -f $out/lib.a
# shellcheck disable=SC2086
ar rcs $out/lib.a $objects

targets=$(cd tests/fuzz 2>/dev/null && ls ./*.c 2>/dev/null | sed 's|^\./||; s|\.c$||' || true)
[ -n "$targets" ] || { echo "fuzz: no targets" >&2; exit 1; }
newest=$(ls -t $out/lib.a $objects | head -1)
for t in $targets; do
    if [ ! -f $out/"$t" ] || [ tests/fuzz/"$t".c -nt $out/"$t" ] || [ "$newest" -nt $out/"$t" ]; then
        echo "$t"
    fi
done | xargs -r -P "$(nproc)" -n 1 sh -c \
    "clang $flags -fsanitize=fuzzer,address,undefined tests/fuzz/\$0.c $out/lib.a $libs -o $out/\$0"

count=$(echo "$targets" | wc -w)
each=$((total / count))
[ $each -ge 1 ] || each=1
failed=0
for t in $targets; do
    mkdir -p "$corpus/$t"
    dict=
    [ -f tests/fuzz/"$t".dict ] && dict="-dict=tests/fuzz/$t.dict"
    seeds=
    [ -d tests/fuzz/corpus/"$t" ] && seeds=tests/fuzz/corpus/$t
    # shellcheck disable=SC2086
    if $out/"$t" -max_total_time=$each -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix=$out/artifacts/"$t"- $dict "$corpus/$t" $seeds >$out/"$t".log 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' $out/"$t".log)
        edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' $out/"$t".log | tail -1)
        echo "ok   $t (${runs:-0} runs, ${edges:-0} edges)"
    else
        failed=$((failed + 1))
        echo "FAIL $t"
        tail -40 $out/"$t".log
    fi
done
echo "fuzz: $((count - failed)) passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
