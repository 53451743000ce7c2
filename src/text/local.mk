libadamix_la_SOURCES += \
  %D%/added.c \
  %D%/bpe.c \
  %D%/bpe_build.c \
  %D%/json_bpe.c \
  %D%/json_template.c \
  %D%/json_wordpiece.c \
  %D%/load_json.c \
  %D%/load_json.h \
  %D%/load_merges.c \
  %D%/load_vocabulary.c \
  %D%/normalize.c \
  %D%/split.c \
  %D%/template.c \
  %D%/tokenizer.c \
  %D%/tokenizer.h \
  %D%/unicode.c \
  %D%/unicode.h \
  %D%/unicode_exceptions.c \
  %D%/vocabulary.c \
  %D%/wordpiece.c
