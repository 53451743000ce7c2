# drivers: the binary, one short file a command.
bin_PROGRAMS += adamix
adamix_SOURCES = \
  %D%/bench.c \
  %D%/bench.h \
  %D%/bench_comm.c \
  %D%/bench_gemm.c \
  %D%/bench_links.c \
  %D%/bench_scaling.c \
  %D%/bench_step.c \
  %D%/bench_workload.c \
  %D%/driver.h \
  %D%/encode.c \
  %D%/eval.c \
  %D%/eval.h \
  %D%/eval_diversity.c \
  %D%/eval_diversity.h \
  %D%/eval_diversity_draw.c \
  %D%/eval_diversity_outputs.c \
  %D%/eval_diversity_print.c \
  %D%/eval_diversity_weights.c \
  %D%/eval_modes.c \
  %D%/eval_open.c \
  %D%/eval_report.c \
  %D%/eval_runs.c \
  %D%/eval_uncertainty.c \
  %D%/eval_uncertainty.h \
  %D%/eval_uncertainty_draw.c \
  %D%/eval_uncertainty_print.c \
  %D%/inspect.c \
  %D%/inspect_memory.c \
  %D%/main.c \
  %D%/merge.c \
  %D%/predict.c \
  %D%/report.c \
  %D%/session.c \
  %D%/sweep.c \
  %D%/train.c \
  %D%/train_rows.c
adamix_LDADD = libadamix.la $(JANSSON_LIBS) $(MPI_LIBS) -lm
