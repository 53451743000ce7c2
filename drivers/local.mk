bin_PROGRAMS += adamix
adamix_SOURCES = %D%/main.c
adamix_LDADD = libadamix.la $(JANSSON_LIBS) $(MPI_LIBS) -lm
