libadamix_la_SOURCES += %D%/merge_private.h %D%/each.c %D%/method.c %D%/average.c %D%/weighted.c %D%/ties.c %D%/dare.c \
	%D%/concat.c %D%/none.c %D%/greedy_soup.c %D%/learned_soup.c %D%/fisher.c %D%/regmean.c %D%/solve.c \
	%D%/svd.c %D%/decompose.c
if HAVE_SCALAPACK
libadamix_la_SOURCES += %D%/grid.h %D%/grid.c
endif
