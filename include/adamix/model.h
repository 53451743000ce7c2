/* adamix/model.h - the Transformer: a pretrained encoder from a Hugging Face folder, forward beside backward.
 *
 * Rows.  A batch is the concatenation of its sequences, T tokens, without padding.  P stochastic passes over it are row
 * ranges of one matrix: pass p owns rows p T .. (p + 1) T - 1, so each frozen GEMM runs once over all P T rows.
 * Frozen is a type: a backbone tensor is a row of the parameter table, a const view of the mapped file (or one converted
 * copy), or trainable (its value lies in an adamix_params set).  Weight gradients are optional in every backward.
 * All functions are Local.  Nothing is allocated between adamix_workspace_create and its end.                            */
#ifndef ADAMIX_MODEL_H
#define ADAMIX_MODEL_H

#include <adamix/comm.h>
#include <adamix/format.h>
#include <adamix/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- configuration and parameters ---------------------------------------------------------------------------------- */

typedef struct adamix_model_config {
  const char *architecture; /* "bert": name of the row in the table of architectures; static */
  int64_t vocabulary, hidden, layers, heads, ffn;
  int64_t embedding;      /* E, width of the embeddings; projected to H where they differ */
  int64_t positions;      /* rows of the table of positions */
  int64_t first_position; /* of a sequence's first token */
  int64_t longest;        /* sequence that the model takes: positions - first_position */
  int64_t types;          /* 0: the model knows no token types, those of a batch are ignored */
  adamix_activation activation;
  float norm_eps;
  float hidden_dropout, attention_dropout; /* of config.json; --dropout overrides */
  float initializer_range;
  int64_t pad;
} adamix_model_config;

/* A row of the parameter table. */
typedef struct adamix_tensor {
  char *name; /* Hugging Face name without the "bert." prefix; owned */
  int rank;
  int64_t shape[2], count;
  const float *data; /* the values in force: view of the file, converted copy, or the trainable value */
  float *converted;  /* owned copy where the file is unaligned or of another dtype; NULL otherwise */
  int64_t param;     /* row in the trainable set, -1: frozen */
} adamix_tensor;

typedef struct adamix_model adamix_model;

/* Which backbone tensors train. */
typedef enum adamix_trainable { ADAMIX_TRAIN_NONE, ADAMIX_TRAIN_BIASES, ADAMIX_TRAIN_ALL } adamix_trainable;

/* Read config.json and model.safetensors, or the shards that model.safetensors.index.json names; check every tensor's
 * shape and finiteness.  Unused tensors are ignored; a missing or mis-shaped one is EFORMAT by name, so are a missing
 * shard and an index that does not fit its shards; an unknown model_type EUNSUPPORTED; impossible numbers EFORMAT.
 * `compute` is borrowed for life. */
adamix_err adamix_model_open (adamix_model **out, const char *dir, const adamix_compute *compute);
/* A model without a file, to measure with: the sizes of a well-known one, linear weights and embeddings N(0, deviation) with
 * config.json's initializer_range, biases 0, gammas 1; the same for a seed on any rank and thread.  Its hash is "".
 * Errors: EUSAGE for a shape that is not among adamix_model_shapes; ENOMEM. */
adamix_err adamix_model_draw (adamix_model **out, const char *shape, uint64_t seed, const adamix_compute *compute);
/* The names of the shapes, joined by '|'.  Static. */
const char *adamix_model_shapes (void);
void adamix_model_destroy (adamix_model *model);
const adamix_model_config *adamix_model_config_of (const adamix_model *model);
/* The parameter table.  View. */
const adamix_tensor *adamix_model_tensors (const adamix_model *model, int64_t *count);
/* Does the folder have a pooler that the architecture's head reads?  Is there all that this head reads (false where a
 * pooler is lacking)?  And does 1_Pooling/config.json ask for the mean over tokens? */
bool adamix_model_has_pooler (const adamix_model *model);
bool adamix_model_has_own_head (const adamix_model *model);
bool adamix_model_wants_mean (const adamix_model *model);
/* SHA-256 of model.safetensors.  Of shards: that of the text that `sha256sum` prints for them in their folder, in the
 * bytewise order of their names (a line each, "DIGEST  NAME\n").  "" without a file.  It takes the time of reading all weights:
 * where it will be asked for, begin lets a thread of its own take it while the caller goes on.  *hex is a view.
 * Errors: ENOMEM; EUNSUPPORTED. */
