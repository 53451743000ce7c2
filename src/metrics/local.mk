libadamix_la_SOURCES += \
  %D%/calibration.c \
  %D%/classification.c \
  %D%/correlation.c \
  %D%/diversity.c \
  %D%/metric.c \
  %D%/metrics_private.h \
  %D%/rank.c \
  %D%/statistics.c \
  %D%/uncertainty.c
