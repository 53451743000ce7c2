/* What the files of this room share.  Rows, passes and frozen tensors: see adamix/model.h. */
#ifndef ADAMIX_MODEL_PRIVATE_H
#define ADAMIX_MODEL_PRIVATE_H

#include <adamix/model.h>

/* ---- architectures ----------------------------------------------------------------------------------------------- */

/* What a tensor is for.  A bias follows its weight, a beta its gamma. */
typedef enum adamix_role {
  ADAMIX_ROLE_WORD,
  ADAMIX_ROLE_POSITION,
  ADAMIX_ROLE_TYPE,
  ADAMIX_ROLE_EMBEDDING_GAMMA,
  ADAMIX_ROLE_EMBEDDING_BETA,
  ADAMIX_ROLE_PROJECTION_WEIGHT, /* from the embeddings' width to the layers' */
  ADAMIX_ROLE_PROJECTION_BIAS,
  ADAMIX_ROLE_POOLER_WEIGHT,
  ADAMIX_ROLE_POOLER_BIAS,
  ADAMIX_ROLE_IN_LAYER, /* the roles from here on stand once in each layer */
  ADAMIX_ROLE_QUERY_WEIGHT = ADAMIX_ROLE_IN_LAYER,
  ADAMIX_ROLE_QUERY_BIAS,
  ADAMIX_ROLE_KEY_WEIGHT,
  ADAMIX_ROLE_KEY_BIAS,
  ADAMIX_ROLE_VALUE_WEIGHT,
  ADAMIX_ROLE_VALUE_BIAS,
  ADAMIX_ROLE_ATTENTION_WEIGHT,
  ADAMIX_ROLE_ATTENTION_BIAS,
  ADAMIX_ROLE_ATTENTION_GAMMA,
  ADAMIX_ROLE_ATTENTION_BETA,
  ADAMIX_ROLE_INTERMEDIATE_WEIGHT,
  ADAMIX_ROLE_INTERMEDIATE_BIAS,
  ADAMIX_ROLE_OUTPUT_WEIGHT,
  ADAMIX_ROLE_OUTPUT_BIAS,
  ADAMIX_ROLE_OUTPUT_GAMMA,
  ADAMIX_ROLE_OUTPUT_BETA,
  ADAMIX_ROLES
} adamix_role;

/* The `layer` of what stands outside the layers: embeddings, projection, pooler. */
#define ADAMIX_OUTSIDE (-1)

/* What a part stores: names are those of the part with these endings. */
typedef enum adamix_part_kind {
  ADAMIX_PART_TABLE,  /* .weight [rows,cols] */
  ADAMIX_PART_LINEAR, /* .weight [rows,cols], .bias [rows] */
  ADAMIX_PART_NORM    /* .weight [rows], .bias [rows]; in older files .gamma and .beta */
} adamix_part_kind;

/* Whether a part is looked for. */
typedef enum adamix_presence {
  ADAMIX_ALWAYS,
  ADAMIX_PROJECTION, /* where embeddings and layers differ in width; then it has to be there */
  ADAMIX_POOLER /* where the architecture's head reads a pooler; a file without it can only be pooled by the mean */
} adamix_presence;

/* Tensors of an architecture that are stored and used together.  Sizes are symbolic: offsets in adamix_model_config. */
typedef struct adamix_part {
  adamix_part_kind kind;
  adamix_presence presence;
  adamix_role role; /* of the first tensor; a second one has the next role */
  const char *name; /* "{i}" stands for the layer's number */
  size_t rows, cols;
} adamix_part;

/* An integer of config.json, from 1 to max; all are required. */
typedef struct adamix_config_row {
  const char *key;
  size_t offset; /* in adamix_model_config */
  int64_t max;
} adamix_config_row;

/* The architecture's own head on the first token's state h:  z = Linear (dropout (f (dense (h)))). */
typedef struct adamix_head_row {
  bool trained;                 /* dense belongs to the head and trains; else it is the model's frozen pooler */
  bool drop_input;              /* dense reads dropout (h) */
  adamix_activation activation; /* f */
} adamix_head_row;

