#include "driver.h"

#include <stdio.h>
#include <string.h>

static const driver_command commands[] = {
  { "train", "--model DIR --task NAME --data DIR --output DIR [options]",
    "fine-tune an encoder, alone or under mpirun or srun", driver_train },
  { "eval", "--model DIR --adapter DIR[,DIR...] [--data DIR] [options]", "evaluate finished modules on labelled data",
    driver_eval },
  { "predict", "--model DIR --adapter DIR [--input FILE] [--output FILE]",
    "a line of text in (a pair by tab), a line of JSON out", driver_predict },
  { "merge", "--run DIR[,DIR...] [--merge METHOD|all] [--output DIR] [options]",
    "merge the experts of a finished run once more, or several runs, and tell what it gives", driver_merge },
  { "inspect", "PATH [--json] [--memory [--ranks N] [options of train]]",
    "what a model, run, module or safetensors file holds, how far a run is, what memory a training takes",
    driver_inspect },
  { "encode", "--model DIR [--max-length N]", "token ids of each line of standard input", driver_encode },
  { "sweep", "FILE [--dry-run] [--jobs N] [options] [--slurm [-- OPTION-OF-SBATCH...]]",
    "make the runs of an INI file: settings and grids of them, by seeds", driver_sweep },
  { "report", "RUN...|SWEEP [options] or --compare RUN RUN",
    "a page to look at, tables and plots out of the folders of runs", driver_report },
  { "bench", "step|gemm|comm|scaling [options]", "measure this machine: steps, GEMM, communication, scaling",
    driver_bench },
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void
print_usage (FILE *stream)
{
  fprintf (stream, "usage: adamix COMMAND [options]\n\n");
  for (size_t i = 0; i < COMMANDS; i++) fprintf (stream, "  %-9s %s\n", commands[i].name, commands[i].help);
  fprintf (stream, "\n'adamix COMMAND --help' lists the options of a command; 'adamix --version' tells the version.\n");
}

static int
run_command (const char *name, int argc, char **argv)
{
  if (strcmp (name, "--help") == 0 || strcmp (name, "-h") == 0) {
    print_usage (stdout);
    return 0;
  }
  if (strcmp (name, "--version") == 0) {
    printf ("adamix %s (%s)\n", adamix_version (), adamix_revision ());
    return 0;
  }
  if (strcmp (name, "--faults") == 0 && adamix_fault_list (stdout)) return 0;
  for (size_t i = 0; i < COMMANDS; i++)
    if (strcmp (commands[i].name, name) == 0) return commands[i].main (&commands[i], argc - 1, argv + 1);
  if (*name)
    fprintf (stderr, "adamix: there is no command '%s'\n", name);
  else
    fprintf (stderr, "adamix: which command?\n");
  print_usage (stderr);
  return adamix_err_exit_status (ADAMIX_EUSAGE);
}

int
main (int argc, char **argv)
{
  const adamix_err err = adamix_fault_arm (adamix_comm_launched_rank (), stderr);
  if (err) {
    fprintf (stderr, "adamix: error: %s\n", adamix_err_message ());
    return adamix_err_exit_status (err);
  }
  const int status = run_command (argc > 1 ? argv[1] : "", argc, argv);
  adamix_fault_tell ();
  return status;
}
