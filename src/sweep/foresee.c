#include "sweep/sweep_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What there is to know of a run ahead of it. */
typedef struct item {
  adamix_train_work work;
  bool counted;   /* work is there */
  double speed;   /* FLOP a second of a finished run; NaN: not told */
  double startup; /* its seconds ahead of the first step */
} item;

typedef struct foresight {
  const adamix_sweep *sweep;
  const adamix_sweep_state *state;
  adamix_sweep_forecast *out;
  item *item; /* [runs]; owned */
  int threads;
  double here; /* FLOP a second of steps made here; NaN: none were */
} foresight;

/* ---- work -------------------------------------------------------------------------------------------------------- */

/* Options on which the work of a run depends. */
static const char *const of_work[] = {
  "model",     "task",        "data",     "train-file",       "dev-file",     "test-file",  "text-column",
  "task-type", "limit-train", "hold-out", "text-pair-column", "label-column", "max-length", "batch",
  "epochs",    "max-steps",   "select",   "order-file",       "eval-every",   "method",     "passes",
  "task-loss", "consistency", "merge",    "consistency-loss",
};

static bool
same_work (const adamix_sweep_run *a, const adamix_sweep_run *b)
{
  bool same = true;
  for (size_t i = 0; i < sizeof of_work / sizeof *of_work && same; i++) {
    const char *x = adamix_options_value (a->options, of_work[i]), *y = adamix_options_value (b->options, of_work[i]);
    same = strcmp (x ? x : "", y ? y : "") == 0;
  }
  return same;
}

/* Reading and cutting texts into tokens takes time: once for all runs that share them. */
static bool
copy_work (foresight *f, int64_t i)
{
  for (int64_t j = i - 1; j >= 0; j--) {
    if (!f->item[j].counted || !same_work (&f->sweep->run[i], &f->sweep->run[j])) continue;
    f->item[i].work = f->item[j].work;
    return true;
  }
  return false;
}

static adamix_train_args
args_of (const foresight *f, const adamix_sweep_run *run, adamix_comm *world)
{
  const int given = (int) (run->config.threads * f->sweep->config.ranks);
  *world = (adamix_comm){ .handle = MPI_COMM_NULL, .size = 1 };
  return (adamix_train_args){
    .config = &run->config, .options = run->options, .world = world, .threads = given ? given : f->threads
  };
}

static adamix_err
count_work (foresight *f, int64_t i)
{
  adamix_comm world;
  const adamix_train_args args = args_of (f, &f->sweep->run[i], &world);
  f->item[i].counted = copy_work (f, i);
  if (!f->item[i].counted) {
    const adamix_err err = adamix_train_plan_work (&f->item[i].work, &args);
    if (err == ADAMIX_ENOMEM) return err;
    f->item[i].counted = err == ADAMIX_OK;
    if (err && !f->state[i].finished) {
      f->out->troubles++;
      return adamix_format (&f->out->run[i].trouble, "%s", adamix_err_message ());
    }
  }
  f->out->run[i].steps = f->item[i].work.steps;
  return ADAMIX_OK;
}

/* ---- speed ------------------------------------------------------------------------------------------------------- */

/* What a finished run tells of its speed; a very short one tells nothing. */
static adamix_err
read_speed (foresight *f, int64_t i)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *results = NULL;
  double tokens = NAN, startup = 0;
  f->item[i].speed = NAN;
  if (!f->state[i].finished || !f->item[i].counted) return ADAMIX_OK;
  ADAMIX_TRY (adamix_path_join (&path, f->sweep->run[i].folder, FILE_RESULTS));
  ADAMIX_TRY (adamix_json_load (&results, path));
  ADAMIX_TRY (adamix_json_real (results, path, "train_tokens_per_second", false, &tokens));
  ADAMIX_TRY (adamix_json_real (results, path, "startup_seconds", false, &startup));
  f->item[i].speed = tokens * f->item[i].work.flops_per_token;
  f->item[i].startup = startup;
  f->out->runs_measured += isfinite (f->item[i].speed);
done:
  json_decref (results);
  free (path);
  return err;
}

