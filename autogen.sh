#!/bin/sh
# Make ./configure out of configure.ac: needed once after cloning, never in a release archive.
set -e
cd "$(dirname "$0")"
mkdir -p m4 build-aux
exec autoreconf --force --install "$@"
