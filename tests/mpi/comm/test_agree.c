/* A failure on some ranks becomes the same failure on all. */
#include "expect.h"

/* Rank `first` and those after it, by `stride`, fail, each with its own message. */
static void
check_failing (adamix_comm *comm, int first, int stride)
{
  adamix_err local = ADAMIX_OK;
  char expected[64];
  if (comm->rank >= first && (comm->rank - first) % stride == 0)
    local = adamix_err_set (comm->rank == first ? ADAMIX_EDATA : ADAMIX_EIO, "line %d is bad", comm->rank);
  adamix_err agreed = adamix_comm_agree (comm, local);
  int skip = comm->size > 1 ? 0 : (int) strlen ("rank 0: ");
  snprintf (expected, sizeof expected, "rank %d: line %d is bad", first, first);
  expect (agreed == ADAMIX_EDATA, "%s", adamix_err_text (agreed));
  expect (strcmp (adamix_err_message (), expected + skip) == 0, "\"%s\", not \"%s\"", adamix_err_message (),
          expected + skip);
}

static void
check_alike (adamix_comm *comm)
{
  adamix_err agreed = adamix_comm_agree (comm, adamix_err_set (ADAMIX_EEXIST, "run: already exists"));
  expect (agreed == ADAMIX_EEXIST, "%s", adamix_err_text (agreed));
  expect (strcmp (adamix_err_message (), "run: already exists") == 0, "%s", adamix_err_message ());
}

/* The same message with another code is not the same failure. */
static void
check_codes_differ (adamix_comm *comm)
{
  adamix_err local = adamix_err_set (comm->rank ? ADAMIX_EIO : ADAMIX_ENOMEM, "bad");
  expect (adamix_comm_agree (comm, local) == ADAMIX_ENOMEM, "not the code of rank 0");
  expect (strcmp (adamix_err_message (), comm->size > 1 ? "rank 0: bad" : "bad") == 0, "%s", adamix_err_message ());
}

/* Who cannot communicate does not wait for others, who may wait elsewhere. */
static void
check_broken (adamix_comm *comm)
{
  if (comm->rank == 0)
    expect (adamix_comm_agree (comm, adamix_err_set (ADAMIX_EMPI, "broken")) == ADAMIX_EMPI, "not the failure itself");
  must (adamix_comm_agree (comm, ADAMIX_OK));
}

int
main (int argc, char **argv)
{
  adamix_comm world;
  MPI_Init (&argc, &argv);
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  must (adamix_comm_agree (&world, ADAMIX_OK));
  for (int first = 0; first < world.size; first++) {
    check_failing (&world, first, 1);
    check_failing (&world, first, 2);
    check_failing (&world, first, world.size);
    must (adamix_comm_agree (&world, ADAMIX_OK));
  }
  check_alike (&world);
  check_codes_differ (&world);
  check_broken (&world);
  adamix_comm_destroy (&world);
  MPI_Finalize ();
  return EXIT_SUCCESS;
}
