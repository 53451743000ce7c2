/* Hidden states and logits of the tiny models against those that transformers gave (tests/golden/make_bert.py,
 * make_models.py).
 *
 * The golden values are right to fp32.  Ours were seen to differ by 5e-7 of the largest, a few units in the last place; 3e-6
 * leaves room for a GEMM that adds in another order.  No mistake in a formula is that small. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { H = 32, LABELS = 5 };
static const double TOLERANCE = 3e-6;

static void
check_logits (adamix_pool pool, const char *name)
{
  fixture fixture;
  run run;
  fixture_open (&fixture, NULL, 2);
  const run_shape shape = { .pool = pool, .outputs = LABELS, .passes = 2, .inference = true };
  run_create (&run, fixture.model, &fixture.batch, &shape, fixture_golden (&fixture, "head.weight", LABELS * H),
              fixture_golden (&fixture, "head.bias", LABELS));
  run_forward (&run);
  int64_t S = fixture.batch.sequences;
  const float *expected = fixture_golden (&fixture, name, S * LABELS);
  cr_assert_eq (run.z.rows, 2 * S);
  for (int pass = 0; pass < 2; ++pass)
    cr_assert_lt (fixture_error (run.z.data + pass * S * LABELS, expected, S * LABELS), TOLERANCE);
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (golden, logits_with_pooler)
{
  check_logits (ADAMIX_POOL_POOLER, "logits.pooler");
}

Test (golden, logits_with_mean)
{
  check_logits (ADAMIX_POOL_MEAN, "logits.mean");
}

/* A model of fewer layers in the same file: its unused tensors are ignored, its output is the state of that layer. */
static void
check_hidden (fixture_copy *copy, int64_t layers)
{
  fixture fixture;
  run run;
  char name[32];
  json_object_set_new (copy->config, "num_hidden_layers", json_integer (layers));
  fixture_copy_write (copy);
  fixture_open (&fixture, copy->dir, 1);
  const run_shape shape = { .pool = ADAMIX_POOL_MEAN, .outputs = 1, .passes = 1, .inference = true };
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run_forward (&run);
  snprintf (name, sizeof name, "hidden.%d", (int) layers);
  int64_t count = fixture.batch.tokens * H;
  cr_expect_lt (fixture_error (run.hidden.data, fixture_golden (&fixture, name, count), count), TOLERANCE);
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (golden, hidden_states_of_every_layer)
{
  fixture_copy copy;
  fixture_copy_begin (&copy);
  for (int64_t layers = 1; layers <= 3; ++layers) check_hidden (&copy, layers);
  fixture_copy_remove (&copy);
}

/* Files of models with a head have a prefix, older ones call LayerNorm's tensors gamma and beta. */
static void
rename_tensors (fixture_copy *copy, char (*name)[128])
{
  static const struct {
    const char *is, *was;
  } ending[] = { { "LayerNorm.weight", "LayerNorm.gamma" }, { "LayerNorm.bias", "LayerNorm.beta" }, { "", "" } };
  for (int64_t i = 0; i < copy->tensors; ++i) {
    size_t length = strlen (copy->tensor[i].name);
    for (size_t e = 0; e < sizeof ending / sizeof *ending; ++e) {
      size_t tail = strlen (ending[e].is);
      if (length < tail || strcmp (copy->tensor[i].name + length - tail, ending[e].is)) continue;
      snprintf (name[i], sizeof name[i], "bert.%.*s%s", (int) (length - tail), copy->tensor[i].name, ending[e].was);
      break;
    }
    copy->tensor[i].name = name[i];
  }
}

Test (golden, prefixed_and_former_names)
{
  static char name[128][128];
  fixture_copy copy;
  fixture_copy_begin (&copy);
  rename_tensors (&copy, name);
  check_hidden (&copy, 3);
  fixture_copy_remove (&copy);
}

/* ---- the other architectures ------------------------------------------------------------------------------------------ */

/* Of a model's last layer; the layers below it are in its way. */
static void
check_architecture (const char *folder, int64_t tensors)
{
  fixture fixture;
  run run;
  char name[32];
  int64_t count;
  fixture_open_golden (&fixture, folder, 2);
  adamix_model_tensors (fixture.model, &count);
  cr_expect_eq (count, tensors);
  const run_shape shape = { .pool = ADAMIX_POOL_POOLER, .outputs = LABELS, .passes = 1, .inference = true };
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  for (int64_t i = 0; i < run.params.rows; ++i) {
    const adamix_param *row = &run.params.row[i];
    memcpy (row->value, fixture_golden (&fixture, row->name, row->count), (size_t) row->count * sizeof (float));
  }
  run_forward (&run);
  const adamix_model_config *config = adamix_model_config_of (fixture.model);
  snprintf (name, sizeof name, "hidden.%d", (int) config->layers);
  int64_t states = fixture.batch.tokens * config->hidden, outputs = fixture.batch.sequences * LABELS;
  cr_expect_lt (fixture_error (run.hidden.data, fixture_golden (&fixture, name, states), states), TOLERANCE);
  cr_expect_lt (fixture_error (run.z.data, fixture_golden (&fixture, "logits", outputs), outputs), TOLERANCE);
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (golden, roberta)
{
  check_architecture ("roberta-tiny", 5 + 2 * 16);
}

Test (golden, distilbert)
{
  check_architecture ("distilbert-tiny", 4 + 2 * 16);
}

Test (golden, electra)
{
  check_architecture ("electra-tiny", 5 + 2 + 2 * 16);
}
