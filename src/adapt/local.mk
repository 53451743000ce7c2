libadamix_la_SOURCES += %D%/bank.c %D%/route.h %D%/route.c %D%/route_stochastic.c %D%/route_sentence.c \
	%D%/route_token.c %D%/route_fixed.c %D%/route_round_robin.c %D%/route_hash.c %D%/route_balanced.c \
	%D%/route_switch.c %D%/route_soft.c %D%/route_prescribed.c %D%/gate.c %D%/kind.h %D%/kind.c %D%/bottleneck.c %D%/lora.c %D%/inserted.c %D%/loss.c
