#include "sweep/sweep_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* Of a run that is shown in the bar. */
#define PARTS 1000

typedef struct making {
  const adamix_sweep_args *args;
  adamix_sweep_outcome *outcome;
  child *child;  /* [jobs]; owned */
  int64_t jobs;  /* at a time: no more than there are runs to make */
  int64_t next;  /* run that has not been looked at */
  bool told;     /* all children have been asked to stop, */
  double asked;  /* last at this time */
  char **reason; /* [runs] why it failed, NULL: it did not; owned */
  double *share; /* [runs] of the work that is done; owned */
  adamix_progress bar;
  double looked; /* when the bar was last brought up to date */
} making;

/* ---- cores ------------------------------------------------------------------------------------------------------- */

/* The share of job j: every job has as many cores as any other. */
static void
cut_cores (const cpu_set_t *all, int64_t jobs, int64_t j, cpu_set_t *out)
{
  const int64_t each = CPU_COUNT (all) / jobs;
  int64_t passed = 0;
  CPU_ZERO (out);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET (cpu, all)) continue;
    if (passed / each == j) CPU_SET (cpu, out);
    passed++;
  }
}

/* Ranks and threads of every run have to fit into its share. */
static adamix_err
check_cores (const making *m, int cores)
{
  const adamix_sweep *sweep = m->args->sweep;
  const int64_t ranks = sweep->config.ranks, each = cores / m->jobs;
  for (int64_t i = 0; i < sweep->runs; i++) {
    const int64_t threads = sweep->run[i].config.threads ? sweep->run[i].config.threads : 1;
    if (m->args->state[i].finished || ranks * threads <= each) continue;
    return adamix_err_set (
        ADAMIX_EUSAGE,
        "--jobs %lld: a job has %lld of the %d cores, but the run %s needs %lld, %lld rank%s of %lld "
        "thread%s; give fewer jobs, ranks or threads",
        (long long) m->args->jobs, (long long) each, cores, sweep->run[i].name, (long long) (ranks * threads),
        (long long) ranks, ranks == 1 ? "" : "s", (long long) threads, threads == 1 ? "" : "s");
  }
  return ADAMIX_OK;
}

static adamix_err
deal_cores (making *m)
{
  cpu_set_t all;
  if (sched_getaffinity (0, sizeof all, &all) != 0)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "the system does not tell which cores there are: %s", strerror (errno));
  ADAMIX_RETURN_IF (check_cores (m, CPU_COUNT (&all)));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (m->child, m->jobs));
  for (int64_t j = 0; j < m->jobs; j++) {
    child *child = &m->child[j];
    cut_cores (&all, m->jobs, j, &child->cores);
    child->ranks = m->args->sweep->config.ranks;
    child->threads = CPU_COUNT (&child->cores) / child->ranks;
  }
  return ADAMIX_OK;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

static int64_t
done_parts (const making *m)
{
  double sum = 0;
  for (int64_t i = 0; i < m->args->sweep->runs; i++) sum += m->share[i];
  return (int64_t) (sum * PARTS);
}

static void
show (making *m)
{
  enum { WIDTH = 96 };
  const double interval = 0.5, now = adamix_clock ();
  int64_t running = 0;
  char note[WIDTH];
  if (!m->bar.active || now - m->looked < interval) return;
  m->looked = now;
  for (int64_t j = 0; j < m->jobs; j++) {
    const child *child = &m->child[j];
    if (!child->run) continue;
    running++;
    m->share[child->run - m->args->sweep->run] = sweep_state_share (child->run);
  }
  snprintf (note, sizeof note, "%lld of %lld finished, %lld running, %lld failed%s", (long long) m->outcome->finished,
            (long long) m->args->sweep->runs, (long long) running, (long long) m->outcome->failed,
            m->told ? ", stopping" : "");
  adamix_progress_update (&m->bar, done_parts (m), note);
}

/* ---- the end of a run -------------------------------------------------------------------------------------------- */

static int64_t
ended (const making *m)
{
  return m->outcome->finished + m->outcome->failed;
}

