libadamix_la_SOURCES += %D%/placement.h %D%/placement.c %D%/owned.c %D%/replicated.c %D%/exchange.c %D%/volume.c
