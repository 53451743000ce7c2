libadamix_la_SOURCES += \
  %D%/classification.c \
  %D%/correlation.c \
  %D%/metric.c
