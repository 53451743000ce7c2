libadamix_la_SOURCES += \
  %D%/agree.c \
  %D%/comm.c \
  %D%/gather.c \
  %D%/pieces.h
