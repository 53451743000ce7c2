/* Experts change their owners with all that belongs to them: between any two checkpoints of consecutive steps, each
 * expert's values, moments and t are in the relation of one update of AdamW, whoever owned it before and after.
 *   m' = b1 m + (1 - b1) g   and   v' = b2 v + (1 - b2) g^2   tell the same g, and p' follows from p, m', v' and t'.
 * The moving average goes with them:   a' = a + (p' - a) (1 - d) / (1 - d^step). */
#include <adamix/train.h>

#include <float.h>
#include <math.h>
#include <unistd.h>

#include "comm/expect.h"

enum { STEPS = 12, ROWS = 24, PATH = 256 };
#define BETA1   0.9
#define BETA2   0.999
#define EPSILON 1e-8
#define DECAY   0.8

/* ---- a short training ---------------------------------------------------------------------------------------------- */

static void
write_texts (const char *path)
{
  static const char *const word[] = { "dog", "mat", "table", "sad", "card", "bank", "money" };
  FILE *file = fopen (path, "w");
  fprintf (file, "text\tlabel\n");
  for (int r = 0; r < ROWS; r++)
    fprintf (file, "the %s ran on the %s%s\t%s\n", word[r % 7], word[(r * 3 + 1) % 7], r % 3 ? "" : " cat",
             r % 3 ? "none" : "cat");
  fclose (file);
}

static void
train (adamix_comm *world, const char *folder, char *rotate_every, char *experts_per_rank, char *save_every,
       adamix_train_config *config)
{
  char model[2 * PATH], texts[2 * PATH], run[2 * PATH];
  int count;
  const adamix_option *table = adamix_train_options (&count);
  adamix_options *options;
  adamix_train_results results;
  snprintf (model, sizeof model, "%s/tests/golden/bert-tiny", getenv ("ADAMIX_SOURCE"));
  snprintf (texts, sizeof texts, "%s/texts.tsv", folder);
  snprintf (run, sizeof run, "%s/run", folder);
  char *argument[] = { "train",
                       "--model",
                       model,
                       "--train-file",
                       texts,
                       "--text-column",
                       "text",
                       "--label-column",
                       "label",
                       "--task-type",
                       "classification",
                       "--output",
                       run,
                       "--force",
                       "--rank",
                       "8",
                       "--pool",
                       "mean",
                       "--experts",
                       "4",
                       "--lr",
                       "1e-2",
                       "--batch",
                       "8",
                       "--max-length",
                       "16",
                       "--max-steps",
                       "12",
                       "--save-every",
                       save_every,
                       "--keep",
                       "99",
                       "--ema",
                       "0.8",
                       "--rotate-every",
                       rotate_every,
                       "--experts-per-rank",
                       experts_per_rank };
  must (adamix_options_create (&options, table, count));
  must (adamix_options_parse (options, (int) (sizeof argument / sizeof *argument), argument, NULL, 0, NULL));
  must (adamix_options_store (options, config));
  must (adamix_train_config_check (config, options));
  const adamix_train_args args = { .config = config, .options = options, .world = world, .threads = 1 };
  must (adamix_train_run (&args, &results));
  adamix_train_results_destroy (&results);
  adamix_options_destroy (options);
}

/* ---- two checkpoints beside each other ------------------------------------------------------------------------------ */

typedef struct checkpoint {
  adamix_safetensors values, optimizer, ema;
} checkpoint;

static void
open_checkpoint (checkpoint *out, const char *folder, int step)
{
  char path[2 * PATH];
  snprintf (path, sizeof path, "%s/run/checkpoints/step-%d/experts.safetensors", folder, step);
  must (adamix_safetensors_open (&out->values, path));
  snprintf (path, sizeof path, "%s/run/checkpoints/step-%d/optimizer.safetensors", folder, step);
  must (adamix_safetensors_open (&out->optimizer, path));
  snprintf (path, sizeof path, "%s/run/checkpoints/step-%d/ema.safetensors", folder, step);
  must (adamix_safetensors_open (&out->ema, path));
}

static void
close_checkpoint (checkpoint *c)
{
  adamix_safetensors_close (&c->values);
  adamix_safetensors_close (&c->optimizer);
  adamix_safetensors_close (&c->ema);
}

static double
element (const adamix_safetensors *file, const char *name, const char *ending, int64_t e)
{
  char full[PATH];
  float value;
  snprintf (full, sizeof full, "%s%s", name, ending);
  const adamix_stored_tensor *tensor = adamix_safetensors_find (file, full);
  expect (tensor, "%s has no tensor %s", file->path, full);
  memcpy (&value, (const char *) tensor->data + (size_t) e * sizeof value, sizeof value);
  return value;
}

/* Each stored number carries half a unit in the last place of its own; what follows from a difference of two carries
 * those of both, magnified by what the difference is divided by. */
