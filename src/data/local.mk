libadamix_la_SOURCES += \
  %D%/columns.c \
  %D%/data_private.h \
  %D%/dataset.c \
  %D%/drawn.c \
  %D%/encode.c \
  %D%/hold_out.c \
  %D%/labels.c \
  %D%/pack.c \
  %D%/shard.c \
  %D%/task.c
