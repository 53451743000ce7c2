#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct scaling_config {
  bench_workload workload;
  int64_t batch, max_ranks, ranks_per_node;
  double latency, bandwidth; /* us, GB/s; 0: none given */
  bool check;
} scaling_config;

#define AT(member) offsetof (scaling_config, member)

static const adamix_option own_rows[] = {
  { "batch", ADAMIX_OPTION_INTEGER, AT (batch), "512", NULL, 1, 1e6, "N", "examples a step in strong scaling" },
  { "max-ranks", ADAMIX_OPTION_INTEGER, AT (max_ranks), "4096", NULL, 1, 65536, "N", "most ranks to predict for" },
  { "ranks-per-node", ADAMIX_OPTION_INTEGER, AT (ranks_per_node), "64", NULL, 1, 4096, "N",
    "ranks on a node of the cluster that is predicted" },
  { "wire-latency", ADAMIX_OPTION_REAL, AT (latency), "0", NULL, 0, 1e6, "US",
    "predict for a network of this latency between nodes too, in microseconds" },
  { "wire-bandwidth", ADAMIX_OPTION_REAL, AT (bandwidth), "0", NULL, 0, 1e6, "GBS",
    "and of this bandwidth of a node, in GB/s" },
  { "check", ADAMIX_OPTION_FLAG, AT (check), "false", NULL, 0, 0, NULL,
    "make the steps of 1, 2, 4, ... ranks that there are, beside their predictions" },
};
#define OWN_ROWS ((int) (sizeof own_rows / sizeof *own_rows))

/* Networks that are assumed where there is none to measure: what their kind is known to reach between two nodes. */
static const struct {
  const char *name, *help;
  adamix_link link;
} assumed[] = { { "infiniband", "100 Gb/s InfiniBand, assumed: 1.5 us, 12 GB/s", { 1.5e-6, 12e9 } },
                { "ethernet", "10 Gb/s Ethernet with TCP, assumed: 30 us, 1.1 GB/s", { 30e-6, 1.1e9 } } };
#define ASSUMED ((int) (sizeof assumed / sizeof *assumed))

/* All that is measured, and what is made of it. */
typedef struct study {
  const scaling_config *config;
  bench_inputs *inputs;
  adamix_comm *world;
  bench_links links;
  adamix_step_times together; /* of all ranks, an example each */
  adamix_params shared;       /* sizes alone */
  adamix_dataset examples;    /* for the largest batch */
  adamix_scaling_args args;
} study;

/* ---- measuring ------------------------------------------------------------------------------------------------------------- */

static adamix_err
measure_steps (const study *s, adamix_comm *comm, const adamix_dataset *train, int64_t batch, adamix_step_times *out)
{
  adamix_train_config config = s->config->workload.train;
  config.batch = batch;
  const adamix_measure_args args = { .config = &config,
                                     .world = comm,
                                     .model = s->inputs->model,
                                     .compute = &s->inputs->compute,
                                     .train = train,
                                     .outputs = s->inputs->outputs,
                                     .steps = s->config->workload.steps };
  return adamix_train_measure (&args, out);
}

/* Each rank for itself, all at the same time, since a node's ranks share its memory: 1, 4, 16, ... examples of the mean
 * length. */
static adamix_err
measure_curve (study *s)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm alone = { .handle = MPI_COMM_NULL };
  adamix_dataset even = { 0 };
  adamix_step_curve *curve = &s->args.curve;
  const bench_workload *w = &s->config->workload;
  ADAMIX_TRY (adamix_comm_split (&alone, s->world, s->world->rank));
  ADAMIX_TRY (adamix_comm_agree (s->world, bench_draw (&even, w, s->inputs->model, w->examples * 2, 0)));
  for (int64_t n = 1; curve->points < ADAMIX_CURVE_POINTS; n = n * 4 < w->examples ? n * 4 : w->examples) {
    adamix_step_times times;
    ADAMIX_TRY (adamix_comm_arrive (s->world));
    ADAMIX_TRY (adamix_comm_agree (s->world, measure_steps (s, &alone, &even, n, &times)));
    ADAMIX_TRY (adamix_comm_sum_f64 (s->world, &times.seconds, 1));
    curve->tokens[curve->points] = times.tokens;
    curve->seconds[curve->points++] = times.seconds / s->world->size;
    if (n == w->examples) break;
  }
