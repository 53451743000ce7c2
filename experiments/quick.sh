#!/usr/bin/env bash
# quick.sh SOURCE BUILD - what `make reproduce-quick` does: some of the experiments' runs made again in BUILD/reproduce-quick, and
# each compared with the committed ones.  Where the processor has no bf16 products, as those have, it takes fp32.
#   ADAMIX_MODEL=DIR   the pretrained encoder, else the quick start's is fetched; ADAMIX_DATA=DIR, the root of the data sets
set -euo pipefail

source_dir=$1 build_dir=$2
# shellcheck source=/dev/null
. "$source_dir/build-aux/setup.sh"
data=${ADAMIX_DATA:-$source_dir/../shared/data}
[ -d "$data/glue/MRPC" ] || fail "there is no data in $data: set ADAMIX_DATA to the folder that has glue/MRPC and banking77"
fetch_encoder
python3 -c 'import scipy' 2> /dev/null || install_packages python3-scipy
precision=bf16
grep -Eqw 'avx512_bf16|amx_bf16' /proc/cpuinfo || precision=fp32
exec python3 "$source_dir/experiments/reproduce.py" quick --adamix "$build_dir/adamix" --model "$model" --data "$data" \
  --work "$build_dir/reproduce-quick" --precision "$precision"