typedef struct adamix_architecture {
  const char *name;   /* model_type in config.json */
  const char *prefix; /* stands before the tensors' names in files that hold a head as well */
  const adamix_config_row *integer;
  int integers;
  /* Keys of config.json; NULL: there is none, and the value is BERT's. */
  const char *activation, *norm_eps, *hidden_dropout, *attention_dropout;
  int64_t pad;               /* pad_token_id where config.json has none */
  bool positions_follow_pad; /* counted from pad_token_id + 1; a padding token has that of its id and is not counted */
  adamix_head_row head;
  const adamix_part *part;
  int parts;
} adamix_architecture;

/* Errors: EUNSUPPORTED naming the known ones; `where` is config.json's path. */
adamix_err adamix_architecture_find (const adamix_architecture **out, const char *where, const char *name);
/* Read `path` (config.json).  Errors: EIO, EFORMAT, EUNSUPPORTED. */
adamix_err adamix_config_read (adamix_model_config *out, const adamix_architecture **architecture, const char *path);
/* The same of an object that stands for the file `path`. */
adamix_err adamix_config_parse (adamix_model_config *out, const adamix_architecture **architecture,
                                const json_t *object, const char *path);

/* ---- stored weights ------------------------------------------------------------------------------------------------- */

typedef struct adamix_shard {
  const char *name; /* of the file in its folder; view of the index */
  adamix_safetensors file;
} adamix_shard;

/* model.safetensors, or the shards that model.safetensors.index.json names. */
typedef struct adamix_weights {
  char *path;          /* of the one file or of the index */
  json_t *index, *map; /* the index and its "weight_map", a view; NULL: one file */
  adamix_shard *shard; /* [shards], in the order of their names */
  int64_t shards;
  adamix_hashing *hashing; /* of the shards; NULL: not begun */
  adamix_sha256 hash;      /* see adamix_model_hash */
} adamix_weights;

/* Map all files of `dir`; every tensor that an index names is in its shard.  Errors: EIO, EFORMAT; EUNSUPPORTED where only
 * PyTorch's own format is there, with how to convert it.  Close also after an error. */
adamix_err adamix_weights_open (adamix_weights *weights, const char *dir);
void adamix_weights_close (adamix_weights *weights);
/* See adamix_model_hash. */
adamix_err adamix_weights_hash_begin (adamix_weights *weights);
adamix_err adamix_weights_hash (adamix_weights *weights, const char **hex);
/* By name, NULL if there is none; *path is then that of the file that holds it.  Views. */
const adamix_stored_tensor *adamix_weights_find (const adamix_weights *weights, const char *name, const char **path);
/* Give back the pages of a part of a file that need not stay in memory; what lies elsewhere is left alone. */
void adamix_weights_release (const adamix_weights *weights, const void *data, size_t bytes);

/* ---- the model --------------------------------------------------------------------------------------------------- */

typedef enum adamix_linear_kind {
  ADAMIX_LINEAR_QKV,
  ADAMIX_LINEAR_ATTENTION,
  ADAMIX_LINEAR_INTERMEDIATE,
  ADAMIX_LINEAR_OUTPUT,
  ADAMIX_LINEARS_IN_LAYER,
  ADAMIX_LINEAR_PROJECTION = ADAMIX_LINEARS_IN_LAYER,
  ADAMIX_LINEAR_POOLER,
  ADAMIX_LINEARS
} adamix_linear_kind;

