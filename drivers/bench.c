#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const driver_command benches[] = {
  { "bench step", "[--shape NAME | --model DIR [--task NAME --data DIR]] [options]",
    "training steps of this machine, beside its GEMM", bench_step },
  { "bench gemm", "[--shape NAME | --model DIR] [options]", "GEMM at the shapes of a model's frozen layers",
    bench_gemm },
  { "bench comm", "[--json]", "the collectives of training, under mpirun or srun", bench_comm },
  { "bench scaling", "[--shape NAME | --model DIR] [options]",
    "steps on 1 to 4,096 ranks, predicted from what is measured under mpirun or srun", bench_scaling },
};
#define BENCHES (sizeof benches / sizeof *benches)

static void
print_usage (const driver_command *self, FILE *stream)
{
  fprintf (stream, "usage: adamix %s %s\n%s\n\n", self->name, self->arguments, self->help);
  for (size_t i = 0; i < BENCHES; i++) fprintf (stream, "  %-14s %s\n", benches[i].name, benches[i].help);
  fprintf (stream, "\n'adamix bench BENCH --help' lists the options of a bench.\n");
}

int
driver_bench (const driver_command *self, int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp (name, "--help") == 0 || strcmp (name, "-h") == 0) {
    print_usage (self, stdout);
    return 0;
  }
  for (size_t i = 0; i < BENCHES; i++)
    if (strcmp (benches[i].name + strlen ("bench "), name) == 0)
      return benches[i].main (&benches[i], argc - 1, argv + 1);
  if (*name)
    fprintf (stderr, "adamix: there is no bench '%s'\n", name);
  else
    fprintf (stderr, "adamix: which bench?\n");
  print_usage (self, stderr);
  return adamix_err_exit_status (ADAMIX_EUSAGE);
}

void
bench_print_json (const json_t *json)
{
  enum { DIGITS = 6 };
  json_dumpf (json, stdout, JSON_INDENT (2) | JSON_REAL_PRECISION (DIGITS));
  putchar ('\n');
}

adamix_err
bench_require_ranks (const driver_command *self, const driver_session *session)
{
  if (session->world.size > 1) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "one rank has nobody to communicate with: start two or more, for instance "
                         "'mpirun -n 2 adamix %s', or one and more on each of several nodes",
                         self->name);
}
