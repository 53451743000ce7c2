/* Models without a file. */
#include <adamix/model.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static adamix_compute compute;

static adamix_model *
draw (const char *shape, uint64_t seed, int threads)
{
  adamix_model *model;
  cr_assert_eq (adamix_compute_select (&compute, "auto", "auto", threads), ADAMIX_OK);
  cr_assert_eq (adamix_model_draw (&model, shape, seed, &compute), ADAMIX_OK, "%s", adamix_err_message ());
  return model;
}

/* Parameters as transformers counts them, without the pooler for RoBERTa, whose head does not read it; biases
 * are the 0.1 M that AdaMix's tables give for BitFit on BERT-base. */
Test (drawn, has_the_sizes_of_the_model_that_it_is_named_after)
{
  static const struct {
    const char *shape, *architecture;
    int64_t parameters, biases, longest;
    bool pooler, mean;
  } row[] = { { "minilm", "bert", 22713216, 26112, 512, true, true },
              { "bert-base", "bert", 109482240, 102912, 512, true, false } };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    adamix_model *model = draw (row[i].shape, 0, 2);
    const adamix_model_config *config = adamix_model_config_of (model);
    cr_expect_str_eq (config->architecture, row[i].architecture);
    cr_expect_eq (config->longest, row[i].longest);
    cr_expect_eq (adamix_model_parameters (model), row[i].parameters, "%s", row[i].shape);
    cr_expect_eq (adamix_model_trainable_parameters (model, ADAMIX_TRAIN_BIASES), row[i].biases, "%s", row[i].shape);
    cr_expect_eq (adamix_model_has_pooler (model), row[i].pooler);
    cr_expect_eq (adamix_model_wants_mean (model), row[i].mean);
    const char *hash;
    cr_assert_eq (adamix_model_hash (model, &hash), ADAMIX_OK);
    cr_expect_str_eq (hash, "");
    adamix_model_destroy (model);
  }
}

/* The mean of n values strays from 0 by deviation / sqrt (n), their mean square from its own by sqrt (2 / n): five times
 * that is never seen. */
static void
check_values (const adamix_tensor *tensor)
{
  double sum = 0, squares = 0, n = (double) tensor->count, expected = strstr (tensor->name, "Norm.weight") != NULL;
  for (int64_t i = 0; i < tensor->count; i++) {
    sum += tensor->data[i];
    squares += (double) tensor->data[i] * tensor->data[i];
  }
  if (tensor->rank == 1) {
    cr_expect (sum == n * expected && squares == n * expected, "%s is not all %g", tensor->name, expected);
    return;
  }
  cr_expect_float_eq (sum / n, 0, 5 * 0.02 / sqrt (n), "%s has the mean %g", tensor->name, sum / n);
  cr_expect_float_eq (squares / n / (0.02 * 0.02), 1, 5 * sqrt (2 / n), "%s: %g", tensor->name, squares / n);
}

Test (drawn, begins_as_an_untrained_model_does)
{
  int64_t count;
  adamix_model *model = draw ("minilm", 0, 2);
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  cr_assert_eq (count, 5 + 2 + 6 * 16);
  for (int64_t t = 0; t < count; t++) check_values (&tensor[t]);
  adamix_model_destroy (model);
}

Test (drawn, depends_on_the_seed_alone)
{
  int64_t count;
  adamix_model *model[] = { draw ("minilm", 1, 1), draw ("minilm", 1, 2), draw ("minilm", 2, 2) };
  const adamix_tensor *first = adamix_model_tensors (model[0], &count);
  const adamix_tensor *again = adamix_model_tensors (model[1], &count);
  const adamix_tensor *other = adamix_model_tensors (model[2], &count);
  for (int64_t t = 0; t < count; t++) {
    const size_t bytes = (size_t) first[t].count * sizeof (float);
    cr_expect (memcmp (first[t].data, again[t].data, bytes) == 0, "%s", first[t].name);
    cr_expect ((memcmp (first[t].data, other[t].data, bytes) == 0) == (first[t].rank == 1), "%s", first[t].name);
  }
  for (int i = 0; i < 3; i++) adamix_model_destroy (model[i]);
}

Test (drawn, refuses_other_names)
{
  adamix_model *model;
  cr_assert_eq (adamix_compute_select (&compute, "auto", "auto", 1), ADAMIX_OK);
  cr_expect_eq (adamix_model_draw (&model, "gpt-5", 0, &compute), ADAMIX_EUSAGE);
  cr_expect (strstr (adamix_err_message (), "gpt-5") && strstr (adamix_err_message (), adamix_model_shapes ()));
  cr_expect_null (model);
}
