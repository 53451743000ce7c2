libadamix_la_SOURCES += \
  %D%/agree.c \
  %D%/comm.c \
  %D%/cost.c \
  %D%/gather.c \
  %D%/node.c \
  %D%/ordered.c \
  %D%/pieces.h \
  %D%/same.c