done:
  adamix_dataset_destroy (&even);
  adamix_comm_destroy (&alone);
  return err;
}

/* What predictions need besides: the links, a rotation's work, sizes of sets. */
static adamix_err
measure (study *s)
{
  const scaling_config *c = s->config;
  adamix_exchange_volume volume;
  ADAMIX_RETURN_IF (bench_links_measure (&s->links, s->world));
  ADAMIX_RETURN_IF (measure_curve (s));
  ADAMIX_RETURN_IF (measure_steps (s, s->world, &s->inputs->train, s->world->size, &s->together));
  const adamix_train_config *train = &c->workload.train;
  const adamix_step_times *t = &s->together;
  s->shared = (adamix_params){ .count = t->shared_values, .rows = t->shared_rows };
  adamix_scaling_args *a = &s->args;
  a->policy = adamix_placement_policy_find (train->placement);
  a->placement =
      (adamix_placement_args){ t->shape.layers, train->experts, train->experts_per_rank, (uint64_t) train->seed };
  a->shape = t->has_bank ? &t->shape : NULL;
  a->shared = &s->shared;
  a->rotate_every = train->rotate_every;
  a->examples = &s->examples;
  a->seed = (uint64_t) train->seed;
  ADAMIX_RETURN_IF (adamix_exchange_volume_of (&volume, a->policy, &a->placement, a->shape, a->shared, s->world->size));
  const double communication = adamix_rotation_cost (&volume, &s->links.network, ADAMIX_ALLREDUCE_FLAT);
  a->rotation_seconds = fmax (t->rotation - communication, 0);
  return ADAMIX_OK;
}

/* ---- predicting -------------------------------------------------------------------------------------------------------------- */

/* Weak: as many examples of a rank; strong: one batch. */
static int64_t
batch_of (const scaling_config *c, bool weak, int ranks)
{
  return weak ? c->workload.examples * ranks : c->batch;
}

static json_t *
point_json (const adamix_scaling_point *p, const adamix_scaling_point *base)
{
  json_t *json = json_pack ("{s:i, s:I, s:f, s:f, s:I, s:f, s:f}", "ranks", p->ranks, "batch", (json_int_t) p->batch,
                            "tokens", p->tokens, "imbalance", p->imbalance, "idle_ranks", (json_int_t) p->idle, "cut",
                            p->cut, "compute", p->compute);
  for (adamix_allreduce a = 0; a < ADAMIX_ALLREDUCES; a++)
    json_object_set_new (json, adamix_allreduce_name (a),
                         json_pack ("{s:f, s:f, s:f, s:f, s:f}", "exchange", p->by[a].exchange, "rotation",
                                    p->by[a].rotation, "seconds", p->by[a].seconds, "tokens_per_second",
                                    p->tokens / p->by[a].seconds, "efficiency",
                                    adamix_scaling_efficiency (p, base, a)));
  return json;
}

static void
print_point (const adamix_scaling_point *p, const adamix_scaling_point *base)
{
  printf ("%6d %7lld %6lld %9.3f %10.4g %10.4g", p->ranks, (long long) p->batch, (long long) p->idle, p->imbalance,
          p->compute, p->cut);
  for (adamix_allreduce a = 0; a < ADAMIX_ALLREDUCES; a++)
    printf (" %10.3g %10.3g %6.1f %%", p->by[a].exchange, p->by[a].rotation,
            100 * adamix_scaling_efficiency (p, base, a));
  putchar ('\n');
}

static void
print_heading (const char *network, const char *kind)
{
  printf ("\n%s scaling, %s\n%6s %7s %6s %9s %10s %10s", kind, network, "ranks", "batch", "idle", "imbalance",
          "compute", "cut");
  for (adamix_allreduce a = 0; a < ADAMIX_ALLREDUCES; a++)
    printf (" %21s %8s", "exchange  rotation", adamix_allreduce_name (a));
  putchar ('\n');
}

