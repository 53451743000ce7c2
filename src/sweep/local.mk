# src/sweep: sources of this room.
libadamix_la_SOURCES += \
  %D%/child.c \
  %D%/expand.c \
  %D%/foresee.c \
  %D%/make.c \
  %D%/read.c \
  %D%/state.c \
  %D%/submit.c \
  %D%/sweep.c \
  %D%/sweep_private.h
