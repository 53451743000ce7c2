/* expect.h - checks in a program of several ranks: the first that fails ends all of them. */
#ifndef ADAMIX_TESTS_MPI_EXPECT_H
#define ADAMIX_TESTS_MPI_EXPECT_H

#include <adamix/comm.h>

#include <stdlib.h>
#include <string.h>

#define expect(condition, ...)                                                                                         \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf (stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                 \
      fprintf (stderr, "" __VA_ARGS__);                                                                                \
      fprintf (stderr, "\n");                                                                                          \
      MPI_Abort (MPI_COMM_WORLD, EXIT_FAILURE);                                                                        \
    }                                                                                                                  \
  } while (0)

#define must(call) expect ((call) == ADAMIX_OK, "%s", adamix_err_message ())

#endif