/* Powers of two from one rank on. */
static adamix_err
predict_series (const study *s, const char *network, bool weak, json_t *out)
{
  const scaling_config *c = s->config;
  const char *kind = weak ? "weak" : "strong";
  json_t *points = json_array ();
  adamix_scaling_point base, point;
  json_array_append_new (out, json_pack ("{s:s, s:s, s:o}", "network", network, "kind", kind, "points", points));
  if (!c->workload.json) print_heading (network, kind);
  for (int ranks = 1; ranks <= c->max_ranks; ranks *= 2) {
    ADAMIX_RETURN_IF (adamix_scaling_predict (&s->args, ranks, batch_of (c, weak, ranks), &point));
    if (ranks == 1) base = point;
    json_array_append_new (points, point_json (&point, &base));
    if (!c->workload.json) print_point (&point, &base);
  }
  return ADAMIX_OK;
}

static adamix_err
predict_on (study *s, const char *name, const adamix_link *wire, json_t *networks, json_t *series)
{
  s->args.network = s->links.network;
  s->args.network.wire = *wire;
  s->args.network.ranks_per_node = (int) s->config->ranks_per_node;
  json_object_set_new (networks, name, bench_link_json (wire, 1));
  ADAMIX_RETURN_IF (predict_series (s, name, true, series));
  return predict_series (s, name, false, series);
}

/* On every network that is assumed, measured or given. */
static adamix_err
predict (study *s, json_t *networks, json_t *series)
{
  const scaling_config *c = s->config;
  const adamix_link given = { c->latency * 1e-6, c->bandwidth * 1e9 };
  for (int i = 0; i < ASSUMED; i++)
    ADAMIX_RETURN_IF (predict_on (s, assumed[i].name, &assumed[i].link, networks, series));
  if (s->links.has_wire) ADAMIX_RETURN_IF (predict_on (s, "measured", &s->links.network.wire, networks, series));
  return given.bandwidth > 0 ? predict_on (s, "given", &given, networks, series) : ADAMIX_OK;
}

/* ---- checking ------------------------------------------------------------------------------------------------------------------ */

static void
report_check (const study *s, const char *kind, const adamix_scaling_point *p, const adamix_step_times *t, json_t *out)
{
  const double rotation = s->args.rotate_every > 0 ? t->rotation / (double) s->args.rotate_every : 0;
  const double measured = t->tokens / (t->seconds + rotation);
  const double predicted = p->tokens / p->by[ADAMIX_ALLREDUCE_FLAT].seconds;
  json_array_append_new (out, json_pack ("{s:s, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "kind", kind, "ranks",
                                         p->ranks, "batch", (json_int_t) p->batch, "measured_tokens_per_second",
                                         measured, "predicted_tokens_per_second", predicted, "predicted_over_measured",
                                         predicted / measured, "measured_exchange", t->exchange, "predicted_exchange",
                                         p->by[ADAMIX_ALLREDUCE_FLAT].exchange, "measured_wait", t->wait,
                                         "measured_rotation", rotation));
  if (!s->config->workload.json)
    printf ("%-6s %6d %6lld %12.1f %12.1f %10.3f\n", kind, p->ranks, (long long) p->batch, measured, predicted,
            predicted / measured);
}

/* The first `ranks` ranks train, the others wait. */
static adamix_err
check_one (study *s, bool weak, int ranks, json_t *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm some = { .handle = MPI_COMM_NULL };
  adamix_scaling_point point;
  adamix_step_times times;
  const int64_t batch = batch_of (s->config, weak, ranks);
  ADAMIX_TRY (adamix_comm_split (&some, s->world, s->world->rank < ranks));
  if (s->world->rank < ranks) err = measure_steps (s, &some, &s->inputs->train, batch, &times);
  ADAMIX_TRY (adamix_comm_agree (s->world, err));
  if (s->world->rank > 0) goto done;
  s->args.network = s->links.network;
  ADAMIX_TRY (adamix_scaling_predict (&s->args, ranks, batch, &point));
  report_check (s, weak ? "weak" : "strong", &point, &times, out);
done:
  adamix_comm_destroy (&some);
  return err;
}

static adamix_err
check (study *s, json_t *out)
{
  if (!s->config->workload.json && s->world->rank == 0)
    printf ("\nsteps that were made, tokens/s\n%-6s %6s %6s %12s %12s %10s\n", "kind", "ranks", "batch", "measured",
            "predicted", "ratio");
  for (int weak = 1; weak >= 0; weak--)
    for (int ranks = 1; ranks <= s->world->size; ranks *= 2) ADAMIX_RETURN_IF (check_one (s, weak, ranks, out));
  return ADAMIX_OK;
}

/* ---- the command ------------------------------------------------------------------------------------------------------------- */

