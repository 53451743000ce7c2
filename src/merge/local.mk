libadamix_la_SOURCES += %D%/method.c %D%/average.c
