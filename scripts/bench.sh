#!/bin/sh
# scripts/bench.sh - runs the benchmark if there is one.
cd "$(dirname "$0")/.." || exit 1
if [ -x bench/run.py ]; then
    exec bench/run.py "$@"
fi
if [ -x bench/run.sh ]; then
    exec bench/run.sh "$@"
fi
if [ -x build/bench/bench ]; then
    exec build/bench/bench "$@"
fi
echo "bench: no benchmark in bench/" >&2
exit 1
