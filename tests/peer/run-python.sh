#!/usr/bin/env bash
# run-python.sh SCRIPT - run a test of tests/peer with the Python that `make check-peer` prepared.
# A failed case is counted by its own line, so only a failure that no such line tells is left to the status.
set -u
export PYTHONPATH="$ADAMIX_SOURCE/tests/peer" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 # models come from folders alone
"${ADAMIX_PEER_PYTHON:?is not set: run these tests with make check-peer}" "$1" |
  awk '{ print; fflush() } /^not ok/ { told = 1 } END { exit !told }'
status=("${PIPESTATUS[@]}")
[ "${status[1]}" = 0 ] || exit "${status[0]}"
