# tests/cli: the binary end to end.
TESTS += %D%/architectures.sh %D%/bad_input.sh %D%/checkpoint.sh %D%/encoder.sh %D%/interrupt.sh %D%/precision.sh %D%/prescribed.sh %D%/ranks.sh %D%/reproducible.sh %D%/text.sh %D%/tasks.sh %D%/train.sh %D%/trajectory.sh %D%/usage.sh
EXTRA_DIST += %D%/architectures.sh %D%/bad_input.sh %D%/data.sh %D%/checkpoint.sh %D%/encoder.sh %D%/interrupt.sh %D%/lib.sh %D%/precision.sh %D%/prescribed.sh %D%/ranks.sh %D%/reproducible.sh %D%/text.sh %D%/tasks.sh %D%/train.sh %D%/trajectory.sh %D%/usage.sh
