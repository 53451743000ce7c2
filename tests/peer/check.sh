#!/usr/bin/env bash
# check.sh SOURCE BUILD TEST... - what `make check-peer` does: prepare Python and the encoder, run the tests through
# automake's TAP driver, end with "N passed, N failed".
#   ADAMIX_PEER_PYTHON=PATH   a Python that has what requirements.txt lists, else BUILD/peer-venv is made
#   ADAMIX_DATA=DIR           the shared data sets; tests that need them are skipped where they are absent
#   ADAMIX_MODEL=DIR          the pretrained encoder, else the quick start's is fetched
set -euo pipefail

source_dir=$1 build_dir=$2
shift 2
# shellcheck source=/dev/null
. "$source_dir/build-aux/setup.sh"
# shellcheck source=/dev/null
. "$source_dir/tests/suite.sh"
requirements=$source_dir/tests/peer/requirements.txt
venv=$build_dir/peer-venv

# The copy of the requirements is written last, so an interrupted installation is done again.
make_environment () {
  if cmp -s "$requirements" "$venv/requirements.txt"; then return; fi
  command -v python3 > /dev/null || install_packages python3
  python3 -c 'import ensurepip, venv' 2> /dev/null || install_packages python3-venv ca-certificates
  python3 -c 'import ensurepip, venv' 2> /dev/null ||
    fail "python3 cannot make virtual environments: install its venv module, or name a Python with ADAMIX_PEER_PYTHON"
  say "Making the virtual environment $venv (several hundred MB to fetch; the log is $build_dir/peer-pip.log)"
  logged "$build_dir/peer-venv.log" python3 -m venv --clear "$venv"
  logged "$build_dir/peer-pip.log" "$venv/bin/python" -m pip install --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv/requirements.txt"
}

prepare_python () {
  if [ -z "${ADAMIX_PEER_PYTHON:-}" ]; then
    make_environment
    ADAMIX_PEER_PYTHON=$venv/bin/python
  fi
  "$ADAMIX_PEER_PYTHON" -c 'import numpy, peft, safetensors, scipy, sklearn, tokenizers, torch, transformers' ||
    fail "$ADAMIX_PEER_PYTHON lacks a package of $requirements: install it there, or unset ADAMIX_PEER_PYTHON"
  export ADAMIX_PEER_PYTHON
}

# In the background, where a failure ends only the fetching: it must not keep the other tests from running.
prepare_encoder () {
  fetch_encoder &
  if wait $!; then
    fetch_encoder
    export ADAMIX_MODEL=$model
  else
    unset ADAMIX_MODEL
    say "There is no encoder: tests that need a real one are skipped"
  fi
}

prepare_python
prepare_encoder
run_suite peer "" "$@"