static void
tell_end (const making *m, const child *child, const char *what)
{
  adamix_log_info (m->args->log, "%lld/%lld %s: %s in %.0f s", (long long) ended (m), (long long) m->args->sweep->runs,
                   child->run->name, what, adamix_clock () - child->begun);
}

static adamix_err
take_failure (making *m, const child *child, int status)
{
  const int64_t i = child->run - m->args->sweep->run;
  ADAMIX_RETURN_IF (child_reason (child, status, &m->reason[i]));
  m->outcome->failed++;
  m->outcome->unfinished--;
  adamix_log_warn (m->args->log, "%lld/%lld %s: failed: %s", (long long) ended (m), (long long) m->args->sweep->runs,
                   child->run->name, m->reason[i]);
  return ADAMIX_OK;
}

/* Finished is what has its results and ended well: what went wrong behind them, the next call need not make again. */
static adamix_err
take_end (making *m, const child *child, int status)
{
  const int64_t i = child->run - m->args->sweep->run;
  adamix_sweep_state state;
  ADAMIX_RETURN_IF (sweep_state_read (child->run, &state));
  m->share[i] = state.finished ? 1 : sweep_state_share (child->run);
  if (state.finished && status == 0) {
    m->outcome->finished++;
    m->outcome->unfinished--;
    tell_end (m, child, "finished");
    return ADAMIX_OK;
  }
  const bool stopped = WIFEXITED (status) && WEXITSTATUS (status) == adamix_err_exit_status (ADAMIX_ESTOPPED);
  /* Who is told to stop before it can listen ends in other ways. */
  if (!stopped && !m->told) return take_failure (m, child, status);
  tell_end (m, child, "stopped");
  return ADAMIX_OK;
}

static adamix_err
reap (making *m)
{
  for (int64_t j = 0; j < m->jobs; j++) {
    child *child = &m->child[j];
    int status;
    if (!child->run || waitpid (child->process, &status, WNOHANG) != child->process) continue;
    const adamix_err err = take_end (m, child, status);
    child->run = NULL;
    ADAMIX_RETURN_IF (err);
  }
  return ADAMIX_OK;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static bool
asked_to_stop (const making *m)
{
  return m->args->stop && *m->args->stop;
}

static adamix_err
start_next (making *m, child *child)
{
  const adamix_sweep *sweep = m->args->sweep;
  while (m->next < sweep->runs && m->args->state[m->next].finished) m->next++;
  if (m->next == sweep->runs) return ADAMIX_OK;
  child->run = &sweep->run[m->next++];
  const adamix_err err = child_start (child, m->args->program);
  if (err) child->run = NULL;
  return err;
}

static adamix_err
start_free (making *m)
{
  for (int64_t j = 0; j < m->jobs && !asked_to_stop (m); j++)
    if (!m->child[j].run) ADAMIX_RETURN_IF (start_next (m, &m->child[j]));
  return ADAMIX_OK;
}

/* Again each second: a process that has just been started may not listen yet. */
static void
stop_all (making *m)
{
  const double again = 1, now = adamix_clock ();
  if (m->told && now - m->asked < again) return;
  for (int64_t j = 0; j < m->jobs; j++)
    if (m->child[j].run) kill (m->child[j].process, SIGUSR1);
  m->told = true;
  m->asked = now;
}

static int64_t
running (const making *m)
{
  int64_t count = 0;
  for (int64_t j = 0; j < m->jobs; j++) count += m->child[j].run != NULL;
  return count;
}

/* Until a signal comes, or for a moment. */
static void
rest (void)
{
  const struct timespec moment = { .tv_nsec = 50000000 };
  nanosleep (&moment, NULL);
}

/* An error of the sweep itself stops its runs; they are waited for. */
static adamix_err
make_all (making *m)
{
  adamix_err err = start_free (m);
  while (running (m)) {
    if (asked_to_stop (m) || err) stop_all (m);
    rest ();
    const adamix_err later = reap (m);
    if (!err) err = later;
    if (!err) err = start_free (m);
    show (m);
  }
  return err;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static adamix_err
prepare (making *m)
{
  const adamix_sweep *sweep = m->args->sweep;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (m->reason, sweep->runs));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (m->share, sweep->runs));
  m->outcome->unfinished = sweep->runs;
  for (int64_t i = 0; i < sweep->runs; i++) {
    m->outcome->finished += m->args->state[i].finished;
    m->share[i] = m->args->state[i].finished ? 1 : sweep_state_share (&sweep->run[i]);
  }
  m->outcome->unfinished -= m->outcome->finished;
  m->jobs = m->args->jobs < m->outcome->unfinished ? m->args->jobs : m->outcome->unfinished;
  return m->jobs ? deal_cores (m) : ADAMIX_OK;
}

