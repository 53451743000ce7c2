#!/usr/bin/env bash
# check.sh SOURCE BUILD - what `make check-mutants` does: make each mistake of mistakes.tsv in a copy of the tree, and see
# that the test named beside it fails.  Ends with "N passed, N failed": a mistake that its test does not notice has failed.
#   ADAMIX_MUTANTS=PATTERN   only the mistakes whose names match
set -euo pipefail

source_dir=$1 build_dir=$2/mutants
here=$source_dir/tests/mutants
copy=$build_dir/source tree=$build_dir/tree
passed=0 failed=0
# shellcheck source=/dev/null
. "$source_dir/build-aux/setup.sh"

# Build one target after the other: `all` is a make of its own, which must not build the library at the same time.
build () {
  local target
  for target in "$@"; do
    logged "$build_dir/make.log" make -C "$tree" -j "$(nproc)" "$target"
  done
}

# Does a test pass in the tree as it is?  What it wrote is in test.log.  Of the tests' programs only its own is built.
passes () {
  case $1 in
    *.sh) build all ;;
    *) build all "$1" ;;
  esac
  make -C "$tree" check-TESTS TESTS="$1" check_PROGRAMS= > "$build_dir/test.log" 2>&1 < /dev/null
}

told () {
  if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  echo "$1 - $2"
}

rm -rf "$build_dir"
mkdir -p "$copy" "$tree"
tar -C "$source_dir" --exclude=./.git --exclude=./build --exclude=./runs -cf - . | tar -C "$copy" -xf -
say "Building a copy of the tree"
(cd "$tree" && logged "$build_dir/configure.log" "$copy/configure")

table=$(grep -v '^#' "$here/mistakes.tsv" | grep -e "${ADAMIX_MUTANTS:-.}")
while IFS= read -r test; do
  if passes "$test"; then told ok "$test passes without a mistake"; else told "not ok" "$test passes without a mistake"; fi
done < <(cut -f 4 <<< "$table" | sort -u)

while IFS=$'\t' read -r name file program test; do
  cp "$copy/$file" "$build_dir/right"
  sed -i "$program" "$copy/$file"
  if cmp -s "$copy/$file" "$build_dir/right"; then
    told "not ok" "$name: the sed program changes nothing in $file"
  elif passes "$test"; then
    told "not ok" "$name: $test does not notice"
  else
    told ok "$name"
  fi
  cp "$build_dir/right" "$copy/$file"
done <<< "$table"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
