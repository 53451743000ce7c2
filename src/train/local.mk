# src/train: sources of this room.
libadamix_la_SOURCES += \
  %D%/adapter.c \
  %D%/apart.c \
  %D%/checkpoint.c \
  %D%/config.c \
  %D%/evaluate.c \
  %D%/finish.c \
  %D%/gather.c \
  %D%/inference.c \
  %D%/measure.c \
  %D%/memory.c \
  %D%/merge.c \
  %D%/module.c \
  %D%/optimizer.c \
  %D%/plan.c \
  %D%/predict.c \
  %D%/prescribed.c \
  %D%/record.c \
  %D%/run.c \
  %D%/run_private.h \
  %D%/samples.c \
  %D%/scaling.c \
  %D%/schedule.c \
  %D%/setup.c \
  %D%/tensorboard.c \
  %D%/step.c \
  %D%/train_private.h \
  %D%/work.c