adamix_err adamix_model_hash_begin (adamix_model *model);
adamix_err adamix_model_hash (adamix_model *model, const char **hex);
/* The same of a folder, of which nothing else is read.  Errors: EIO, EFORMAT, ENOMEM, EUNSUPPORTED. */
adamix_err adamix_model_hash_folder (const char *dir, adamix_sha256 *out);
int64_t adamix_model_parameters (const adamix_model *model); /* of the encoder, pooler included if there */
/* Parameters that every token is multiplied with: the weights of the layers' linear maps and of the embeddings' projection. */
int64_t adamix_model_linear_parameters (const adamix_model_config *config);

/* Announce the backbone's trainable tensors in `params` ("backbone.<name>"); after adamix_params_allocate call
 * adamix_model_link, which copies the file's values there and lets the table point to them. */
adamix_err adamix_model_announce (adamix_model *model, adamix_trainable which, adamix_params *params);
/* The same rows in a set that the model does not read. */
adamix_err adamix_model_list (const adamix_model *model, adamix_trainable which, adamix_params *params);
adamix_err adamix_model_link (adamix_model *model, adamix_params *params);
/* Before anything is packed: let the table read the values of the rows "backbone.<name>" among `params` (borrowed until the
 * model is destroyed) in place of the file's.  The model stays frozen. */
void adamix_model_adopt (adamix_model *model, const adamix_params *params);
/* Values that train, of those tensors.  Pure. */
int64_t adamix_model_trainable_parameters (const adamix_model *model, adamix_trainable which);
/* Plan the packed weights and tell what they take (adamix_model_pack, adamix_model_pack_node do both, or what is left to do).
 * Errors: ENOMEM, EUNSUPPORTED. */
adamix_err adamix_model_plan (adamix_model *model, bool backward, size_t *bytes);
/* Pack the weights for GEMM, once before the first forward.  `backward` is false if there will be no backward pass, which
 * halves the memory. */
adamix_err adamix_model_pack (adamix_model *model, bool backward);
/* Do its weights train, so that every rank packs its own? */
bool adamix_model_packs_alone (const adamix_model *model);
/* Pack those that train once more, after their values changed; where only biases train, take these. */
adamix_err adamix_model_repack (adamix_model *model);
/* The first packing, into one copy a node, which its ranks make together, where the weights are frozen and they can share
 * memory; else into one of this rank.  Collective over world.  The model is then destroyed before MPI ends. */
adamix_err adamix_model_pack_node (adamix_model *model, adamix_comm *world, bool backward);

/* Bytes of the model's files that a forward reads beside the packed weights, embeddings and LayerNorms, in the pieces in which
 * the system maps them, shared by the processes of a node.  word[i], [V], says whether row i of the word embeddings will be
 * read; NULL: all are.  Tensors that had to be converted lie in memory of this process and are not counted. */
size_t adamix_model_resident (const adamix_model *model, const bool *word);

/* ---- batches --------------------------------------------------------------------------------------------------------- */

/* Sequences packed without padding.  The owner allocates the arrays once (adamix_batch_create). */
typedef struct adamix_batch {
  int64_t sequences, tokens;
  int64_t capacity_sequences, capacity_tokens;
  int64_t *offset;    /* [sequences + 1], cu_seqlens: sequence s has rows offset[s] .. offset[s + 1] - 1 */
  int32_t *id, *type; /* [tokens]; positions are the model's business */
  int32_t *sequence;  /* [tokens] sequence of a row */
  int64_t *sample;    /* [sequences] global number of the example: keys its dropout */
  int32_t *label;     /* [sequences] or unused */
  float *target;      /* [sequences] or unused */
} adamix_batch;

adamix_err adamix_batch_create (adamix_batch *out, int64_t sequences, int64_t tokens);
void adamix_batch_destroy (adamix_batch *batch);

/* ---- modules inside a layer ------------------------------------------------------------------------------------------- */

/* In the order of the data: beside the query's and the value's linear map, after the dense layer of attention, after the
 * second one of the FFN. */
typedef enum adamix_place {
  ADAMIX_PLACE_QUERY,
  ADAMIX_PLACE_VALUE,
  ADAMIX_PLACE_ATTENTION,
  ADAMIX_PLACE_FFN,
  ADAMIX_PLACES
} adamix_place;

/* A set of places. */
typedef unsigned adamix_place_set;
#define ADAMIX_PLACE_BIT(place) (1u << (place))
#define ADAMIX_PLACES_LINEAR    (ADAMIX_PLACE_BIT (ADAMIX_PLACE_QUERY) | ADAMIX_PLACE_BIT (ADAMIX_PLACE_VALUE))