static json_t *
curve_json (const adamix_step_curve *curve)
{
  json_t *json = json_array ();
  for (int i = 0; i < curve->points; i++)
    json_array_append_new (json, json_pack ("{s:f, s:f}", "tokens", curve->tokens[i], "seconds", curve->seconds[i]));
  return json;
}

static json_t *
describe (const study *s, const driver_session *session)
{
  const scaling_config *c = s->config;
  const bench_workload *w = &c->workload;
  adamix_exchange_volume v;
  json_t *out = bench_describe (w, s->inputs, session);
  json_t *more = json_pack (
      "{s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}", "tokens_per_example", w->tokens, "spread", w->spread,
      "examples_per_rank", (json_int_t) w->examples, "batch", (json_int_t) c->batch, "ranks_per_node",
      (json_int_t) c->ranks_per_node, "rotate_every", (json_int_t) s->args.rotate_every, "rotation_seconds",
      s->together.rotation, "rotation_work_seconds", s->args.rotation_seconds, "node_link",
      bench_link_json (&s->links.network.node, s->links.node_factor), "curve", curve_json (&s->args.curve));
  json_object_update (out, more);
  json_decref (more);
  const int most = (int) c->max_ranks;
  if (adamix_exchange_volume_of (&v, s->args.policy, &s->args.placement, s->args.shape, s->args.shared, most) ==
      ADAMIX_OK)
    json_object_set_new (out, "bytes",
                         json_pack ("{s:f, s:f, s:i, s:f}", "shared", v.shared, "experts", v.experts, "groups",
                                    v.groups, "rotation", v.groups * (3 * v.values + v.rows)));
  return out;
}

static adamix_err
run (study *s, const driver_session *session)
{
  adamix_err err = ADAMIX_OK;
  const scaling_config *c = s->config;
  const bench_workload *w = &c->workload;
  json_t *out = NULL, *networks = json_object (), *series = json_array (), *checks = json_array ();
  const int64_t most = w->examples * c->max_ranks > c->batch ? w->examples * c->max_ranks : c->batch;
  ADAMIX_TRY (adamix_comm_agree (s->world, bench_draw (&s->examples, w, s->inputs->model, most, w->spread)));
  ADAMIX_TRY (measure (s));
  if (s->world->rank == 0) err = predict (s, networks, series);
  ADAMIX_TRY (adamix_comm_agree (s->world, err));
  if (c->check) ADAMIX_TRY (check (s, checks));
  if (s->world->rank > 0 || !w->json) goto done;
  out = describe (s, session);
  json_object_set (out, "networks", networks);
  json_object_set (out, "series", series);
  json_object_set (out, "check", checks);
  bench_print_json (out);
done:
  json_decref (checks);
  json_decref (series);
  json_decref (networks);
  json_decref (out);
  return err;
}

static adamix_err
check_config (const driver_command *self, const driver_session *session, const scaling_config *c)
{
  if ((c->latency > 0) != (c->bandwidth > 0))
    return adamix_err_set (ADAMIX_EUSAGE, "--wire-latency and --wire-bandwidth go together");
  if (c->workload.train.task)
    return adamix_err_set (ADAMIX_EUSAGE, "--task: predictions draw their examples; see --tokens and --spread");
  return bench_require_ranks (self, session);
}

int
bench_scaling (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  adamix_options *options = NULL;
  scaling_config config = { 0 };
  bench_inputs inputs = { 0 };
  bench_table table;
  study study = { .config = &config, .inputs = &inputs, .world = &session.world };
  bench_table_fill (&table, own_rows, OWN_ROWS);
  if (driver_help (self, table.row, table.rows, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  err = bench_parse (&options, &table, argc, argv, &config.workload);
  if (!err) err = check_config (self, &session, &config);
  ADAMIX_TRY (adamix_comm_agree (&session.world, err));
  /* Steps on all ranks take what weak and strong scaling take of them, the warm-up step too. */
  const int64_t largest = config.workload.examples * session.world.size;
  const int64_t batch = largest > config.batch ? largest : config.batch;
  ADAMIX_TRY (bench_open (&inputs, &config.workload, &session, batch * (config.workload.steps + 1)));
  ADAMIX_TRY (run (&study, &session));
done:
  adamix_dataset_destroy (&study.examples);
  bench_close (&inputs);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
