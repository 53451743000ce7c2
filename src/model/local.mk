libadamix_la_SOURCES += %D%/architecture.c %D%/attention.c %D%/batch.c %D%/config.c %D%/drawn.c %D%/dropout.c %D%/embeddings.c \
  %D%/encoder.c %D%/head.c %D%/layer.c %D%/model.c %D%/model_private.h %D%/norm.c %D%/params.c %D%/resident.c %D%/tensors.c \
  %D%/weights.c %D%/workspace.c