struct adamix_model {
  const adamix_compute *compute; /* borrowed */
  adamix_model_config config;
  const adamix_architecture *architecture;
  adamix_weights weights;
  adamix_tensor *tensor;
  int64_t tensors;
  int64_t *slot; /* [(L + 1) * ADAMIX_ROLES] row of (layer + 1, role) in `tensor`, -1: none */
  bool wants_mean;
  const adamix_rng *drawn; /* borrowed until the tensors are loaded: values are drawn, there is no file; else NULL */
  adamix_trainable trainable;
  adamix_params *params;     /* borrowed; NULL while frozen */
  adamix_node_memory packed; /* what they are packed into; empty: each has its own memory */
  adamix_linear **linear;    /* [(L + 1) * ADAMIX_LINEARS] of (layer + 1, kind) */
};

/* Fill the parameter table from the file: every tensor found, shaped as the configuration says, finite. */
adamix_err adamix_model_load_tensors (adamix_model *model);
/* Values of a row of the table that no file holds, as a tensor of such a part begins.  Errors: ENOMEM. */
adamix_err adamix_model_draw_values (adamix_model *model, adamix_part_kind kind, adamix_tensor *tensor);
/* NULL if the model has none. */
const adamix_tensor *adamix_model_tensor (const adamix_model *model, int64_t layer, adamix_role role);
/* Are weight and bias of a linear layer there?  `weight` is the weight's role. */
bool adamix_model_has_linear (const adamix_model *model, int64_t layer, adamix_role weight);
/* Do the embeddings go through a projection? */
bool adamix_model_projects (const adamix_model *model);
/* Values of a tensor that must be there. */
const float *adamix_model_values (const adamix_model *model, int64_t layer, adamix_role role);
/* Where its gradient is added up, marked as touched; NULL: frozen, or no such tensor. */
float *adamix_model_gradient (const adamix_model *model, int64_t layer, adamix_role role);
const adamix_linear *adamix_model_linear (const adamix_model *model, int64_t layer, adamix_linear_kind kind);
/* Is a tensor part of what linear layers are packed from?  Pure. */
bool adamix_model_packs (adamix_role role);
/* A lap of the profile behind a product of such a layer's rows [rows,cols] with its W [outputs,cols], of their gradients with W,
 * or of the gradients with the rows. */
void adamix_linear_lap (const adamix_model *model, adamix_linear_kind kind, int64_t rows, int64_t cols,
                        int64_t outputs);
/* dW += dy^T x, db += column sums of dy for the trainable ones among the blocks of a linear layer. */
adamix_err adamix_linear_gradients (const adamix_model *model, int64_t layer, adamix_linear_kind kind, adamix_view dy,
                                    adamix_view x);

/* ---- the workspace ----------------------------------------------------------------------------------------------- */

/* Rows per block of sums over rows: blocks are fixed, so sums do not depend on the number of threads. */
#define ADAMIX_SUM_BLOCK 16

/* What a layer's forward leaves for its backward.  A buffer that this backward does not need is shared by all layers. */
typedef struct adamix_layer_buffers {
  float *input;        /* [rows,H] x */
  float *qkv;          /* [rows,3H] */
  float *context;      /* [rows,H] what the heads gave */
  float *attention;    /* [rows,H] output of the attention's dense: input of a module there */
  float *middle;       /* [rows,H] after the first LayerNorm */
  float *pre;          /* [rows,F] before the activation */
  float *ffn;          /* [rows,H] output of the second dense of the FFN: input of a module there */
  float *norm_xhat[2]; /* [rows,H] of the two LayerNorms; NULL: not kept */
  float *norm_rstd[2]; /* [rows] */
} adamix_layer_buffers;

