/* adamix/comm.h - communicators, deterministic sums, agreement on errors.
 *
 * Everything works without MPI: a communicator of size 1 that was made from MPI_COMM_NULL never calls MPI, so one process
 * needs no launcher.  Communicators are arguments, duplicated and owned by whoever made them; MPI_COMM_WORLD appears only
 * in drivers and tests.  MPI calls return their errors (MPI_ERRORS_RETURN), which become EMPI.
 * Counts are int64_t and are cut into pieces where MPI wants int.                                                       */
#ifndef ADAMIX_COMM_H
#define ADAMIX_COMM_H

#include <adamix/base.h>

#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct adamix_comm {
  MPI_Comm handle; /* owned duplicate; MPI_COMM_NULL: a single process without MPI */
  int rank, size;
  double seconds; /* spent inside collectives of this communicator, this rank */
  double waited;  /* of these: waiting for the slowest rank to arrive; only known where adamix_comm_arrive is called */
} adamix_comm;

/* Did a launcher (mpirun, srun --mpi=pmix) start this process?  And with which rank; 0 without one.  Read from the
 * environment, so also before MPI is started.  Local. */
bool adamix_comm_launched (void);
int adamix_comm_launched_rank (void);
/* Did it start all of them on this node?  False where the environment does not tell.  Local. */
bool adamix_comm_launched_on_node (void);

/* Duplicate `parent` (MPI_COMM_NULL: one process).  Collective over parent. */
adamix_err adamix_comm_create (adamix_comm *out, MPI_Comm parent);
/* Ranks of one `color` form a communicator, ordered by rank in `parent`.  Collective over parent. */
adamix_err adamix_comm_split (adamix_comm *out, const adamix_comm *parent, int color);
/* The ranks that share memory with this one.  Collective over parent. */
adamix_err adamix_comm_split_node (adamix_comm *out, const adamix_comm *parent);
/* Collective over comm. */
void adamix_comm_destroy (adamix_comm *comm);

/* Memory that the ranks of a node have in common, or each for itself where they cannot. */
typedef struct adamix_node_memory {
  void *data; /* [bytes], aligned to a page */
  size_t bytes;
  bool shared;      /* by all ranks of `node` */
  adamix_arena own; /* where it is not */
  adamix_comm node; /* owned */
} adamix_node_memory;

/* In /dev/shm, else in an unlinked file in $TMPDIR or /tmp, where there is room; else private.  Collective over world.
 * Errors: ENOMEM, on all ranks of a node, but not of others; EMPI. */
adamix_err adamix_node_memory_create (adamix_node_memory *out, adamix_comm *world, size_t bytes);
/* Collective over the node. */
void adamix_node_memory_destroy (adamix_node_memory *memory);

/* All of the following: Collective over comm, in place on `data`, the same bits on every rank, and the same bits again in
 * a run with the same ranks.  Errors: EMPI. */
adamix_err adamix_comm_sum_f32 (adamix_comm *comm, float *data, int64_t count);
adamix_err adamix_comm_sum_f64 (adamix_comm *comm, double *data, int64_t count);
/* NaN has no order: a rank that may hold one says so through a sum. */
adamix_err adamix_comm_max_f64 (adamix_comm *comm, double *data, int64_t count);
/* sum [count] = all ranks' parts, added one by one from zero in the order of ranks, and of the parts of a rank: the same bits
 * however the parts are dealt to neighbouring ranks.  parts [n,count] of this rank; n may differ, 0 is fine. */
adamix_err adamix_comm_sum_ordered_f32 (adamix_comm *comm, const float *parts, int64_t n, int64_t count, float *sum);
/* `bytes` from rank `root` to all. */
adamix_err adamix_comm_broadcast (adamix_comm *comm, int root, void *data, int64_t bytes);
/* Each rank gives `bytes` (they may differ, 0 is fine); *out is the concatenation in the order of ranks on every rank,
 * offsets[r] .. offsets[r + 1] its part r (offsets: size + 1 values of the caller's).  *out is owned (free). */
adamix_err adamix_comm_gather_all (adamix_comm *comm, const void *data, int64_t bytes, void **out, int64_t *offsets);
/* Wait until all have arrived; the time counts as waiting.  Splits waiting from communication in the step's record. */
adamix_err adamix_comm_arrive (adamix_comm *comm);

/* Do all ranks hold the same bytes?  By their SHA-256.  ENUMERIC on all ranks if not, naming `what` and the first rank that
 * differs from rank 0.  `bytes` may differ too.  Collective over comm. */
adamix_err adamix_comm_same (adamix_comm *comm, const char *what, const void *data, int64_t bytes);

/* Rank-local work may fail on one rank: all ranks call this with their own result before the next collective.  All return
 * the same code: that of the lowest failing rank, whose message is kept on every rank as "rank r: message" (without the
 * prefix if all fail alike or there is one rank).  A rank whose communication failed (EMPI) cannot agree with anyone: it returns
 * at once, and its process has to end the others (MPI_Abort).  Collective over comm. */
adamix_err adamix_comm_agree (adamix_comm *comm, adamix_err local);

/* ---- what collectives cost ---------------------------------------------------------------------------------------------
 *
 * A model for machines that are not at hand: a message of n bytes between two ranks takes latency + n / bandwidth.  Ranks lie
 * on nodes in blocks of neighbours; within a node all pairs are alike, and a node has one wire, whose bandwidth its ranks
 * share.  All of these are pure; seconds; a single rank pays nothing. */

typedef struct adamix_link {
  double latency;   /* seconds */
  double bandwidth; /* bytes a second */
} adamix_link;

typedef struct adamix_network {
  adamix_link node; /* between two ranks of a node */
  adamix_link wire; /* between two nodes */
  int ranks_per_node;
} adamix_network;

/* The link that explains the times of messages best, by the least sum of squared relative errors.  Errors: EDATA unless two
 * sizes differ. */
adamix_err adamix_link_fit (adamix_link *out, const double *bytes, const double *seconds, int samples);
double adamix_link_seconds (const adamix_link *link, double bytes);

typedef enum adamix_allreduce {
  ADAMIX_ALLREDUCE_FLAT, /* the best of recursive doubling, halving and doubling, and a ring, over all ranks alike */
  ADAMIX_ALLREDUCE_HIERARCHICAL, /* to a rank of each node, the best of these among nodes, and back */
  ADAMIX_ALLREDUCES
} adamix_allreduce;
const char *adamix_allreduce_name (adamix_allreduce algorithm); /* "flat", ... */

/* adamix_comm_sum_... of `bytes` over W ranks.  With p ranks on one node, link latency a, time b a byte, n bytes:
 *   recursive doubling   log2 (p) (a + n b)               what goes beyond a power of two costs two rounds more
 *   halving, doubling    2 (log2 (p) a + (p-1)/p n b)
 *   ring                 2 (p-1) (a + n/p b)               */
double adamix_cost_sum (const adamix_network *network, adamix_allreduce algorithm, int ranks, double bytes);
/* adamix_comm_broadcast: by a tree of nodes, then in each node, log2 (p) (a + n b), or scattered and gathered as above. */
double adamix_cost_broadcast (const adamix_network *network, int ranks, double bytes);
/* An all-gather of `bytes` a rank: log2 (p) a + (p-1) n b. */
double adamix_cost_gather (const adamix_network *network, int ranks, double bytes);
/* adamix_comm_arrive where all arrive at once: log2 (p) a. */
double adamix_cost_arrive (const adamix_network *network, int ranks);

#ifdef __cplusplus
}
#endif
#endif
