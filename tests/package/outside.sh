#!/usr/bin/env bash
# usage: outside.sh SOURCE BUILD CMAKE
# Installs the SDK, builds outside of the repository the plugin that README.md shows and one of each template, and
# checks and trains with them.
set -euo pipefail
source=$1 build=$2 cmake=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A fenced block of the README that opens with the given line, without that line.
block() {
  awk -v first="$1" '/^```/ { inside = 0 } inside { print } $0 == first { inside = 1 }' "$source/README.md"
}

"$cmake" --install "$build" --prefix "$scratch/sdk" >/dev/null
mkdir "$scratch/huber"
block "// huber.cpp" >"$scratch/huber/huber.cpp"
block "# CMakeLists.txt" >"$scratch/huber/CMakeLists.txt"
test -s "$scratch/huber/huber.cpp" -a -s "$scratch/huber/CMakeLists.txt"

"$cmake" -S "$scratch/huber" -B "$scratch/huber/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/sdk" >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; exit 1; }
"$cmake" --build "$scratch/huber/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

cat >"$scratch/huber.toml" <<TOML
[run]
steps = 20
[data]
source = "toy.pairs"
batch = 64
[model]
features = 16
[encoder]
plugin = "linear"
[[loss]]
plugin = "huber"
delta = { from = 2.0, to = 0.5, over = 10 }
TOML
"$build/regulon" plugins huber --plugin-path "$scratch/huber/build/plugins" | grep -q delta
"$build/regulon" train "$scratch/huber.toml" --out "$scratch/run" --plugin-path "$scratch/huber/build/plugins"
grep -q huber "$scratch/run/manifest.json"
"$build/regulon" check-plugin "$scratch/huber/build/plugins/huber.so"

for kind in loss encoder cost; do
  own=$scratch/group_$kind
  "$build/regulon" new-plugin "$kind" "group_$kind" --out "$own"
  "$cmake" -S "$own" -B "$own/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/sdk" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
  "$cmake" --build "$own/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
  "$build/regulon" check-plugin "$own/build/plugins/group_$kind.so"
  "$build/regulon" train "$own/group_$kind.toml" --set run.steps=20 --out "$scratch/run_$kind"
  if grep -ri "my_\?$kind" "$own" --include='*.cpp' --include='*.toml' --include=CMakeLists.txt; then exit 1; fi
done
