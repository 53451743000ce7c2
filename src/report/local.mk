# src/report: sources of this room.
libadamix_la_SOURCES += \
  %D%/command.c \
  %D%/figures.c \
  %D%/machine.c \
  %D%/page.c \
  %D%/report_private.h \
  %D%/report.c \
  %D%/run.c \
  %D%/sides.c \
  %D%/study.c \
  %D%/table.c \
  %D%/tables.c
