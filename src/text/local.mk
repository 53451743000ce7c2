libadamix_la_SOURCES += \
  %D%/added.c \
  %D%/load_json.c \
  %D%/load_vocabulary.c \
  %D%/normalize.c \
  %D%/template.c \
  %D%/tokenizer.c \
  %D%/tokenizer.h \
  %D%/unicode.c \
  %D%/unicode.h \
  %D%/unicode_exceptions.c \
  %D%/wordpiece.c
