#include "bench.h"

#include <stdlib.h>

/* What a step says of this machine. */
typedef struct summary {
  adamix_step_times times;
  double flops_per_token; /* nominal: of the frozen linear layers */
  double gemm, reached;   /* FLOP a second: of GEMM alone, and of the nominal work of steps; all ranks */
  double executed;        /* FLOP a second of the products that were made */
} summary;

/* All passes, forward and input gradient: two FLOP each for a parameter and token. */
static double
nominal_flops (const bench_inputs *inputs, int64_t passes)
{
  return 4.0 * (double) passes * (double) adamix_model_linear_parameters (adamix_model_config_of (inputs->model));
}

static adamix_err
measure (const bench_workload *w, const bench_inputs *inputs, adamix_comm *world, summary *out)
{
  adamix_train_config config = w->train;
  bench_gemm_row row[BENCH_GEMM_ROWS];
  config.batch = w->examples * world->size;
  const adamix_measure_args args = { .config = &config,
                                     .world = world,
                                     .model = inputs->model,
                                     .compute = &inputs->compute,
                                     .train = &inputs->train,
                                     .outputs = inputs->outputs,
                                     .steps = w->steps };
  ADAMIX_RETURN_IF (adamix_train_measure (&args, &out->times));
  const adamix_step_times *t = &out->times;
  const int64_t rows = (int64_t) ((double) t->passes * t->tokens / world->size);
  ADAMIX_RETURN_IF (
      bench_gemm_measure (world, &inputs->compute, adamix_model_config_of (inputs->model), rows, row, &out->gemm));
  out->flops_per_token = nominal_flops (inputs, t->passes);
  out->reached = out->flops_per_token * t->tokens / t->seconds;
  out->executed = adamix_profile_flops (&t->profile) / t->seconds;
  return ADAMIX_OK;
}

static const struct {
  const char *key, *text;
} STAGES[] = {
#define STAGE_ROW(name, key, text) { key, text },
  ADAMIX_STAGES (STAGE_ROW)
#undef STAGE_ROW
};

static json_t *
kernels_json (const adamix_profile *profile)
{
  json_t *out = json_object ();
  for (int i = 0; i < ADAMIX_STAGE_COUNT; i++)
    json_object_set_new (out, STAGES[i].key,
                         json_pack ("{s:f, s:f}", "seconds", profile->seconds[i], "flops", profile->flops[i]));
  return out;
}

static void
print_json (const bench_workload *w, const bench_inputs *inputs, const driver_session *session, const summary *s)
{
  const adamix_step_times *t = &s->times;
  json_t *out = bench_describe (w, inputs, session);
  json_t *rest = json_pack (
      "{s:I, s:f, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}, s:o, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I}",
      "steps", (json_int_t) w->steps, "examples_per_step", t->examples, "tokens_per_step", t->tokens,
      "seconds_per_step", t->seconds, "tokens_per_second", t->tokens / t->seconds, "examples_per_second",
      t->examples / t->seconds, "phases", "differentiate", t->differentiate, "wait", t->wait, "exchange", t->exchange,
      "update", t->update, "kernels", kernels_json (&t->profile), "seconds_per_rotation", t->rotation,
      "frozen_parameters", (json_int_t) adamix_model_linear_parameters (adamix_model_config_of (inputs->model)),
      "nominal_flops_per_token", s->flops_per_token, "nominal_flops_per_second", s->reached, "gemm_flops_per_second",
      s->gemm, "nominal_share", s->reached / s->gemm, "executed_flops_per_second", s->executed, "executed_share",
      s->executed / s->gemm, "peak_rss_bytes", (json_int_t) adamix_memory_peak_rss ());
  json_object_update (out, rest);
  bench_print_json (out);
  json_decref (rest);
  json_decref (out);
}

/* What the time between the first and the last layer went to. */
static void
print_kernels (const adamix_step_times *t)
{
  const double giga = 1e9;
  for (int i = 0; i < ADAMIX_STAGE_COUNT; i++) {
    const double seconds = t->profile.seconds[i], flops = t->profile.flops[i];
    if (seconds == 0) continue;
    printf ("    %-29s %5.4g s %6.2f %%", STAGES[i].text, seconds, 100 * seconds / t->seconds);
    if (flops > 0) printf (" %7.1f GFLOP/s", flops / seconds / giga);
    printf ("\n");
  }
}

static void
print_text (const bench_workload *w, const bench_inputs *inputs, const driver_session *session, const summary *s)
{
  const double giga = 1e9;
  const adamix_step_times *t = &s->times;
  printf ("%s, %d rank%s x %d thread%s, %s in %s and %s kernels\n", w->shape ? w->shape : w->train.model,
          session->world.size, session->world.size == 1 ? "" : "s", inputs->compute.threads,
          inputs->compute.threads == 1 ? "" : "s", adamix_gemm_name (inputs->compute.gemm),
          adamix_gemm_precision (inputs->compute.frozen), inputs->compute.kernels->isa);
  printf ("a step of %.0f examples, %.0f tokens: %.4g s, %.0f tokens/s, %.1f examples/s (mean of %lld steps)\n",
          t->examples, t->tokens, t->seconds, t->tokens / t->seconds, t->examples / t->seconds, (long long) w->steps);
  const struct {
    const char *name;
    double seconds;
  } phases[] = { { "forward, loss, backward", t->differentiate },
                 { "waiting for slower ranks", t->wait },
                 { "exchange", t->exchange },
                 { "update", t->update } };
  for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
    printf ("  %-26s %10.4g s %6.2f %%\n", phases[i].name, phases[i].seconds, 100 * phases[i].seconds / t->seconds);
    if (i == 0) print_kernels (t);
  }
  if (t->rotation > 0) printf ("  a rotation of ownership    %10.4g s\n", t->rotation);
  printf (
      "%.4g GFLOP a token nominally: %.1f GFLOP/s, %.2f of what GEMM alone reaches here (%.1f); executed %.1f, %.2f\n",
      s->flops_per_token / giga, s->reached / giga, s->reached / s->gemm, s->gemm / giga, s->executed / giga,
      s->executed / s->gemm);
}

int
bench_step (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  adamix_options *options = NULL;
  bench_workload workload = { 0 };
  bench_inputs inputs = { 0 };
  bench_table table;
  adamix_profile profile = { 0 };
  summary summary = { 0 };
  bench_table_fill (&table, NULL, 0);
  if (driver_help (self, table.row, table.rows, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (adamix_comm_agree (&session.world, bench_parse (&options, &table, argc, argv, &workload)));
  const int64_t batch = workload.examples * session.world.size;
  ADAMIX_TRY (bench_open (&inputs, &workload, &session, batch * (workload.train.task ? 1 : workload.steps + 1)));
  inputs.compute.profile = &profile;
  ADAMIX_TRY (measure (&workload, &inputs, &session.world, &summary));
  if (session.world.rank == 0) (workload.json ? print_json : print_text) (&workload, &inputs, &session, &summary);
done:
  bench_close (&inputs);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
