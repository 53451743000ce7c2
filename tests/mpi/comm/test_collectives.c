/* Sums, broadcasts, gathers and sub-communicators: the right values, and the same bits on every rank. */
#include "comm/pieces.h"
#include "expect.h"

enum { SMALL = 5, LARGE = 300001 };

/* Value i of rank r: fractions, so that the order of a sum shows in its bits. */
static double
value_of (int rank, int64_t i)
{
  return 1.0 / (double) (3 + rank * 7 + i % 101);
}

static void
expect_same_bits (adamix_comm *comm, const void *data, size_t bytes)
{
  void *all;
  int64_t *offsets = calloc ((size_t) comm->size + 1, sizeof *offsets);
  must (adamix_comm_gather_all (comm, data, (int64_t) bytes, &all, offsets));
  for (int r = 0; r < comm->size; r++)
    expect (memcmp ((char *) all + offsets[r], data, bytes) == 0, "rank %d has other bits than rank %d", r, comm->rank);
  free (all);
  free (offsets);
}

static void
check_sum_f32 (adamix_comm *comm, int64_t count)
{
  float *data = malloc ((size_t) count * sizeof *data), *again = malloc ((size_t) count * sizeof *again);
  for (int64_t i = 0; i < count; i++) data[i] = again[i] = (float) value_of (comm->rank, i);
  must (adamix_comm_sum_f32 (comm, data, count));
  must (adamix_comm_sum_f32 (comm, again, count));
  expect (memcmp (data, again, (size_t) count * sizeof *data) == 0, "the same sum twice, with different bits");
  for (int64_t i = 0; i < count; i++) {
    double sum = 0;
    for (int r = 0; r < comm->size; r++) sum += value_of (r, i);
    /* size - 1 roundings of half a unit in the last place, and one of each operand */
    expect (data[i] - sum <= comm->size * 0x1p-24 * sum && sum - data[i] <= comm->size * 0x1p-24 * sum, "%g, not %g",
            data[i], sum);
  }
  expect_same_bits (comm, data, (size_t) count * sizeof *data);
  free (data);
  free (again);
}

static void
check_f64 (adamix_comm *comm)
{
  double sum[SMALL], most[SMALL];
  for (int i = 0; i < SMALL; i++) sum[i] = most[i] = (comm->rank + 1) * (i % 2 ? -1.0 : 1.0);
  must (adamix_comm_sum_f64 (comm, sum, SMALL));
  must (adamix_comm_max_f64 (comm, most, SMALL));
  for (int i = 0; i < SMALL; i++) {
    double total = comm->size * (comm->size + 1) / 2.0;
    expect (sum[i] == (i % 2 ? -total : total), "%g", sum[i]);
    expect (most[i] == (i % 2 ? -1.0 : comm->size), "%g", most[i]);
  }
  must (adamix_comm_sum_f64 (comm, NULL, 0));
}

/* Twelve parts dealt to neighbouring ranks: the bits of the sum from left to right, on any number of ranks. */
static void
check_ordered (adamix_comm *comm, int64_t count)
{
  enum { PARTS = 12 };
  const int first = PARTS * comm->rank / comm->size, end = PARTS * (comm->rank + 1) / comm->size;
  float *parts = malloc ((size_t) (PARTS * count) * sizeof *parts), *sum = malloc ((size_t) count * sizeof *sum);
  for (int k = first; k < end; k++)
    for (int64_t i = 0; i < count; i++) parts[(k - first) * count + i] = (float) value_of (k, i);
  must (adamix_comm_sum_ordered_f32 (comm, parts, end - first, count, sum));
  for (int64_t i = 0; i < count; i++) {
    float expected = 0;
    for (int k = 0; k < PARTS; k++) expected += (float) value_of (k, i);
    expect (sum[i] == expected, "%a, not %a", (double) sum[i], (double) expected);
  }
  free (parts);
  free (sum);
}

/* The same bytes everywhere, and one bit of one rank that differs. */
static void
check_same (adamix_comm *comm)
{
  float data[SMALL] = { 1, 2, 3 };
  must (adamix_comm_same (comm, "data", data, sizeof data));
  for (int odd = 1; odd < comm->size; odd++) {
    char expected[32];
    snprintf (expected, sizeof expected, "rank %d of", odd);
    data[SMALL - 1] = comm->rank == odd ? 0x1p-149f : 0;
    adamix_err err = adamix_comm_same (comm, "data", data, sizeof data);
    expect (err == ADAMIX_ENUMERIC && strstr (adamix_err_message (), expected), "rank %d: %s", odd,
            adamix_err_message ());
  }
}

