#include "sweep/sweep_private.h"

#include <stdlib.h>
#include <string.h>

/* Names are compared with each other, and nobody looks at more. */
#define MOST_RUNS 10000

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* What a file name should not have becomes '_'. */
static void
make_safe (char *name)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=,-";
  for (; name[strspn (name, allowed)]; name[strspn (name, allowed)] = '_') continue;
}

/* "a" and "b=c" become "a,b=c". */
static adamix_err
extend_name (char **name, const char *key, const char *value)
{
  adamix_err err = ADAMIX_OK;
  char *part = NULL, *joined = NULL;
  ADAMIX_TRY (adamix_format (&part, "%s=%s", key, value));
  make_safe (part);
  ADAMIX_TRY (adamix_format (&joined, "%s%s%s", *name, **name ? "," : "", part));
  free (*name);
  *name = joined;
done:
  free (part);
  return err;
}

static adamix_err
check_names (const adamix_sweep *sweep, const char *path)
{
  enum { LONGEST = 200 };
  for (int64_t i = 0; i < sweep->runs; i++) {
    const char *name = sweep->run[i].name;
    if (strlen (name) > LONGEST)
      return adamix_err_set (ADAMIX_EUSAGE,
                             "%s: the name %s is longer than the %d bytes that leave room for endings; give what it "
                             "says in a section [run NAME]",
                             path, name, LONGEST);
    for (int64_t j = 0; j < i; j++)
      if (strcmp (name, sweep->run[j].name) == 0)
        return adamix_err_set (ADAMIX_EUSAGE, "%s: two runs have the name %s; give each value and seed once", path,
                               name);
  }
  return ADAMIX_OK;
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

/* The grids of a setting, and where in them a run is. */
typedef struct grid_point {
  const axis **axis; /* [axes]; owned */
  int64_t *at;       /* [axes] */
  int64_t axes;
} grid_point;

static adamix_err
set_all (adamix_options *options, const axes *axes)
{
  for (int64_t i = 0; i < axes->count; i++)
    ADAMIX_RETURN_IF (adamix_options_set (options, axes->axis[i].option, axes->axis[i].value[0], ADAMIX_SOURCE_FILE));
  return ADAMIX_OK;
}

static adamix_err
set_given (adamix_options *options, const adamix_options *given)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  for (int i = 0; given && i < count; i++)
    if (adamix_sweep_takes (table[i].name) &&
        adamix_options_source (given, table[i].name) == ADAMIX_SOURCE_COMMAND_LINE)
      ADAMIX_RETURN_IF (adamix_options_set (options, table[i].name, adamix_options_value (given, table[i].name),
                                            ADAMIX_SOURCE_COMMAND_LINE));
  return ADAMIX_OK;
}

/* Name, and what the grids say. */
static adamix_err
take_point (adamix_sweep_run *run, const setting *s, const grid_point *point)
{
  run->varied = json_object ();
  if (*s->name) adamix_json_put (&run->varied, "run", json_string (s->name));
  ADAMIX_RETURN_IF (adamix_format (&run->setting, "%s", s->name));
  for (int64_t i = 0; i < point->axes; i++) {
    const axis *a = point->axis[i];
    const char *value = a->value[point->at[i]];
    adamix_json_put (&run->varied, a->option, json_string (value));
    ADAMIX_RETURN_IF (extend_name (&run->setting, a->option, value));
    ADAMIX_RETURN_IF (adamix_options_set (run->options, a->option, value, ADAMIX_SOURCE_FILE));
  }
  return run->varied ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for the settings of a run");
}

/* "splits/16-{seed}" is a file or folder of each seed. */
static adamix_err
fill_mark (adamix_options *options, const char *option, const char *seed)
{
  const char *value = adamix_options_value (options, option), *mark = value ? strstr (value, SWEEP_SEED_MARK) : NULL;
  char *filled;
  if (!mark) return ADAMIX_OK;
  ADAMIX_RETURN_IF (
      adamix_format (&filled, "%.*s%s%s", (int) (mark - value), value, seed, mark + strlen (SWEEP_SEED_MARK)));
  const adamix_err err = adamix_options_set (options, option, filled, adamix_options_source (options, option));
  free (filled);
  return err ? err : fill_mark (options, option, seed);
}

static adamix_err
fill_marks (adamix_options *options, const char *seed)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  for (int i = 0; i < count; i++) ADAMIX_RETURN_IF (fill_mark (options, table[i].name, seed));
  return ADAMIX_OK;
}

static adamix_err
take_seed (adamix_sweep_run *run, const char *output)
{
  enum { DIGITS = 24 };
  char seed[DIGITS];
  snprintf (seed, sizeof seed, "%lld", (long long) run->seed);
  ADAMIX_RETURN_IF (adamix_format (&run->name, "%s", run->setting));
  ADAMIX_RETURN_IF (extend_name (&run->name, "seed", seed));
  ADAMIX_RETURN_IF (adamix_path_join (&run->folder, output, run->name));
  ADAMIX_RETURN_IF (adamix_format (&run->log, "%s" ENDING_LOG, run->folder));
  ADAMIX_RETURN_IF (adamix_options_set (run->options, "seed", seed, ADAMIX_SOURCE_FILE));
  ADAMIX_RETURN_IF (adamix_options_set (run->options, "output", run->folder, ADAMIX_SOURCE_FILE));
  return fill_marks (run->options, seed);
}

