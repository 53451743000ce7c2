#include "driver.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- cores: those in this process's mask, divided among the ranks of the node whose masks meet it ---- */

static int
count_common (const cpu_set_t *a, const cpu_set_t *b)
{
  cpu_set_t both;
  CPU_AND (&both, a, b);
  return CPU_COUNT (&both);
}

static adamix_err
share_cores (driver_session *session, const cpu_set_t *mine)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm node = { .handle = MPI_COMM_NULL };
  cpu_set_t *masks = NULL;
  int64_t *offset = NULL;
  ADAMIX_TRY (adamix_comm_split_node (&node, &session->world));
  ADAMIX_TRY (adamix_comm_agree (&session->world, ADAMIX_ALLOC (offset, node.size + 1)));
  ADAMIX_TRY (adamix_comm_gather_all (&node, mine, sizeof *mine, (void **) &masks, offset));
  int sharing = 0;
  for (int r = 0; r < node.size; r++) sharing += count_common (&masks[r], mine) > 0;
  /* A mask that could not be read meets none, not even itself. */
  session->cores = sharing > 0 && CPU_COUNT (mine) > sharing ? CPU_COUNT (mine) / sharing : 1;
done:
  free (offset);
  free (masks);
  adamix_comm_destroy (&node);
  return err;
}

/* Ranks of one node need no network, but Open MPI would look for one for a fifth of a second.  Where the user chose anything
 * of this, all stays as it is. */
static void
keep_to_node (void)
{
  static const struct {
    const char *name, *value;
  } choice[] = { { "OMPI_MCA_pml", "ob1" }, { "OMPI_MCA_btl", "^openib,ofi,uct" }, { "OMPI_MCA_mtl", NULL } };
  enum { CHOICES = sizeof choice / sizeof *choice };
  bool open = adamix_comm_launched_on_node ();
  for (int i = 0; i < CHOICES; i++) open = open && !getenv (choice[i].name);
  for (int i = 0; i < CHOICES && open; i++)
    if (choice[i].value) setenv (choice[i].name, choice[i].value, false);
}

