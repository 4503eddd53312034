#!/usr/bin/env bash
# How a step's cost grows: doubles n, B and d each around (B, d, n, k) = (2048, 384, 8192, 32), and prints what the step
# takes beyond its screening product, and that divided by what was doubled: where the last column does not rise, the cost
# grows no faster than linearly.
#
#   tests/bench/sweep.sh [ARGUMENTS OF `regulon bench step`]      for example --precision float32 --threads 2
#
# REGULON: the program (build/regulon). REGULON_UNDER: a command that each measurement runs under.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
program=${REGULON:-$root/build/regulon}
# shellcheck disable=SC2206  # a command of several words
under=(${REGULON_UNDER:-})

# row LABEL BATCH WIDTH FEATURES UNITS: UNITS is what the cost should grow with.
row() {
  local label=$1 batch=$2 width=$3 features=$4 units=$5
  shift 5
  "${under[@]}" "$program" bench step --json --batch "$batch" --width "$width" --features "$features" --k 32 "$@" |
    python3 -c '
import json, sys

label, batch, width, features, units = sys.argv[1], *map(int, sys.argv[2:])
found = json.load(sys.stdin)
step, mean, floor, ratio = (found[name] for name in ("step_ms", "mean_ms", "floor_ms", "ratio"))
rest = mean - found["phases"]["product"]
print(f"| {label} | {batch} | {width} | {features} | {step:.1f} | {floor:.1f} | {ratio:.2f} | {rest:.1f} | "
      f"{1e3 * rest / units:.2f} |")
' "$label" "$batch" "$width" "$features" "$units"
}

echo "| doubling | B | d | n | step, ms | float32 product, ms | ratio | beyond the screening product, ms | us a unit of it |"
echo "|---|---|---|---|---|---|---|---|---|"
for features in 2048 4096 8192 16384 32768; do row n 2048 384 "$features" "$features" "$@"; done
for batch in 512 1024 2048 4096 8192; do row B "$batch" 384 8192 "$batch" "$@"; done
for width in 96 192 384 768 1536; do row d 2048 "$width" 8192 "$width" "$@"; done