/* Which rows of a batch's passes * tokens a matrix holds. */
typedef struct adamix_rows {
  int64_t count;
  const int32_t *row; /* [count] ascending; NULL: all of them */
} adamix_rows;

/* Where a module acts, and on what. */
typedef struct adamix_site {
  int64_t layer;
  adamix_place place;
  adamix_rows rows;
  const struct adamix_forward_args *args;
} adamix_site;

/* The operation table by which the room above (adapt) acts inside a layer.  The implementer embeds it as the first member
 * of its own struct.  A place not served is skipped.  NULL instead of a table: the plain encoder.
 * After attention and FFN a module takes the place of its input:  y = x + module (x), dx = dy + module'^T dy; x and y, dy and
 * dx may alias.  Beside query and value it adds to a linear map of the layer's input:  y += module (x), dx += module'^T dy. */
typedef struct adamix_insertion adamix_insertion;
struct adamix_insertion {
  adamix_place_set serves;
  /* x, y [rows.count,H].  Called once a layer and place, lowest layer first, and with the same x once more before its backward
   * where the layer is computed again. */
  adamix_err (*forward) (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view y);
  /* x and site as in forward.  Parameter gradients are added; dx unless dx.data is NULL (nothing below trains).  Called in
   * reverse order. */
  adamix_err (*backward) (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view dy,
                          adamix_view dx);
};

/* Called when all gradients of a layer are complete (-1: those below the layers, if the backbone trains), top layer
 * first, down to the lowest layer that is differentiated: the room above may start their exchange. */
typedef struct adamix_backward_hooks adamix_backward_hooks;
struct adamix_backward_hooks {
  adamix_err (*layer_ready) (adamix_backward_hooks *self, int64_t layer);
};

/* ---- forward and backward ---------------------------------------------------------------------------------------------- */

/* Buffers of one forward and its backward, cut from one arena. */
typedef struct adamix_workspace adamix_workspace;

typedef struct adamix_workspace_size {
  int64_t passes, tokens, sequences, longest; /* the largest batch */
  bool backward;                              /* false: nothing is saved, layers share buffers */
  bool weight_gradients;                      /* the backbone trains: save GEMM inputs too */
  adamix_place_set places;                    /* of modules: their inputs are kept for their backward */
  /* So many layers keep nothing but their input for backward, which computes them again: those below the last one, from the
   * top.  The numbers are the same, to the bit.  At most adamix_workspace_recomputable. */
  int64_t recomputed;
  int64_t lowest_layer; /* with a frozen backbone, backward ends in this layer at its lowest module;
                                                 nothing below is saved */
  int threads;          /* that work in it at once; 0: those of the model */
} adamix_workspace_size;

adamix_err adamix_workspace_create (adamix_workspace **out, const adamix_model *model,
                                    const adamix_workspace_size *size);
void adamix_workspace_destroy (adamix_workspace *workspace);
size_t adamix_workspace_bytes (const adamix_workspace *workspace);
/* How many layers a backward of that size can compute again.  Pure. */
int64_t adamix_workspace_recomputable (const adamix_model *model, const adamix_workspace_size *size);
/* What a workspace of that size would have.  Errors: ENOMEM. */
adamix_err adamix_workspace_measure (size_t *bytes, const adamix_model *model, const adamix_workspace_size *size);

typedef struct adamix_forward_args {
  const adamix_batch *batch;
  int64_t passes;
  bool training; /* dropout on */
  float dropout; /* rate of hidden states and attention probabilities alike */
  uint64_t seed;
  int64_t step; /* keys the dropout masks */
  /* Only the first row of each sequence will be read of the last layer's output (adamix_head_reads_first): that layer
   * computes no other where the backbone is frozen. */
  bool first_only;
  adamix_insertion *insertion;  /* NULL: none */
  adamix_backward_hooks *hooks; /* NULL: none */
} adamix_forward_args;

/* Dropout places inside a layer (the `place` word of adamix_dropout). */
typedef enum adamix_drop {
  ADAMIX_DROP_EMBEDDINGS,
  ADAMIX_DROP_PROBABILITIES,
  ADAMIX_DROP_ATTENTION,
  ADAMIX_DROP_FFN,
  ADAMIX_DROP_HEAD,       /* before the output layer */
  ADAMIX_DROP_HEAD_INPUT, /* before the dense layer of a head that has one of its own */
  ADAMIX_DROP_QUERY,      /* of the input of modules beside query and value */
  ADAMIX_DROP_VALUE
} adamix_drop;

