libadamix_la_SOURCES += \
  %D%/clock.c \
  %D%/draft.c \
  %D%/err.c \
  %D%/fault.c \
  %D%/fault.h \
  %D%/file.c \
  %D%/ini.c \
  %D%/json.c \
  %D%/log.c \
  %D%/memory.c \
  %D%/options.c \
  %D%/options.h \
  %D%/options_help.c \
  %D%/options_value.c \
  %D%/plot.c \
  %D%/rng.c \
  %D%/sha256.c
