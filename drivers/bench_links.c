#include "bench.h"

#include <math.h>
#include <stdlib.h>

/* ---- collectives --------------------------------------------------------------------------------------------------------- */

static adamix_err
sum (adamix_comm *comm, void *data, int64_t bytes)
{
  return adamix_comm_sum_f32 (comm, data, bytes / (int64_t) sizeof (float));
}

static adamix_err
broadcast (adamix_comm *comm, void *data, int64_t bytes)
{
  return adamix_comm_broadcast (comm, 0, data, bytes);
}

/* As rotation does it: from one rank a group, here from the first. */
static adamix_err
gather (adamix_comm *comm, void *data, int64_t bytes)
{
  adamix_err err = ADAMIX_OK;
  int64_t *offsets = NULL;
  void *all = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (offsets, comm->size + 1));
  ADAMIX_TRY (adamix_comm_gather_all (comm, data, comm->rank == 0 ? bytes : 0, &all, offsets));
done:
  free (all);
  free (offsets);
  return err;
}

static adamix_err
arrive (adamix_comm *comm, void *data, int64_t bytes)
{
  (void) data;
  (void) bytes;
  return adamix_comm_arrive (comm);
}

static const bench_collective collectives[] = {
  { "all-reduce", true, sum },
  { "broadcast", true, broadcast },
  { "gather", true, gather },
  { "barrier", false, arrive },
};

const bench_collective *
bench_collectives (int *count)
{
  *count = (int) (sizeof collectives / sizeof *collectives);
  return collectives;
}

/* ---- times ----------------------------------------------------------------------------------------------------------------- */

/* A size is repeated for about so long, within these bounds. */
#define SECONDS           0.1
#define LEAST_REPETITIONS 5
#define MOST_REPETITIONS  500

static adamix_err
repeat (adamix_comm *comm, const bench_collective *collective, void *data, int64_t bytes, double *seconds, int n)
{
  for (int i = 0; i < n; i++) {
    ADAMIX_RETURN_IF (adamix_comm_arrive (comm));
    const double start = adamix_clock ();
    ADAMIX_RETURN_IF (collective->run (comm, data, bytes));
    seconds[i] = adamix_clock () - start;
  }
  return adamix_comm_max_f64 (comm, seconds, n);
}

/* The first calls, which set connections up, say how often to repeat: the same on all ranks, since they agree on the time. */
static adamix_err
time_size (adamix_comm *comm, const bench_collective *collective, void *data, int64_t bytes, double *median,
           double *least)
{
  double seconds[MOST_REPETITIONS];
  ADAMIX_RETURN_IF (repeat (comm, collective, data, bytes, seconds, 2));
  const double wanted = fmin (SECONDS / seconds[1], MOST_REPETITIONS);
  const int n = wanted > LEAST_REPETITIONS ? (int) wanted : LEAST_REPETITIONS;
  ADAMIX_RETURN_IF (repeat (comm, collective, data, bytes, seconds, n));
  *median = adamix_median (seconds, n);
  *least = seconds[0];
  return ADAMIX_OK;
}

adamix_err
bench_times_measure (bench_times *out, adamix_comm *comm, const bench_collective *collective)
{
  adamix_err err = ADAMIX_OK;
  float *data = NULL;
  int64_t bytes = 2 * sizeof *data;
  *out = (bench_times){ .sizes = collective->sized ? BENCH_SIZES : 1 };
  const int64_t most = bytes << 2 * (BENCH_SIZES - 1);
  ADAMIX_TRY (adamix_comm_agree (comm, ADAMIX_ALLOC (data, most / (int64_t) sizeof *data)));
  for (int i = 0; i < out->sizes; i++, bytes *= 4) {
    out->bytes[i] = collective->sized ? (double) bytes : 0;
    ADAMIX_TRY (time_size (comm, collective, data, bytes, &out->median[i], &out->least[i]));
  }
done:
  free (data);
  return err;
}

/* ---- links ----------------------------------------------------------------------------------------------------------------- */

/* What all-reduces between the two ranks of a pair say of the link between them. */
static adamix_err
fit_pair (adamix_comm *pair, adamix_link *link, double *worst)
{
  bench_times times;
  ADAMIX_RETURN_IF (bench_times_measure (&times, pair, &collectives[0]));
  ADAMIX_RETURN_IF (adamix_link_fit (link, times.bytes, times.median, times.sizes));
  *worst = 1;
  for (int i = 0; i < times.sizes; i++) {
    const double factor = adamix_link_seconds (link, times.bytes[i]) / times.median[i];
    *worst = fmax (*worst, fmax (factor, 1 / factor));
  }
  return ADAMIX_OK;
}

/* Neighbours of `among` form pairs, all of which communicate at once; the link of the first one is told to all of `world`.
 * *there is false if no rank has a neighbour. */
static adamix_err
measure_link (adamix_comm *world, const adamix_comm *among, bool take_part, bool *there, adamix_link *link,
              double *worst)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm pair = { .handle = MPI_COMM_NULL };
  /* latency, bandwidth, factor, and who has them: the lowest rank is the one with the largest `first`. */
  double found[4] = { 0 }, first;
  ADAMIX_TRY (adamix_comm_split (&pair, among, take_part ? among->rank / 2 : among->size));
  if (take_part && pair.size == 2) {
    adamix_link own = { 0 };
    err = fit_pair (&pair, &own, &found[2]);
    found[0] = own.latency;
    found[1] = own.bandwidth;
    found[3] = world->size - world->rank;
  }
  ADAMIX_TRY (adamix_comm_agree (world, err));
  first = found[3];
  ADAMIX_TRY (adamix_comm_max_f64 (world, &first, 1));
  *there = first > 0;
  if (!*there) goto done;
  ADAMIX_TRY (adamix_comm_broadcast (world, world->size - (int) first, found, sizeof found));
  *link = (adamix_link){ found[0], found[1] };
  *worst = found[2];
done:
  adamix_comm_destroy (&pair);
  return err;
}

adamix_err
bench_links_measure (bench_links *out, adamix_comm *world)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm node = { .handle = MPI_COMM_NULL }, leaders = node;
  *out = (bench_links){ 0 };
  ADAMIX_TRY (adamix_comm_split_node (&node, world));
  double nodes = node.rank == 0, most = node.size;
  ADAMIX_TRY (adamix_comm_sum_f64 (world, &nodes, 1));
  ADAMIX_TRY (adamix_comm_max_f64 (world, &most, 1));
  out->nodes = (int) nodes;
  out->network.ranks_per_node = (int) most;
  ADAMIX_TRY (measure_link (world, &node, true, &out->has_node, &out->network.node, &out->node_factor));
  ADAMIX_TRY (adamix_comm_split (&leaders, world, node.rank == 0 ? 0 : 1));
  /* Where no message goes over a wire, any will do for the cost model. */
  out->network.wire = out->network.node;
  ADAMIX_TRY (measure_link (world, &leaders, node.rank == 0, &out->has_wire, &out->network.wire, &out->wire_factor));
done:
  adamix_comm_destroy (&leaders);
  adamix_comm_destroy (&node);
  return err;
}

json_t *
bench_link_json (const adamix_link *link, double factor)
{
  return json_pack ("{s:f, s:f, s:f}", "latency_seconds", link->latency, "bandwidth_bytes_per_second", link->bandwidth,
                    "worst_factor", factor);
}