/* The mask of (pass, layer, drop) for one sample under `args`; threshold 0 when not training.  Embeddings and head have
 * layer 0.  first_block is 0: the token's row, or the head of attention, moves it on (adamix/tensor.h).  Pure. */
adamix_dropout adamix_dropout_of (const adamix_forward_args *args, int64_t pass, int64_t layer, adamix_drop drop,
                                  int64_t sample);
/* The same at another rate than args->dropout.  Pure. */
adamix_dropout adamix_dropout_at (const adamix_forward_args *args, double rate, int64_t pass, int64_t layer,
                                  adamix_drop drop, int64_t sample);
/* The mask of row r of P T rows of `cols` elements, given that of pass 0, sample 0.  Pure. */
adamix_dropout adamix_dropout_row (adamix_dropout base, const adamix_batch *batch, int64_t cols, int64_t r);

/* *hidden = the last layer's output, a view into the workspace: [passes * tokens, H], or [passes * sequences, H] where only
 * first rows were computed. */
adamix_err adamix_model_forward (const adamix_model *model, adamix_workspace *workspace,
                                 const adamix_forward_args *args, adamix_view *hidden);
/* Back-propagate dhidden, of the shape of hidden (a view that adamix_workspace_gradient gave; overwritten) through the
 * forward just done with the same args.  Gradients of trainable tensors and modules are added up. */
adamix_err adamix_model_backward (adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                                  adamix_view dhidden);
/* Where the head's backward writes: [rows, H] in the workspace, as many rows as hidden has, zeroed by this call. */
adamix_view adamix_workspace_gradient (adamix_workspace *workspace, int64_t rows);

/* ---- heads ---------------------------------------------------------------------------------------------------------- */

/* What the output layer reads: the architecture's own head on the first token's state, or the mean of h over tokens. */
typedef enum adamix_pool { ADAMIX_POOL_POOLER, ADAMIX_POOL_MEAN } adamix_pool;

/* z = Linear (dropout (pooled)), Linear [K,H].
 *   ADAMIX_POOL_MEAN     pooled = mean of h over tokens
 *   ADAMIX_POOL_POOLER   pooled = f (dense (h[0])), as in the architecture's ...ForSequenceClassification of transformers:
 *     bert                   f = tanh; dense is the model's pooler, frozen with it
 *     roberta, xlm-roberta   f = tanh; dense [H,H] belongs to the head and trains; it reads dropout (h[0])
 *     distilbert             f = relu; dense [H,H] belongs to the head and trains
 *     electra                f = erf gelu; dense [H,H] belongs to the head and trains; it reads dropout (h[0]) */
typedef struct adamix_head adamix_head;

/* `outputs` K; dropout is that of args.  Errors: EUSAGE if the pooler is asked for and the model lacks what its head
 * reads. */
adamix_err adamix_head_create (adamix_head **out, const adamix_model *model, adamix_pool pool, int64_t outputs,
                               int64_t max_rows);
/* A head of the same values, linked as `head` is, with buffers of its own: for another thread.  Errors: ENOMEM. */
adamix_err adamix_head_beside (adamix_head **out, const adamix_head *head);
void adamix_head_destroy (adamix_head *head);
/* Does it read nothing but the first row of each sequence?  Then hidden may hold just those. */
bool adamix_head_reads_first (const adamix_head *head);
int64_t adamix_head_outputs (const adamix_head *head);    /* K */
int64_t adamix_head_parameters (const adamix_head *head); /* that train */
size_t adamix_head_bytes (const adamix_head *head);       /* of its buffers */
/* Announce the head's tensors: first dense [H,H] and its bias [H] if they are the head's own, then [K,H] and [K]; link
 * after allocation; initialise by seed: weights N(0, 0.02), biases 0. */
adamix_err adamix_head_announce (adamix_head *head, adamix_params *params);
void adamix_head_link (adamix_head *head, adamix_params *params);
void adamix_head_initialise (adamix_head *head, uint64_t seed);
/* z [passes * sequences, K], pass after pass; a view into the head. */
adamix_err adamix_head_forward (adamix_head *head, const adamix_forward_args *args, adamix_view hidden, adamix_view *z);
/* dz [passes * sequences, K]: parameter gradients are added; dhidden (zeroed before) gets the gradient unless its data
 * is NULL (nothing below the head trains). */
adamix_err adamix_head_backward (adamix_head *head, const adamix_forward_args *args, adamix_view dz,
                                 adamix_view dhidden);

#ifdef __cplusplus
}
#endif
#endif