static void
announce (const making *m)
{
  const adamix_sweep *sweep = m->args->sweep;
  const long long finished = m->outcome->finished, left = m->outcome->unfinished;
  if (!left) {
    adamix_log_info (m->args->log, "all %lld runs of %s are finished, there is nothing to do", finished,
                     sweep->config.output);
    return;
  }
  const child *child = &m->child[0];
  adamix_log_info (m->args->log, "%lld runs, %lld of them finished before; %lld at a time on %d core%s each",
                   (long long) sweep->runs, finished, (long long) m->jobs, CPU_COUNT (&child->cores),
                   CPU_COUNT (&child->cores) == 1 ? "" : "s");
  adamix_log_info (m->args->log, "what a run writes is in %s/NAME" ENDING_LOG, sweep->config.output);
}

static adamix_err
sum_up (const making *m)
{
  const adamix_sweep *sweep = m->args->sweep;
  const adamix_sweep_outcome *o = m->outcome;
  for (int64_t i = 0; i < sweep->runs; i++)
    if (m->reason[i])
      adamix_log_warn (m->args->log, "failed: %s: %s (%s)", sweep->run[i].name, m->reason[i], sweep->run[i].log);
  if (o->unfinished)
    return adamix_err_set (ADAMIX_ESTOPPED,
                           "stopped: %lld of %lld runs are finished, %lld failed; the same command goes on",
                           (long long) o->finished, (long long) sweep->runs, (long long) o->failed);
  if (o->failed)
    return adamix_err_set (ADAMIX_ECHILD, "%lld of %lld runs failed, as told above; the same command tries them again",
                           (long long) o->failed, (long long) sweep->runs);
  return ADAMIX_OK;
}

static void
destroy (making *m)
{
  for (int64_t i = 0; m->reason && i < m->args->sweep->runs; i++) free (m->reason[i]);
  free (m->reason);
  free (m->share);
  free (m->child);
}

static adamix_err
lock_folder (const adamix_sweep *sweep, int *lock)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_directory_make (sweep->config.output));
  ADAMIX_TRY (adamix_path_join (&path, sweep->config.output, FILE_LOCK));
  err = adamix_lock_take (lock, path);
  if (err == ADAMIX_EEXIST)
    adamix_err_prefix (err, "%s: another sweep is at work there; wait for its end", sweep->config.output);
done:
  free (path);
  return err;
}

adamix_err
adamix_sweep_make (const adamix_sweep_args *args, adamix_sweep_outcome *out)
{
  adamix_err err = ADAMIX_OK;
  making m = { .args = args, .outcome = out };
  int lock = -1;
  *out = (adamix_sweep_outcome){ 0 };
  ADAMIX_TRY (prepare (&m));
  ADAMIX_TRY (lock_folder (args->sweep, &lock));
  ADAMIX_TRY (adamix_sweep_store (args->sweep));
  announce (&m);
  adamix_progress_begin (&m.bar, args->log, args->sweep->runs * PARTS, done_parts (&m));
  m.bar.share_alone = true;
  err = make_all (&m);
  adamix_progress_end (&m.bar);
  if (!err) err = sum_up (&m);
done:
  adamix_lock_release (lock);
  destroy (&m);
  return err;
}
