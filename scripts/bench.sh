#!/bin/sh
# scripts/bench.sh - runs the benchmark.
cd "$(dirname "$0")/.." || exit 1
exec bench/run.py "$@"
