# tests/cli: the binary end to end.
cli_tests = \
  %D%/apart.sh \
  %D%/architectures.sh \
  %D%/bad_input.sh \
  %D%/bench.sh \
  %D%/checkpoint.sh \
  %D%/controls.sh \
  %D%/diversity.sh \
  %D%/encoder.sh \
  %D%/flops.sh \
  %D%/inference.sh \
  %D%/interrupt.sh \
  %D%/jobs.sh \
  %D%/memory.sh \
  %D%/merge.sh \
  %D%/methods.sh \
  %D%/merges.sh \
  %D%/precision.sh \
  %D%/prescribed.sh \
  %D%/ranks.sh \
  %D%/report.sh \
  %D%/reproducible.sh \
  %D%/routers.sh \
  %D%/routes.sh \
  %D%/startup.sh \
  %D%/sweep.sh \
  %D%/tasks.sh \
  %D%/tensorboard.sh \
  %D%/text.sh \
  %D%/train.sh \
  %D%/trajectory.sh \
  %D%/uncertainty.sh \
  %D%/usage.sh
TESTS += $(cli_tests)
EXTRA_DIST += $(cli_tests) %D%/data.sh %D%/lib.sh