adamix_err
driver_session_start (driver_session *session, bool communicate)
{
  cpu_set_t mask;
  *session = (driver_session){ .world = { .handle = MPI_COMM_NULL, .rank = adamix_comm_launched_rank (), .size = 1 },
                               .log = { .stream = stderr, .level = ADAMIX_LOG_INFO } };
  if (sched_getaffinity (0, sizeof mask, &mask) != 0) CPU_ZERO (&mask);
  /* A file that grows too large is then an error that can be told, not the end of the process. */
  signal (SIGXFSZ, SIG_IGN);
  session->cores = CPU_COUNT (&mask) > 1 ? CPU_COUNT (&mask) : 1;
  if (!communicate || !adamix_comm_launched ()) return adamix_comm_create (&session->world, MPI_COMM_NULL);
  int provided;
  keep_to_node ();
  if (ADAMIX_FAULT (mpi_init) || MPI_Init_thread (NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    return adamix_err_set (ADAMIX_EMPI, "MPI could not be started");
  session->mpi = true;
  ADAMIX_RETURN_IF (adamix_comm_create (&session->world, MPI_COMM_WORLD));
  /* Its errors are those of a node. */
  return adamix_comm_agree (&session->world, share_cores (session, &mask));
}

adamix_log *
driver_session_log (driver_session *session)
{
  return session->world.rank == 0 ? &session->log : NULL;
}

/* Ranks with a broken communicator cannot agree on who speaks.  The lowest does at once, and its MPI_Abort ends the others,
 * by a signal that they no longer catch, before it is their turn. */
static void
wait_for_turn (int rank)
{
  enum { STEP = 2000, MOST = 6000, PER_SECOND = 1000, NANOSECONDS = 1000000 };
  const long wait = rank < MOST / STEP ? rank * STEP : MOST;
  struct timespec left = { .tv_sec = wait / PER_SECOND, .tv_nsec = wait % PER_SECOND * NANOSECONDS };
  signal (SIGTERM, SIG_DFL);
  while (nanosleep (&left, &left) != 0 && errno == EINTR) continue;
}

static adamix_err
flush_output (void)
{
  if (!ADAMIX_FAULT (stream_write) && fflush (stdout) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EIO, "cannot write to standard output: %s", strerror (errno));
}

int
driver_session_end (driver_session *session, adamix_err err)
{
  if (!err) err = adamix_comm_agree (&session->world, flush_output ());
  const bool broken = err == ADAMIX_EMPI;
  if (broken) wait_for_turn (session->world.rank);
  if (err && (session->world.rank == 0 || broken)) {
    if (session->log.bar_open) fputc ('\n', stderr);
    fprintf (stderr, "adamix: %s%s\n", err == ADAMIX_ESTOPPED ? "" : "error: ", adamix_err_message ());
  }
  if (session->mpi && broken) MPI_Abort (MPI_COMM_WORLD, adamix_err_exit_status (err));
  adamix_comm_destroy (&session->world);
  if (session->mpi) MPI_Finalize ();
  return adamix_err_exit_status (err);
}

/* ---- options ---- */

bool
driver_help (const driver_command *command, const adamix_option *table, int count, int argc, char **argv)
{
  bool asked = false;
  for (int i = 1; i < argc; i++) asked = asked || strcmp (argv[i], "--help") == 0 || strcmp (argv[i], "-h") == 0;
  if (!asked) return false;
  printf ("usage: adamix %s %s\n%s\n\n", command->name, command->arguments, command->help);
  adamix_options_help (table, count, stdout);
  return true;
}

adamix_err
driver_parse (adamix_options **options, const adamix_option *table, int count, int argc, char **argv, void *config)
{
  ADAMIX_RETURN_IF (adamix_options_create (options, table, count));
  ADAMIX_RETURN_IF (adamix_options_parse (*options, argc, argv, NULL, 0, NULL));
  return adamix_options_store (*options, config);
}

adamix_err
driver_require (const driver_command *command, const char *option, const char *value)
{
  if (value) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "--%s is missing; see 'adamix %s --help'", option, command->name);
}

/* Where the item at `text` ends: behind the longest name up to a comma or the end that is there, else at the next comma. */
static char *
end_of_item (char *text)
{
  for (char *end = text + strlen (text), *shorter;; end = shorter) {
    const char after = *end;
    *end = '\0';
    const bool there = adamix_path_exists (text);
    shorter = strrchr (text, ',');
    *end = after;
    if (there || !shorter) return end;
  }
}

adamix_err
driver_list_create (driver_list *out, const char *option, const char *text)
{
  int64_t most = 1;
  for (const char *c = text; *c; c++) most += *c == ',';
  ADAMIX_RETURN_IF (adamix_format (&out->text, "%s", text));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->item, most));
  for (char *item = out->text; item;) {
    char *end = end_of_item (item), *next = *end ? end + 1 : NULL;
    *end = '\0';
    if (!*item)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s %s: between two commas stands nothing; give DIR or DIR,DIR,...",
                             option, text);
    out->item[out->count++] = item;
    item = next;
  }
  return ADAMIX_OK;
}

void
driver_list_destroy (driver_list *list)
{
  free (list->item);
  free (list->text);
  *list = (driver_list){ 0 };
}

/* ---- files ---- */

adamix_err
driver_open_input (FILE **out, const char *path)
{
  *out = !path || strcmp (path, "-") == 0 ? stdin : ADAMIX_FAULT (stream_open) ? NULL : fopen (path, "r");
  if (*out) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EIO, "cannot open %s: %s", path, strerror (errno));
}

adamix_err
driver_refuse_same (const char *input, const char *output)
{
  struct stat a, b;
  if (!input || !output || stat (input, &a) != 0 || stat (output, &b) != 0) return ADAMIX_OK;
  if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || !S_ISREG (a.st_mode)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "--output %s is the input itself, which would be lost; give another file",
                         output);
}

/* ---- signals ---- */

static volatile sig_atomic_t *asked;

static void
ask_to_stop (int number)
{
  *asked = 1;
  if (number == SIGINT) signal (SIGINT, SIG_DFL);
}

/* Handlers get a stack of their own: oneDNN's kernels point the stack register into small buffers on the heap, which a
 * signal's frame (several KB of vector registers) would overrun.  Signals of the process go to this, its first thread. */
void
driver_catch_signals (volatile sig_atomic_t *stop, int flags)
{
  static char memory[1 << 16];
  const stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
  const int signals[] = { SIGTERM, SIGUSR1, SIGINT };
  const struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = flags | SA_ONSTACK };
  if (sigaltstack (&stack, NULL) != 0) return;
  asked = stop;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction (signals[i], &action, NULL);
}