/* As `adamix train` reads its own: each later source wins whatever the order of the calls. */
static adamix_err
check_run (adamix_sweep_run *run)
{
  const char *recipe = adamix_options_value (run->options, "recipe");
  if (recipe && *recipe) ADAMIX_RETURN_IF (adamix_recipe_apply (run->options, recipe));
  ADAMIX_RETURN_IF (adamix_options_store (run->options, &run->config));
  return adamix_train_config_check (&run->config, run->options);
}

/* ---- all runs ---------------------------------------------------------------------------------------------------- */

typedef struct expansion {
  adamix_sweep *out;
  const sweep_file *file;
  const adamix_options *given;
  int64_t capacity;
} expansion;

static origin
origin_of (const sweep_file *file, const setting *s)
{
  return !*s->name && file->grid.count ? file->grid.axis[0].at : s->at;
}

static adamix_err
add_run (expansion *e, const setting *s, const grid_point *point, int64_t seed)
{
  adamix_sweep *out = e->out;
  int count;
  const adamix_option *table = adamix_train_options (&count);
  if (out->runs == MOST_RUNS)
    return adamix_err_set (ADAMIX_EUSAGE, "%s: more than %d runs; make it several sweeps", e->file->path, MOST_RUNS);
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->run, &e->capacity, out->runs + 1));
  adamix_sweep_run *run = &out->run[out->runs++];
  *run = (adamix_sweep_run){ .seed = seed };
  ADAMIX_RETURN_IF (adamix_options_create (&run->options, table, count));
  ADAMIX_RETURN_IF (set_all (run->options, &e->file->common));
  ADAMIX_RETURN_IF (set_all (run->options, &s->fixed));
  ADAMIX_RETURN_IF (set_given (run->options, e->given));
  ADAMIX_RETURN_IF (take_point (run, s, point));
  ADAMIX_RETURN_IF (take_seed (run, out->config.output));
  const adamix_err err = check_run (run);
  const origin at = origin_of (e->file, s);
  return err ? adamix_err_prefix (err, "%s:%d: run %s", at.path, at.line, run->name) : ADAMIX_OK;
}

/* To the next point, the last axis first; false behind the last. */
static bool
advance (grid_point *point)
{
  for (int64_t i = point->axes - 1; i >= 0; i--) {
    if (++point->at[i] < point->axis[i]->values) return true;
    point->at[i] = 0;
  }
  return false;
}

/* A run is named by what the grid says, so nothing else may say it. */
static adamix_err
check_given (const expansion *e, const axis *a)
{
  if (!e->given || adamix_options_source (e->given, a->option) != ADAMIX_SOURCE_COMMAND_LINE) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "--%s is what the grid of %s:%d varies; leave it out, or change the file",
                         a->option, a->at.path, a->at.line);
}

static adamix_err
lay_out (const expansion *e, const setting *s, grid_point *point)
{
  const axes *parts[] = { &e->file->grid, &s->grid };
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (point->axis, parts[0]->count + parts[1]->count));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (point->at, parts[0]->count + parts[1]->count));
  for (int p = 0; p < 2; p++)
    for (int64_t i = 0; i < parts[p]->count; i++) {
      point->axis[point->axes++] = &parts[p]->axis[i];
      ADAMIX_RETURN_IF (check_given (e, &parts[p]->axis[i]));
    }
  return ADAMIX_OK;
}

/* The command line wins over a setting, and that over what all have in common. */
static const char *
seeds_of (const expansion *e, const setting *s)
{
  const bool given = adamix_options_source (e->out->options, "seeds") == ADAMIX_SOURCE_COMMAND_LINE;
  return s->seeds && !given ? s->seeds : e->out->config.seeds;
}

static adamix_err
expand_setting (expansion *e, const setting *s)
{
  adamix_err err = ADAMIX_OK;
  grid_point point = { 0 };
  int64_t *seed = NULL, seeds;
  ADAMIX_TRY (adamix_sweep_seeds (seeds_of (e, s), &seed, &seeds));
  ADAMIX_TRY (lay_out (e, s, &point));
  do
    for (int64_t i = 0; i < seeds; i++) ADAMIX_TRY (add_run (e, s, &point, seed[i]));
  while (advance (&point));
done:
  free (seed);
  free (point.at);
  free (point.axis);
  return err;
}

/* *out [file->settings], to free: is a setting one of the list's?  NULL: all are. */
static adamix_err
choose_settings (const sweep_file *file, const char *list, bool **out)
{
  adamix_err err = ADAMIX_OK;
  char *name = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (*out, file->settings));
  for (int64_t i = 0; i < file->settings; i++) (*out)[i] = !list;
  for (const char *rest = list; rest;) {
    free (name);
    name = NULL;
    ADAMIX_TRY (sweep_next_item (&rest, &name));
    const setting *s = sweep_find_setting (file, name);
    if (!s)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "option --settings: %s has no setting '%s'%s%s%s", file->path, name,
                                  *file->setting[0].name ? ", but for instance '" : "", file->setting[0].name,
                                  *file->setting[0].name ? "'" : ""));
    (*out)[s - file->setting] = true;
  }
done:
  free (name);
  return err;
}

adamix_err
sweep_expand (adamix_sweep *out, const sweep_file *file, const adamix_options *given)
{
  adamix_err err = ADAMIX_OK;
  expansion e = { .out = out, .file = file, .given = given };
  bool *chosen = NULL;
  ADAMIX_TRY (choose_settings (file, out->config.settings, &chosen));
  for (int64_t i = 0; i < file->settings; i++)
    if (chosen[i]) ADAMIX_TRY (expand_setting (&e, &file->setting[i]));
  ADAMIX_TRY (check_names (out, file->path));
done:
  free (chosen);
  return err;
}
