#include <adamix/comm.h>

#include <stdlib.h>
#include <string.h>

adamix_err
adamix_comm_same (adamix_comm *comm, const char *what, const void *data, int64_t bytes)
{
  adamix_err err = ADAMIX_OK;
  adamix_sha256 mine = { 0 };
  int64_t *offsets = NULL;
  void *gathered = NULL;
  if (comm->size == 1) return ADAMIX_OK;
  err = adamix_sha256_memory (&mine, data, (size_t) bytes);
  if (!err) err = ADAMIX_ALLOC (offsets, comm->size + 1);
  ADAMIX_TRY (adamix_comm_agree (comm, err));
  ADAMIX_TRY (adamix_comm_gather_all (comm, &mine, sizeof mine, &gathered, offsets));
  const adamix_sha256 *all = gathered;
  for (int r = 1; r < comm->size && !err; r++)
    if (strcmp (all[r].hex, all[0].hex) != 0)
      err =
          adamix_err_set (ADAMIX_ENUMERIC,
                          "%s should be the same on all ranks, but rank %d of %d has other values than rank 0: faulty "
                          "memory, or processors or libraries that differ between nodes",
                          what, r, comm->size);
done:
  free (gathered);
  free (offsets);
  return err;
}
