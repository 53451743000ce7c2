libadamix_la_SOURCES += \
  %D%/safetensors.c \
  %D%/safetensors_write.c \
  %D%/table.c \
  %D%/table_json.c \
  %D%/table_private.h \
  %D%/table_text.c \
  %D%/utf8.c