struct adamix_workspace {
  adamix_workspace_size size;
  adamix_arena arena;
  int64_t hidden, layers;
  int64_t rows; /* capacity of the buffers, a multiple of ADAMIX_ROW_BLOCK */
  bool backbone_trains, keep_inputs;
  adamix_layer_buffers *layer; /* [L + 1]; of the last one only `input`, the encoder's output */
  int32_t *position;           /* [T] */
  float *embedded, *dembedded; /* [rows,E] before the projection; NULL without one, or without a use */
  float *embedding_xhat, *embedding_rstd, *embedding_gradient; /* [T,E], [T], [T,E] where the backbone trains */
  float *x, *y, *dense;                                        /* [rows,H] shared buffers */
  float *wide;                                                 /* [rows, max (F, 3H)] */
  void *narrow;     /* [rows, max (F, 3H)] input of a linear layer in the dtype it multiplies; NULL for fp32 */
  float *rstd;      /* [rows] */
  float *gradient;  /* [rows,H] */
  float *norm_sums; /* [blocks, 2 max (H, E)] partial sums of d gamma and d beta */
  int32_t *first;   /* [passes * sequences] the first rows of the sequences */
  float *scratch;   /* [threads * scratch_stride] for attention */
  int64_t scratch_stride;
  int threads;  /* that attention may have */
  bool pending; /* backward: `dense` has still to be added to `gradient` */
};

/* Is the layer computed again in backward? */
bool adamix_workspace_recomputes (const adamix_workspace *workspace, int64_t layer);
/* Add what is pending to the first `rows` rows of `gradient`: `dense` is then free. */
void adamix_workspace_settle (const adamix_model *model, adamix_workspace *workspace, int64_t rows);

/* ---- steps of forward and backward ---------------------------------------------------------------------------------- */

/* Counter blocks that the mask of `elements` elements takes: what stands behind it starts there.  Pure. */
uint32_t adamix_dropout_blocks (int64_t elements);

/* One LayerNorm over all rows, with the residual and the dropout before it. */
typedef struct adamix_norm {
  const adamix_model *model;
  adamix_workspace *workspace;
  const adamix_forward_args *args;
  adamix_rows rows;    /* that it works on */
  int64_t layer, cols; /* H, or E for the embeddings */
  adamix_role gamma;   /* beta is the next role */
  adamix_drop drop;
  float *xhat, *rstd;
} adamix_norm;

/* y = LayerNorm (dropout (h) + skip): h, y [rows.count,H]; skip too, or all rows of the batch where `skip_has_all`. */
void adamix_norm_forward (const adamix_norm *norm, const float *h, const float *skip, bool skip_has_all, float *y);
/* On entry workspace->gradient is dy (less what is pending), on exit d skip; dh gets the branch's gradient.  Gradients of
 * gamma and beta are added where they train. */
void adamix_norm_backward (const adamix_norm *norm, float *dh);
/* Add the sums that blocks of rows left in workspace->norm_sums to the gradients of gamma and beta, in order. */
void adamix_norm_collect (const adamix_norm *norm, int64_t rows);

/* y [rows,H]; also numbers the positions of the batch, which backward reads again. */
adamix_err adamix_embeddings_forward (const adamix_model *model, adamix_workspace *workspace,
                                      const adamix_forward_args *args, float *y);
/* From workspace->gradient; only where the backbone trains. */
adamix_err adamix_embeddings_backward (const adamix_model *model, adamix_workspace *workspace,
                                       const adamix_forward_args *args);

/* The rows that a layer computes behind its keys and values: all of the batch, or the first of each sequence. */
adamix_rows adamix_layer_rows (const adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer);

/* out = the heads' outputs side by side: [passes * tokens, H], or [passes * sequences, H] of the first rows. */
void adamix_attention_forward (const adamix_model *model, const adamix_workspace *workspace,
                               const adamix_forward_args *args, int64_t layer, float *out);
/* dqkv [passes * tokens, 3H] from dout, of the shape of out. */
void adamix_attention_backward (const adamix_model *model, const adamix_workspace *workspace,
                                const adamix_forward_args *args, int64_t layer, const float *dout, float *dqkv);

adamix_err adamix_layer_forward (const adamix_model *model, adamix_workspace *workspace,
                                 const adamix_forward_args *args, int64_t layer);
/* `whole`: something below this layer trains; else it ends at the layer's lowest module. */
adamix_err adamix_layer_backward (const adamix_model *model, adamix_workspace *workspace,
                                  const adamix_forward_args *args, int64_t layer, bool whole);

#endif