/* Means over the finished runs of a setting, or of all for NULL; NaN: there is none. */
static void
mean_speed (const foresight *f, const char *setting, double *speed, double *startup)
{
  int64_t n = 0;
  *speed = *startup = 0;
  for (int64_t i = 0; i < f->sweep->runs; i++) {
    if (!isfinite (f->item[i].speed) || (setting && strcmp (setting, f->sweep->run[i].setting) != 0)) continue;
    *speed += f->item[i].speed;
    *startup += f->item[i].startup;
    n++;
  }
  *speed = n ? *speed / (double) n : NAN;
  *startup = n ? *startup / (double) n : 0;
}

/* Steps of the first run that is left. */
static adamix_err
try_here (foresight *f)
{
  const double most = 2; /* seconds */
  f->here = NAN;
  for (int64_t i = 0; i < f->sweep->runs && !f->out->runs_measured && !f->out->tried; i++) {
    adamix_comm world;
    const adamix_sweep_run *run = &f->sweep->run[i];
    const adamix_train_args args = args_of (f, run, &world);
    if (f->state[i].finished || !f->item[i].counted) continue;
    const adamix_err err = adamix_train_try (&f->here, &args, most);
    if (err == ADAMIX_ENOMEM) return err;
    if (!err && isfinite (f->here)) f->out->tried = run;
  }
  return ADAMIX_OK;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static double
seconds_left (const foresight *f, int64_t i)
{
  double speed, startup;
  const adamix_train_work *work = &f->item[i].work;
  if (f->state[i].finished) return 0;
  if (!f->item[i].counted) return NAN;
  mean_speed (f, f->sweep->run[i].setting, &speed, &startup);
  if (!isfinite (speed)) mean_speed (f, NULL, &speed, &startup);
  if (!isfinite (speed)) speed = f->here;
  return startup + work->flops * (1 - (double) f->state[i].step / (double) work->steps) / speed;
}

/* Runs are begun in their order, each by the first job that is free. */
static adamix_err
sum_up (const foresight *f, int64_t jobs)
{
  double *busy;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (busy, jobs));
  for (int64_t i = 0; i < f->sweep->runs; i++) {
    int64_t first = 0;
    for (int64_t j = 1; j < jobs; j++) first = busy[j] < busy[first] ? j : first;
    if (!f->out->run[i].trouble) busy[first] += f->out->run[i].seconds;
  }
  for (int64_t j = 0; j < jobs; j++) /* an unknown one stays unknown */
    if (isnan (busy[j]) || busy[j] > f->out->seconds) f->out->seconds = busy[j];
  free (busy);
  return ADAMIX_OK;
}

adamix_err
adamix_sweep_foresee (adamix_sweep_forecast *out, const adamix_sweep *sweep, const adamix_sweep_state *state,
                      int64_t jobs, int threads)
{
  adamix_err err = ADAMIX_OK;
  foresight f = { .sweep = sweep, .state = state, .out = out, .threads = threads };
  *out = (adamix_sweep_forecast){ 0 };
  ADAMIX_TRY (ADAMIX_ALLOC (out->run, sweep->runs));
  ADAMIX_TRY (ADAMIX_ALLOC (f.item, sweep->runs));
  for (int64_t i = 0; i < sweep->runs; i++) ADAMIX_TRY (count_work (&f, i));
  for (int64_t i = 0; i < sweep->runs; i++) ADAMIX_TRY (read_speed (&f, i));
  ADAMIX_TRY (try_here (&f));
  for (int64_t i = 0; i < sweep->runs; i++) out->run[i].seconds = seconds_left (&f, i);
  ADAMIX_TRY (sum_up (&f, jobs));
done:
  free (f.item);
  if (err) adamix_sweep_forecast_destroy (out, sweep);
  return err;
}

void
adamix_sweep_forecast_destroy (adamix_sweep_forecast *forecast, const adamix_sweep *sweep)
{
  for (int64_t i = 0; forecast->run && i < sweep->runs; i++) free (forecast->run[i].trouble);
  free (forecast->run);
  *forecast = (adamix_sweep_forecast){ 0 };
}
