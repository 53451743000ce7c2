#!/usr/bin/env bash
# check.sh SOURCE BUILD TEST... - what `make check-slurm` does: install Slurm where that is possible, run the tests
# through automake's TAP driver, end with "N passed, N failed".  Tests that this machine cannot run are skipped.
set -euo pipefail

source_dir=$1 build_dir=$2
shift 2
# shellcheck source=/dev/null
. "$source_dir/build-aux/setup.sh"
# shellcheck source=/dev/null
. "$source_dir/tests/suite.sh"

# In the background, where a failure ends only the installing.
if [ "$(id -u)" = 0 ]; then
  install_packages "${setup_slurm_packages[@]}" &
  wait $! || say "The packages of Slurm could not be installed"
fi
# Each test has a cluster of its own and mostly waits for Slurm, so some of them run at a time.
run_suite slurm -j3 "$@"
