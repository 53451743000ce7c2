#include <adamix/comm.h>

#include <math.h>

/* ---- a link from measured times ------------------------------------------------------------------------------------ */

/* Least squares of the relative errors: each size says as much as another, though times differ a thousandfold. */
adamix_err
adamix_link_fit (adamix_link *out, const double *bytes, const double *seconds, int samples)
{
  double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0, fastest = INFINITY, most = 0;
  for (int i = 0; i < samples; i++) {
    const double u = 1 / seconds[i], v = bytes[i] / seconds[i];
    uu += u * u;
    uv += u * v;
    vv += v * v;
    u1 += u;
    v1 += v;
    fastest = fmin (fastest, seconds[i]);
    most = fmax (most, v);
  }
  const double determinant = uu * vv - uv * uv;
  if (!(determinant > 1e-12 * uu * vv))
    return adamix_err_set (ADAMIX_EDATA, "latency and bandwidth cannot be told from %d times of one size", samples);
  double latency = (u1 * vv - v1 * uv) / determinant, inverse = (v1 * uu - u1 * uv) / determinant;
  if (latency <= 0) {
    latency = fastest;
    inverse = (v1 - latency * uv) / vv;
  }
  *out = (adamix_link){ latency, inverse > 0 ? 1 / inverse : most };
  return ADAMIX_OK;
}

double
adamix_link_seconds (const adamix_link *link, double bytes)
{
  return link->latency + bytes / link->bandwidth;
}

/* ---- algorithms ------------------------------------------------------------------------------------------------------ */

/* How W ranks lie on nodes, in blocks of neighbours. */
typedef struct layout {
  int local, nodes;
} layout;

static layout
lay_out (const adamix_network *network, int ranks)
{
  const int local = ranks < network->ranks_per_node ? ranks : network->ranks_per_node;
  return (layout){ local, (ranks + local - 1) / local };
}

/* Rounds in which p ranks can reach each other in pairs; what goes beyond a power of two is folded into it and unfolded. */
static int
paired_rounds (int p)
{
  int rounds = 0;
  while (2 << rounds <= p) rounds++;
  return 1 << rounds == p ? rounds : rounds + 2;
}

/* Rounds of a binomial tree. */
static int
tree_rounds (int p)
{
  int rounds = 0;
  while (1 << rounds < p) rounds++;
  return rounds;
}

/* Bytes that each of p ranks passes on where an array of `bytes` is scattered over them or gathered from them. */
static double
scattered (int p, double bytes)
{
  return bytes * (p - 1) / p;
}

/* Recursive doubling: all of the array in each round; on the wire all ranks of a node send at once. */
static double
double_recursively (const adamix_network *network, int ranks, double bytes)
{
  const layout at = lay_out (network, ranks);
  return paired_rounds (at.local) * adamix_link_seconds (&network->node, bytes) +
         paired_rounds (at.nodes) * adamix_link_seconds (&network->wire, bytes * at.local);
}

/* Reduce-scatter by halves, then all-gather by doubling (Rabenseifner), neighbours first: on the wire the ranks of a node
 * send different parts of the array, which together are one. */
static double
halve_and_double (const adamix_network *network, int ranks, double bytes)
{
  const layout at = lay_out (network, ranks);
  return 2 * (paired_rounds (at.local) * network->node.latency + scattered (at.local, bytes) / network->node.bandwidth +
              paired_rounds (at.nodes) * network->wire.latency + scattered (at.nodes, bytes) / network->wire.bandwidth);
}

/* 2 (W - 1) rounds of W-ths, each as slow as its slowest link. */
static double
go_round (const adamix_network *network, int ranks, double bytes)
{
  const double part = bytes / ranks, near = adamix_link_seconds (&network->node, part);
  const bool far = lay_out (network, ranks).nodes > 1;
  return 2 * (ranks - 1) * (far ? fmax (near, adamix_link_seconds (&network->wire, part)) : near);
}

static double
flat (const adamix_network *network, int ranks, double bytes)
{
  return fmin (double_recursively (network, ranks, bytes),
               fmin (halve_and_double (network, ranks, bytes), go_round (network, ranks, bytes)));
}

/* From one rank to p or back: by a tree, or scattered first. */
static double
spread (const adamix_link *link, int p, double bytes)
{
  const int rounds = tree_rounds (p);
  return fmin (rounds * adamix_link_seconds (link, bytes),
               2 * (rounds * link->latency + scattered (p, bytes) / link->bandwidth));
}

/* To one rank of each node, among these, and back.  On one node there is nothing to be aware of. */
static double
by_nodes (const adamix_network *network, int ranks, double bytes)
{
  const layout at = lay_out (network, ranks);
  if (at.nodes == 1) return flat (network, ranks, bytes);
  const adamix_network among_nodes = { .node = network->wire, .wire = network->wire, .ranks_per_node = at.nodes };
  return 2 * spread (&network->node, at.local, bytes) + flat (&among_nodes, at.nodes, bytes);
}

/* ---- collectives -------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  double (*seconds) (const adamix_network *network, int ranks, double bytes);
} algorithms[] = {
  [ADAMIX_ALLREDUCE_FLAT] = { "flat", flat }, [ADAMIX_ALLREDUCE_HIERARCHICAL] = { "hierarchical", by_nodes }
};

const char *
adamix_allreduce_name (adamix_allreduce algorithm)
{
  return algorithms[algorithm].name;
}

double
adamix_cost_sum (const adamix_network *network, adamix_allreduce algorithm, int ranks, double bytes)
{
  return ranks > 1 ? algorithms[algorithm].seconds (network, ranks, bytes) : 0;
}

double
adamix_cost_broadcast (const adamix_network *network, int ranks, double bytes)
{
  const layout at = lay_out (network, ranks);
  return spread (&network->wire, at.nodes, bytes) + spread (&network->node, at.local, bytes);
}

/* Recursive doubling of parts: what has come together doubles in each round. */
double
adamix_cost_gather (const adamix_network *network, int ranks, double bytes)
{
  const layout at = lay_out (network, ranks);
  const double node = bytes * at.local, all = node * at.nodes;
  return paired_rounds (at.local) * network->node.latency + scattered (at.local, node) / network->node.bandwidth +
         paired_rounds (at.nodes) * network->wire.latency +
         scattered (at.nodes, all) * at.local / network->wire.bandwidth;
}

double
adamix_cost_arrive (const adamix_network *network, int ranks)
{
  return ranks > 1 ? double_recursively (network, ranks, 0) : 0;
}