/* A limit of 7 items cuts 1003 of them as INT_MAX would cut billions. */
static void
check_pieces (adamix_comm *comm)
{
  enum { LIMIT = 7, COUNT = 1003 };
  double data[COUNT];
  adamix_comm_operation sum = {
    .call = adamix_comm_call_reduce, .type = MPI_DOUBLE, .item = sizeof *data, .op = MPI_SUM, .name = "sum"
  };
  for (int i = 0; i < COUNT; i++) data[i] = i + comm->rank;
  must (adamix_comm_pieces (comm, &sum, data, COUNT, LIMIT));
  for (int i = 0; i < COUNT; i++)
    expect (data[i] == (double) i * comm->size + comm->size * (comm->size - 1) / 2, "%d: %g", i, data[i]);
}

static void
check_broadcast (adamix_comm *comm)
{
  for (int root = 0; root < comm->size; root++) {
    char data[LARGE];
    memset (data, comm->rank == root ? 'a' + root : 0, sizeof data);
    must (adamix_comm_broadcast (comm, root, data, sizeof data));
    expect (data[0] == 'a' + root && data[LARGE - 1] == 'a' + root, "root %d", root);
  }
}

/* Rank r gives r^2 bytes, rank 0 none. */
static void
check_gather (adamix_comm *comm)
{
  char mine[64];
  void *out;
  int64_t offsets[64], expected = 0;
  memset (mine, 'a' + comm->rank, sizeof mine);
  must (adamix_comm_gather_all (comm, mine, comm->rank * comm->rank, &out, offsets));
  for (int r = 0; r < comm->size; r++) {
    expect (offsets[r] == expected, "part %d begins at %lld", r, (long long) offsets[r]);
    expected += r * r;
    for (int64_t i = offsets[r]; i < expected; i++) expect (((char *) out)[i] == 'a' + r, "byte %lld", (long long) i);
  }
  expect (offsets[comm->size] == expected, "%lld bytes", (long long) offsets[comm->size]);
  free (out);
  must (adamix_comm_gather_all (comm, NULL, 0, &out, offsets));
  expect (out && offsets[comm->size] == 0, "nothing from nobody");
  free (out);
}

static void
check_split (const adamix_comm *world)
{
  adamix_comm part;
  must (adamix_comm_split (&part, world, world->rank % 2));
  expect (part.size == (world->size + 1 - world->rank % 2) / 2, "%d ranks", part.size);
  expect (part.rank == world->rank / 2, "rank %d", part.rank);
  double sum = world->rank;
  must (adamix_comm_sum_f64 (&part, &sum, 1));
  double expected = 0;
  for (int r = world->rank % 2; r < world->size; r += 2) expected += r;
  expect (sum == expected, "%g", sum);
  adamix_comm_destroy (&part);
  expect (part.handle == MPI_COMM_NULL, "destroyed");
}

/* The clock is the same for all ranks of a machine, so that rank 0 can tell the others when it came. */
static void
check_arrive (adamix_comm *comm)
{
  const double pause = 0.01, rounding = 1e-6;
  double seconds = comm->seconds, waited = comm->waited, came = adamix_clock ();
  if (comm->rank == 0)
    while (adamix_clock () - came < pause) continue;
  double last = adamix_clock ();
  must (adamix_comm_arrive (comm));
  double left = adamix_clock (), passed = comm->waited - waited;
  double difference = comm->seconds - seconds - passed;
  expect (passed > 0 && passed <= left - came, "waited %g s of %g s", passed, left - came);
  expect (difference < rounding && difference > -rounding, "waiting is part of the time in collectives");
  must (adamix_comm_broadcast (comm, 0, &last, sizeof last));
  expect (left >= last, "left %g s before rank 0 came", last - left);
}

/* MPI's own errors come back as EMPI with its text. */
static void
check_error (adamix_comm *comm)
{
  char byte = 0;
  expect (adamix_comm_broadcast (comm, comm->size, &byte, 1) == ADAMIX_EMPI, "a root that does not exist");
  expect (strstr (adamix_err_message (), "MPI_Bcast failed") && strstr (adamix_err_message (), "MPI_ERR_ROOT"), "%s",
          adamix_err_message ());
}

int
main (int argc, char **argv)
{
  adamix_comm world;
  MPI_Init (&argc, &argv);
  expect (adamix_comm_launched (), "a launched process does not know it");
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  expect (world.handle != MPI_COMM_WORLD, "not a duplicate");
  check_sum_f32 (&world, SMALL);
  check_sum_f32 (&world, LARGE);
  check_f64 (&world);
  check_same (&world);
  check_ordered (&world, SMALL);
  check_ordered (&world, LARGE);
  check_pieces (&world);
  check_broadcast (&world);
  check_gather (&world);
  check_split (&world);
  check_arrive (&world);
  check_error (&world);
  adamix_comm_destroy (&world);
  adamix_comm_destroy (NULL);
  MPI_Finalize ();
  return EXIT_SUCCESS;
}
