/* bench.h - what the benches share: their table, the workload of a training step, the machine's links. */
#ifndef ADAMIX_BENCH_H
#define ADAMIX_BENCH_H

#include "driver.h"

int bench_step (const driver_command *self, int argc, char **argv);
int bench_gemm (const driver_command *self, int argc, char **argv);
int bench_comm (const driver_command *self, int argc, char **argv);
int bench_scaling (const driver_command *self, int argc, char **argv);

/* ---- options ------------------------------------------------------------------------------------------------------------- */

/* What a bench of training steps is asked for. */
typedef struct bench_workload {
  const char *shape;
  double tokens, spread;
  int64_t examples, steps; /* examples: of a rank and step */
  bool json;
  adamix_train_config train; /* model, task, data, and what a step depends on */
} bench_workload;

#define BENCH_MAX_OPTIONS 48

/* A bench's table: rows of its own, those of a workload, and those of `adamix train` that a step depends on.  The config that
 * they fill starts with a bench_workload. */
typedef struct bench_table {
  adamix_option row[BENCH_MAX_OPTIONS];
  int rows;
} bench_table;
void bench_table_fill (bench_table *table, const adamix_option *own, int count);
/* Parse into `workload`, which starts the bench's config, with the defaults and checks of `adamix train`. */
adamix_err bench_parse (adamix_options **options, const bench_table *table, int argc, char **argv,
                        bench_workload *workload);

/* ---- a model and examples ---------------------------------------------------------------------------------------------------- */

typedef struct bench_inputs {
  adamix_compute compute;
  adamix_model *model; /* packed */
  adamix_dataset train;
  int64_t outputs;
} bench_inputs;

/* The workload's model, and at least `examples` examples: of its task, or drawn.  Collective over the session's world. */
adamix_err bench_open (bench_inputs *out, const bench_workload *workload, driver_session *session, int64_t examples);
void bench_close (bench_inputs *inputs);
/* Drawn examples of a workload; spread 0: all of its mean length. */
adamix_err bench_draw (adamix_dataset *out, const bench_workload *workload, const adamix_model *model, int64_t examples,
                       double spread);
/* {"model": ..., "tokens_per_example": ..., ...}: what was measured.  New reference. */
json_t *bench_describe (const bench_workload *workload, const bench_inputs *inputs, const driver_session *session);

/* ---- measuring ------------------------------------------------------------------------------------------------------------- */

/* GEMM of a model's frozen linear layers: forward and input gradient, best of several. */
typedef struct bench_gemm_row {
  const char *name;
  int64_t n, k;             /* W [N,K] */
  double forward, backward; /* FLOP a second of this rank */
} bench_gemm_row;
enum { BENCH_GEMM_ROWS = 4 };
/* All ranks at once; *rate is that of a layer, all ranks together.  Collective over world. */
adamix_err bench_gemm_measure (adamix_comm *world, const adamix_compute *compute, const adamix_model_config *config,
                               int64_t rows, bench_gemm_row out[BENCH_GEMM_ROWS], double *rate);

/* A collective that training uses. */
typedef struct bench_collective {
  const char *name;
  bool sized; /* it moves bytes: those of the array, or of each rank's part */
  adamix_err (*run) (adamix_comm *comm, void *data, int64_t bytes);
} bench_collective;
const bench_collective *bench_collectives (int *count);

/* Of the slowest rank, where all started together; seconds. */
#define BENCH_SIZES 12
typedef struct bench_times {
  int sizes;
  double bytes[BENCH_SIZES], median[BENCH_SIZES], least[BENCH_SIZES];
} bench_times;
/* Collective over comm. */
adamix_err bench_times_measure (bench_times *out, adamix_comm *comm, const bench_collective *collective);

/* The links that all-reduces between two ranks show: of a node, and of two nodes if there are two.  The factor is the largest
 * between a time and what its link says. */
typedef struct bench_links {
  adamix_network network; /* ranks_per_node: the most on any node here */
  int nodes;
  bool has_node, has_wire;
  double node_factor, wire_factor;
} bench_links;
/* Collective over a world of more than one rank. */
adamix_err bench_links_measure (bench_links *out, adamix_comm *world);
/* {"latency_seconds": ..., "bandwidth_bytes_per_second": ..., "worst_factor": ...}.  New reference. */
json_t *bench_link_json (const adamix_link *link, double factor);
/* EUSAGE for one rank alone: what there is to measure, and how. */
adamix_err bench_require_ranks (const driver_command *self, const driver_session *session);

/* JSON to standard output. */
void bench_print_json (const json_t *json);

#endif
