# shellcheck shell=bash
# Sourced by the walks over training runs.
prepare () { mkdir -p "$1"; }
attempt () { launch "${training[@]}" --output "$1/run"; }
follow () { launch "${training[@]}" --output "$1/run" --resume; }

# Times, memory and shares of them are the machine's.
results_of () { grep -v -e startup_seconds -e runtime -e _per_second -e _bytes -e _fraction "$1/run/all_results.json"; }

compare () {
  local file
  for file in merged/adapter.safetensors merged/adamix_config.json experts/experts.safetensors experts/adamix_config.json \
    checkpoints/step-6/optimizer.safetensors; do
    cmp -s "$1/run/$file" "$2/run/$file" || return 1
  done
  cmp -s <(without_times "$1/run/metrics.jsonl") <(without_times "$2/run/metrics.jsonl") &&
    cmp -s <(results_of "$1") <(results_of "$2")
}