static void
check_element (const checkpoint *before, const checkpoint *after, const char *name, int64_t e, double t, double lr,
               double decay)
{
  const double m0 = element (&before->optimizer, name, ".exp_avg", e),
               m = element (&after->optimizer, name, ".exp_avg", e);
  const double v0 = element (&before->optimizer, name, ".exp_avg_sq", e);
  const double v = element (&after->optimizer, name, ".exp_avg_sq", e);
  const double p0 = element (&before->values, name, "", e), p = element (&after->values, name, "", e);
  const double g = (m - BETA1 * m0) / (1 - BETA1), g_slack = 2 * FLT_EPSILON * (fabs (m) + fabs (m0)) / (1 - BETA1);
  const double square = (v - BETA2 * v0) / (1 - BETA2), square_slack = 2 * FLT_EPSILON * (v + v0) / (1 - BETA2);
  expect (fabs (g * g - square) <= 2 * fabs (g) * g_slack + g_slack * g_slack + square_slack + FLT_MIN,
          "%s [%d] at t = %g: the moments tell gradients whose squares are %g and %g", name, (int) e, t, g * g, square);
  const double correction = sqrt (1 - pow (BETA2, t)) / (1 - pow (BETA1, t));
  const double moved = t > 0 ? p0 - lr * correction * m / (sqrt (v) + EPSILON) : p0;
  const double wanted = t > 0 ? moved - lr * decay * moved : p0;
  expect (fabs (p - wanted) <= 4 * FLT_EPSILON * (fabs (p0) + fabs (p0 - p)), "%s [%d] at t = %g: %.9g instead of %.9g",
          name, (int) e, t, p, wanted);
}

/* Two roundings of numbers of the size of the average and the value. */
static void
check_average (const checkpoint *before, const checkpoint *after, const char *name, int64_t e, int step)
{
  const double a0 = element (&before->ema, name, "", e), a = element (&after->ema, name, "", e);
  const double p = element (&after->values, name, "", e);
  const double wanted = a0 + (p - a0) * (1 - DECAY) / (1 - pow (DECAY, step));
  expect (fabs (a - wanted) <= FLT_EPSILON * (fabs (a0) + fabs (p)), "%s [%d] at step %d: an average of %.9g, not %.9g",
          name, (int) e, step, a, wanted);
}

static void
check_step (const char *folder, int step, const adamix_train_config *config)
{
  checkpoint before, after;
  int used = 0;
  const double lr = adamix_schedule_linear (config->lr, config->warmup, step - 1, STEPS);
  open_checkpoint (&before, folder, step - 1);
  open_checkpoint (&after, folder, step);
  for (int64_t i = 0; i < after.values.tensors; i++) {
    const adamix_stored_tensor *tensor = &after.values.tensor[i];
    const double t0 = element (&before.optimizer, tensor->name, ".step", 0);
    const double t = element (&after.optimizer, tensor->name, ".step", 0);
    const double decay = strstr (tensor->name, ".weight") ? config->weight_decay : 0;
    expect (t0 > 0 ? t == t0 + 1 : t == 0 || t == 1, "%s: t goes from %g to %g at step %d", tensor->name, t0, t, step);
    used += t > 0;
    for (int64_t e = 0; e < tensor->count; e++) check_element (&before, &after, tensor->name, e, t, lr, decay);
    for (int64_t e = 0; e < tensor->count; e++) check_average (&before, &after, tensor->name, e, step);
  }
  expect (used > 4, "only %d tensors were trained up to step %d", used, step);
  close_checkpoint (&before);
  close_checkpoint (&after);
}

/* The last checkpoint's values, optimizer and averages. */
enum { FILES = 3 };

static void
hash_last (const char *folder, adamix_sha256 out[FILES])
{
  static const char *const name[FILES] = { "experts", "optimizer", "ema" };
  for (int i = 0; i < FILES; i++) {
    char path[2 * PATH];
    snprintf (path, sizeof path, "%s/run/checkpoints/step-%d/%s.safetensors", folder, STEPS, name[i]);
    must (adamix_sha256_file (&out[i], path));
  }
}

/* Checkpoints gather the experts too, so rotation has to be right without one before it: the end is the same. */
static void
check_end (const char *folder, const adamix_sha256 saved[FILES])
{
  adamix_sha256 unsaved[FILES];
  hash_last (folder, unsaved);
  for (int i = 0; i < FILES; i++)
    expect (strcmp (saved[i].hex, unsaved[i].hex) == 0, "without checkpoints in between the end is another");
}

int
main (int argc, char **argv)
{
  static const struct {
    char *rotate_every, *experts_per_rank;
  } cases[] = { { "1", "1" }, { "3", "2" }, { "0", "2" } };
  adamix_comm world;
  adamix_train_config config;
  char folder[PATH], texts[2 * PATH];
  MPI_Init (&argc, &argv);
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  snprintf (folder, sizeof folder, "%s/adamix-rotation.XXXXXX", getenv ("TMPDIR") ? getenv ("TMPDIR") : "/tmp");
  expect (world.rank > 0 || mkdtemp (folder), "cannot make %s", folder);
  must (adamix_comm_broadcast (&world, 0, folder, sizeof folder));
  snprintf (texts, sizeof texts, "%s/texts.tsv", folder);
  if (world.rank == 0) write_texts (texts);
  must (adamix_comm_arrive (&world));
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    adamix_sha256 saved[FILES];
    train (&world, folder, cases[c].rotate_every, cases[c].experts_per_rank, "1", &config);
    for (int step = 2; world.rank == 0 && step <= STEPS; step++) check_step (folder, step, &config);
    if (world.rank == 0) hash_last (folder, saved);
    must (adamix_comm_arrive (&world));
    train (&world, folder, cases[c].rotate_every, cases[c].experts_per_rank, "12", &config);
    if (world.rank == 0) check_end (folder, saved);
    must (adamix_comm_arrive (&world));
  }
  if (world.rank == 0) must (adamix_directory_remove (folder));
  adamix_comm_destroy (&world);
  MPI_Finalize ();
  return 0;
}
