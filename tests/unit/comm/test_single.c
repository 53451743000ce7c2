/* A single process without MPI_Init. */
#include <adamix/comm.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test (single, collectives_leave_the_data_alone)
{
  adamix_comm comm, part;
  cr_assert_eq (adamix_comm_create (&comm, MPI_COMM_NULL), ADAMIX_OK);
  cr_assert (comm.rank == 0 && comm.size == 1);
  cr_assert_eq (adamix_comm_split (&part, &comm, 3), ADAMIX_OK);
  cr_assert (part.rank == 0 && part.size == 1 && part.handle == MPI_COMM_NULL);
  float single = 1.5f;
  double wide = 2.5;
  cr_assert_eq (adamix_comm_sum_f32 (&part, &single, 1), ADAMIX_OK);
  cr_assert_eq (adamix_comm_sum_f64 (&comm, &wide, 1), ADAMIX_OK);
  cr_assert_eq (adamix_comm_max_f64 (&comm, &wide, 1), ADAMIX_OK);
  cr_assert_eq (adamix_comm_broadcast (&comm, 0, &wide, sizeof wide), ADAMIX_OK);
  cr_assert_eq (adamix_comm_arrive (&comm), ADAMIX_OK);
  cr_assert (single == 1.5f && wide == 2.5);
  adamix_comm_destroy (&part);
  adamix_comm_destroy (&comm);
}

Test (single, gather_is_a_copy)
{
  adamix_comm comm;
  int64_t offsets[2];
  void *out;
  adamix_comm_create (&comm, MPI_COMM_NULL);
  cr_assert_eq (adamix_comm_gather_all (&comm, "abc", 3, &out, offsets), ADAMIX_OK);
  cr_assert (offsets[0] == 0 && offsets[1] == 3 && memcmp (out, "abc", 3) == 0);
  free (out);
}

Test (single, agreement_is_the_own_result)
{
  adamix_comm comm;
  adamix_comm_create (&comm, MPI_COMM_NULL);
  cr_assert_eq (adamix_comm_agree (&comm, ADAMIX_OK), ADAMIX_OK);
  cr_assert_eq (adamix_comm_agree (&comm, adamix_err_set (ADAMIX_EDATA, "bad")), ADAMIX_EDATA);
  cr_assert_str_eq (adamix_err_message (), "bad");
}

Test (single, launchers_are_known_by_the_environment)
{
  unsetenv ("OMPI_COMM_WORLD_SIZE");
  unsetenv ("PMIX_RANK");
  cr_assert_not (adamix_comm_launched ());
  setenv ("PMIX_RANK", "0", 1);
  cr_assert (adamix_comm_launched ());
  unsetenv ("PMIX_RANK");
  setenv ("OMPI_COMM_WORLD_SIZE", "1", 1);
  cr_assert (adamix_comm_launched ());
}

/* NULL is not there. */
static void
set (const char *name, const char *value)
{
  if (value)
    setenv (name, value, 1);
  else
    unsetenv (name);
}

Test (single, a_launch_on_one_node_is_known_by_the_environment)
{
  static const struct {
    const char *ranks, *here, *pmix, *nodes;
    bool alone;
  } launch[] = { { NULL, NULL, NULL, NULL, false }, /* no launcher */
                 { "4", "4", NULL, NULL, true },    /* mpirun */
                 { "4", "2", NULL, NULL, false },   { "4", NULL, NULL, NULL, false },
                 { NULL, NULL, "0", "1", true }, /* srun */
                 { NULL, NULL, "0", "2", false },   { NULL, NULL, "0", NULL, false },
                 { NULL, NULL, NULL, "1", false }, /* a script of srun's that starts one process */
                 { "4", "2", "0", "1", false } };  /* mpirun from such a script */
  for (size_t i = 0; i < sizeof launch / sizeof *launch; i++) {
    set ("OMPI_COMM_WORLD_SIZE", launch[i].ranks);
    set ("OMPI_COMM_WORLD_LOCAL_SIZE", launch[i].here);
    set ("PMIX_RANK", launch[i].pmix);
    set ("SLURM_STEP_NUM_NODES", launch[i].nodes);
    cr_expect_eq (adamix_comm_launched_on_node (), launch[i].alone, "case %zu", i);
  }
}
