libadamix_la_SOURCES += \
  %D%/events.c \
  %D%/safetensors.c \
  %D%/safetensors_write.c \
  %D%/table.c \
  %D%/table_json.c \
  %D%/table_private.h \
  %D%/table_text.c \
  %D%/utf8.c
EXTRA_DIST += %D%/events.proto

if HAVE_TENSORBOARD
nodist_libadamix_la_SOURCES += %D%/events.pb-c.c %D%/events.pb-c.h
BUILT_SOURCES += %D%/events.pb-c.h
CLEANFILES += %D%/events.pb-c.c %D%/events.pb-c.h
endif
%D%/events.pb-c.c: %D%/events.proto
	$(AM_V_GEN)$(MKDIR_P) %D% && $(PROTOC_C) --proto_path=$(srcdir)/%D% --c_out=%D% events.proto
%D%/events.pb-c.h: %D%/events.pb-c.c
