#!/usr/bin/env bash
# check.sh SOURCE BUILD TEST... - what `make check-faults` does: a tree of its own in BUILD/faults, with faults and the address
# sanitizer compiled in, and the walks through automake's TAP driver; ends with "N passed, N failed".
#   ADAMIX_FAULTS=N   more of each site: tests/faults/lib.sh
set -euo pipefail

source_dir=$1 build_dir=$2/faults
shift 2
# shellcheck source=/dev/null
. "$source_dir/build-aux/setup.sh"
# shellcheck source=/dev/null
. "$source_dir/tests/suite.sh"
jobs=$(nproc)

mkdir -p "$build_dir"
cd "$build_dir"
# What the outer make was told is about its own tree; its job server does not reach here either.
unset MAKEFLAGS MFLAGS MAKELEVEL
if [ ! -f Makefile ]; then
  say "Configuring in $build_dir"
  logged configure.log "$source_dir/configure" --enable-faults --enable-sanitize=address CFLAGS="-O1 -g"
fi
say "Building with $jobs cores"
logged make.log make -j "$jobs" all
MAKE=make run_suite faults "-j$jobs" "$@"
