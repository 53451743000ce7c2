#include "bench.h"

#include <math.h>
#include <stdlib.h>

/* Each product is made for so long, and at least so often; the fastest counts. */
#define SECONDS     0.2
#define REPETITIONS 5

/* One frozen layer and what goes through it; rows have room for whole blocks. */
typedef struct product {
  adamix_linear *linear;
  float *x, *y;
  void *narrow; /* x or y as they are multiplied; not needed in fp32 */
  int64_t rows, n, k;
} product;

static void
destroy (product *p)
{
  free (p->narrow);
  free (p->y);
  free (p->x);
  adamix_linear_destroy (p->linear);
}

static adamix_err
create (product *p, const adamix_compute *compute, int64_t rows, int64_t n, int64_t k)
{
  adamix_err err = ADAMIX_OK;
  const int64_t room = (rows + ADAMIX_ROW_BLOCK - 1) / ADAMIX_ROW_BLOCK * ADAMIX_ROW_BLOCK;
  const adamix_rng rng = adamix_rng_stream (0, ADAMIX_RNG_BACKBONE);
  float *weight = NULL;
  *p = (product){ .rows = rows, .n = n, .k = k };
  ADAMIX_TRY (ADAMIX_ALLOC (weight, n * k));
  ADAMIX_TRY (ADAMIX_ALLOC (p->x, room * k));
  ADAMIX_TRY (ADAMIX_ALLOC (p->y, room * n));
  const size_t narrow = adamix_gemm_narrow_bytes (compute->frozen, room, n > k ? n : k);
  if (narrow) ADAMIX_TRY (adamix_alloc (&p->narrow, (int64_t) narrow, 1));
  adamix_rng_normal (rng, 0, 0, n * k, 0.02, weight);
  adamix_rng_normal (rng, 1, 0, rows * k, 1, p->x);
  const adamix_linear_source source = { .blocks = 1, .weight = { weight }, .rows = { n }, .cols = k };
  ADAMIX_TRY (adamix_linear_create (&p->linear, compute->frozen, &source, true));
done:
  free (weight);
  return err;
}

static adamix_err
forward (product *p)
{
  return adamix_linear_forward (p->linear, adamix_view_of (p->x, p->rows, p->k), adamix_view_of (p->y, p->rows, p->n),
                                p->narrow);
}

static adamix_err
backward (product *p)
{
  return adamix_linear_backward_input (p->linear, adamix_view_of (p->y, p->rows, p->n),
                                       adamix_view_of (p->x, p->rows, p->k), p->narrow);
}

/* FLOP a second. */
static adamix_err
time_product (product *p, adamix_err (*call) (product *p), double *out)
{
  double fastest = INFINITY;
  const double begin = adamix_clock ();
  for (int i = 0; i <= REPETITIONS || adamix_clock () - begin < SECONDS; i++) {
    const double start = adamix_clock ();
    ADAMIX_RETURN_IF (call (p));
    /* The first call makes primitives and touches memory. */
    if (i > 0) fastest = fmin (fastest, adamix_clock () - start);
  }
  *out = 2.0 * (double) (p->rows * p->n * p->k) / fastest;
  return ADAMIX_OK;
}

static adamix_err
measure_row (const adamix_compute *compute, int64_t rows, bench_gemm_row *row)
{
  adamix_err err = ADAMIX_OK;
  product p;
  ADAMIX_TRY (create (&p, compute, rows, row->n, row->k));
  ADAMIX_TRY (time_product (&p, forward, &row->forward));
  ADAMIX_TRY (time_product (&p, backward, &row->backward));
done:
  destroy (&p);
  return err;
}

adamix_err
bench_gemm_measure (adamix_comm *world, const adamix_compute *compute, const adamix_model_config *config, int64_t rows,
                    bench_gemm_row out[BENCH_GEMM_ROWS], double *rate)
{
  adamix_err err = ADAMIX_OK;
  const int64_t h = config->hidden, f = config->ffn;
  const bench_gemm_row shapes[BENCH_GEMM_ROWS] = { { .name = "query, key, value", .n = 3 * h, .k = h },
                                                   { .name = "attention output", .n = h, .k = h },
                                                   { .name = "intermediate", .n = f, .k = h },
                                                   { .name = "output", .n = h, .k = f } };
  double work = 0, seconds = 0;
  for (int i = 0; i < BENCH_GEMM_ROWS && !err; i++) {
    out[i] = shapes[i];
    err = measure_row (compute, rows, &out[i]);
    work += 2 * (double) (out[i].n * out[i].k);
    seconds += (double) (out[i].n * out[i].k) * (1 / out[i].forward + 1 / out[i].backward);
  }
  ADAMIX_RETURN_IF (adamix_comm_agree (world, err));
  *rate = work / seconds;
  return adamix_comm_sum_f64 (world, rate, 1);
}

/* ---- the command ----------------------------------------------------------------------------------------------------------- */

static void
print (const bench_gemm_row *row, double rate, int64_t rows, const driver_session *session, bool json, json_t *out)
{
  const double giga = 1e9;
  json_t *list = json_array ();
  if (!json)
    printf ("GFLOP/s of a rank, %lld rows\n%-20s %6s %6s %9s %9s\n", (long long) rows, "layer", "N", "K", "forward",
            "backward");
  for (int i = 0; i < BENCH_GEMM_ROWS; i++) {
    json_array_append_new (list,
                           json_pack ("{s:s, s:I, s:I, s:f, s:f}", "layer", row[i].name, "n", (json_int_t) row[i].n,
                                      "k", (json_int_t) row[i].k, "forward_flops_per_second", row[i].forward,
                                      "backward_flops_per_second", row[i].backward));
    if (!json)
      printf ("%-20s %6lld %6lld %9.1f %9.1f\n", row[i].name, (long long) row[i].n, (long long) row[i].k,
              row[i].forward / giga, row[i].backward / giga);
  }
  json_object_set_new (out, "rows", json_integer (rows));
  json_object_set_new (out, "layers", list);
  json_object_set_new (out, "gemm_flops_per_second", json_real (rate));
  if (json)
    bench_print_json (out);
  else
    printf ("a whole layer, all %d ranks: %.1f GFLOP/s\n", session->world.size, rate / giga);
}

int
bench_gemm (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  adamix_options *options = NULL;
  bench_workload workload = { 0 };
  bench_inputs inputs = { 0 };
  bench_table table;
  bench_gemm_row row[BENCH_GEMM_ROWS];
  double rate;
  json_t *out = NULL;
  bench_table_fill (&table, NULL, 0);
  if (driver_help (self, table.row, table.rows, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (adamix_comm_agree (&session.world, bench_parse (&options, &table, argc, argv, &workload)));
  ADAMIX_TRY (bench_open (&inputs, &workload, &session, 1));
  /* Two passes over the examples of a rank. */
  const int64_t rows = 2 * (int64_t) (workload.tokens * (double) workload.examples);
  ADAMIX_TRY (
      bench_gemm_measure (&session.world, &inputs.compute, adamix_model_config_of (inputs.model), rows, row, &rate));
  out = bench_describe (&workload, &inputs, &session);
  if (session.world.rank == 0) print (row, rate, rows, &session, workload.json, out);
done:
  json_decref (out);
  bench_close (&inputs);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
