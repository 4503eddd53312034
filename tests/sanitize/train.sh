#!/usr/bin/env bash
# usage: train.sh SOURCE BUILD TORCH
# Trains every config for a few steps, evaluates, and provokes refusals, in a program built with sanitizers.
set -euo pipefail
source=$1 build=$2/sanitized torch=$3

cmake -S "$source" -B "$build" -G Ninja -DREGULON_SANITIZE=ON -DREGULON_TESTS=OFF -DREGULON_TORCH_DIR="$torch" >/dev/null
# The program, and the plugins that configs name.
mapfile -t targets < <(grep -rhoE 'plugin *= *"[a-z0-9_]+"' "$source/configs" --include='*.toml' |
  sed -E 's/.*"(.*)"/regulon_plugin_\1/' | sort -u)
cmake --build "$build" --target regulon "${targets[@]}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# LibTorch is not built with sanitizers: what it allocates once and never frees is not ours to report.
export ASAN_OPTIONS=detect_leaks=0:detect_container_overflow=0:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=98

expect() {
  local wanted=$1 status=0
  shift
  "$build/regulon" "$@" >"$scratch/log" 2>&1 || status=$?
  if ((status != wanted)); then
    cat "$scratch/log"
    echo "regulon $*: expected exit code $wanted, found $status"
    exit 1
  fi
}

while read -r config; do
  # Two folders may hold configs of one name.
  name=${config#"$source/configs/"}
  name=${name%.toml} name=${name//\//_}
  expect 0 train "$config" --out "$scratch/$name" --set run.steps=8 --set run.report_every=2 --set run.checkpoint_every=3
  # As if killed after the checkpoint of step 6.
  rm "$scratch/$name"/{summary.json,weights.safetensors,checkpoints/000000008.safetensors}
  expect 0 train "$config" --out "$scratch/$name" --set run.steps=8 --set run.report_every=2 --set run.checkpoint_every=3 --resume
  expect 0 eval "$scratch/$name" --rows 500
done < <(find "$source/configs" -name '*.toml' -not -path '*/studies/*' | sort)
expect 0 train "$source/configs/toy/plain.toml" --out "$scratch/jumprelu" --set run.steps=8 --set encoder.activation=jumprelu
expect 0 train "$source/configs/toy/plain.toml" --out "$scratch/batch_topk" --set run.steps=8 \
  --set encoder.activation=batch_topk --set encoder.k=3
expect 2 train "$source/configs/toy/plain.toml" --out "$scratch/toy_plain"
expect 2 train "$source/configs/toy/plain.toml" --out "$scratch/other" --set model.feautres=3
expect 0 study "$source/configs/studies/toy_orthogonality.toml" --out "$scratch/study" --set study.seeds=2 --set run.steps=8 \
  --set run.report_every=2 --jobs 2
expect 0 study "$source/configs/studies/toy_orthogonality.toml" --out "$scratch/study" --set study.seeds=3 --set run.steps=8 \
  --set run.report_every=2 --dry-run
expect 0 plugins
echo "clean"
