/* One copy of the packed weights a node: what the ranks of a node take together, and that they compute the same with it. */
#include <adamix/model.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LAYERS = 4, HIDDEN = 768, FFN = 3072, WORDS = 64 };

static int failures;

static void ADAMIX_PRINTF (2, 3) expect (bool holds, const char *format, ...)
{
  va_list list;
  if (holds) return;
  failures++;
  va_start (list, format);
  vfprintf (stderr, format, list);
  va_end (list);
  fputc ('\n', stderr);
}

static void
must (adamix_err err)
{
  if (err == ADAMIX_OK) return;
  fprintf (stderr, "%s\n", adamix_err_message ());
  MPI_Abort (MPI_COMM_WORLD, 1);
}

/* A model in the Hugging Face format with the shapes of BERT-base and few words. */
typedef struct writer {
  adamix_tensor_source source[256];
  char name[256][96];
  int64_t count;
  float *values; /* as many as the largest tensor has */
} writer;

static void
put (writer *w, const char *name, int64_t rows, int64_t cols)
{
  snprintf (w->name[w->count], sizeof w->name[0], "%s", name);
  w->source[w->count] = (adamix_tensor_source){ .name = w->name[w->count],
                                                .dtype = ADAMIX_DTYPE_F32,
                                                .rank = cols ? 2 : 1,
                                                .shape = { rows, cols },
                                                .data = w->values };
  w->count++;
}

static void
put_linear (writer *w, const char *stem, int64_t rows, int64_t cols)
{
  char name[96];
  snprintf (name, sizeof name, "%s.weight", stem);
  put (w, name, rows, cols);
  snprintf (name, sizeof name, "%s.bias", stem);
  put (w, name, rows, 0);
}

static void
write_model (const char *folder)
{
  static const struct {
    const char *name;
    int64_t rows, cols;
  } part[] = { { "attention.self.query", HIDDEN, HIDDEN },
               { "attention.self.key", HIDDEN, HIDDEN },
               { "attention.self.value", HIDDEN, HIDDEN },
               { "attention.output.dense", HIDDEN, HIDDEN },
               { "attention.output.LayerNorm", HIDDEN, 0 },
               { "intermediate.dense", FFN, HIDDEN },
               { "output.dense", HIDDEN, FFN },
               { "output.LayerNorm", HIDDEN, 0 } };
  writer *w = calloc (1, sizeof *w);
  char path[512], stem[96];
  w->values = malloc ((size_t) HIDDEN * FFN * sizeof *w->values);
  adamix_rng_normal (adamix_rng_stream (1, ADAMIX_RNG_INIT), 0, 0, (int64_t) HIDDEN * FFN, 0.02, w->values);
  put (w, "embeddings.word_embeddings.weight", WORDS, HIDDEN);
  put (w, "embeddings.position_embeddings.weight", WORDS, HIDDEN);
  put (w, "embeddings.token_type_embeddings.weight", 2, HIDDEN);
  put_linear (w, "embeddings.LayerNorm", HIDDEN, 0);
  for (int i = 0; i < LAYERS; i++)
    for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
      snprintf (stem, sizeof stem, "encoder.layer.%d.%s", i, part[p].name);
      put_linear (w, stem, part[p].rows, part[p].cols);
    }
  snprintf (path, sizeof path, "%s/model.safetensors", folder);
  must (adamix_safetensors_write (path, w->source, w->count, NULL));
  json_t *config =
      json_pack ("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s}", "model_type", "bert", "vocab_size", WORDS,
                 "hidden_size", HIDDEN, "num_hidden_layers", LAYERS, "num_attention_heads", 12, "intermediate_size",
                 FFN, "max_position_embeddings", WORDS, "type_vocab_size", 2, "hidden_act", "gelu");
  snprintf (path, sizeof path, "%s/config.json", folder);
  must (adamix_json_store (config, path, false));
  json_decref (config);
  free (w->values);
  free (w);
}

/* The last layer's output for a few words, into out [WORDS / 2, HIDDEN]. */
static void
encode (const adamix_model *model, float *out)
{
  enum { TOKENS = WORDS / 2 };
  adamix_batch batch;
  adamix_workspace *workspace;
  adamix_view hidden;
  const adamix_workspace_size size = { .passes = 1, .tokens = TOKENS, .sequences = 1, .longest = TOKENS };
  must (adamix_batch_create (&batch, 1, TOKENS));
  must (adamix_workspace_create (&workspace, model, &size));
  batch.sequences = 1;
  batch.tokens = batch.offset[1] = TOKENS;
  for (int t = 0; t < TOKENS; t++) batch.id[t] = t * 7 % WORDS;
  const adamix_forward_args args = { .batch = &batch, .passes = 1 };
  must (adamix_model_forward (model, workspace, &args, &hidden));
  memcpy (out, hidden.data, (size_t) (TOKENS * HIDDEN) * sizeof *out);
  adamix_workspace_destroy (workspace);
  adamix_batch_destroy (&batch);
}

/* PSS of all ranks, in bytes, while all stand still. */
static double
total_memory (adamix_comm *world)
{
  must (adamix_comm_arrive (world));
  double bytes = (double) adamix_memory_pss ();
  must (adamix_comm_arrive (world));
  must (adamix_comm_sum_f64 (world, &bytes, 1));
  return bytes;
}

static void
check (adamix_comm *world, const char *folder)
{
  adamix_compute compute;
  adamix_model *alone, *shared;
  float *expected = malloc ((size_t) WORDS * HIDDEN * sizeof *expected),
        *got = malloc ((size_t) WORDS * HIDDEN * sizeof *got);
  /* Forward and backward copies of all linear layers, which is all but a thousandth of this model. */
  const double weights = 2.0 * LAYERS * (4.0 * HIDDEN * HIDDEN + 2.0 * HIDDEN * FFN) * sizeof (float);
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  /* Each for itself first: afterwards the libraries have all they keep, and what is taken then is taken for weights. */
  must (adamix_model_open (&alone, folder, &compute));
  must (adamix_model_pack (alone, true));
  encode (alone, expected);
  adamix_model_destroy (alone);
  must (adamix_model_open (&shared, folder, &compute));
  double before = total_memory (world);
  must (adamix_model_pack_node (shared, world, true));
  encode (shared, got);
  double taken = total_memory (world) - before;
  expect (taken < 1.15 * weights, "%d ranks take %.1f MB for %.1f MB of packed weights", world->size, taken / 1e6,
          weights / 1e6);
  expect (memcmp (got, expected, (size_t) (WORDS / 2 * HIDDEN) * sizeof *got) == 0, "rank %d computes something else",
          world->rank);
  adamix_model_destroy (shared);
  free (expected);
  free (got);
}

int
main (int argc, char **argv)
{
  adamix_comm world;
  char folder[64] = "";
  MPI_Init (&argc, &argv);
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  if (world.rank == 0) {
    snprintf (folder, sizeof folder, "%s", "/tmp/adamix-test.XXXXXX");
    if (!mkdtemp (folder)) return 1;
    write_model (folder);
  }
  must (adamix_comm_broadcast (&world, 0, folder, sizeof folder));
  check (&world, folder);
  must (adamix_comm_arrive (&world));
  if (world.rank == 0) must (adamix_directory_remove (folder));
  adamix_comm_destroy (&world);
  MPI_Finalize ();
  return failures > 0;
}
