#include "sweep/sweep_private.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof (adamix_sweep_config, member)
static const adamix_option sweep_options[] = {
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "DIR",
    "folder of the sweep; each run is a folder in it" },
  { "seeds", ADAMIX_OPTION_STRING, AT (seeds), "0", NULL, 0, 0, "LIST",
    "seeds of every setting, numbers and ranges: 0, 1, 5..9" },
  { "ranks", ADAMIX_OPTION_INTEGER, AT (ranks), "1", NULL, 1, 1e6, "N",
    "ranks of a run, of mpirun or of a task of Slurm" },
};

const adamix_option *
adamix_sweep_options (int *count)
{
  *count = (int) (sizeof sweep_options / sizeof *sweep_options);
  return sweep_options;
}

static bool
is_own (const char *name)
{
  bool own = false;
  for (size_t i = 0; i < sizeof sweep_options / sizeof *sweep_options; i++)
    own = own || strcmp (sweep_options[i].name, name) == 0;
  return own;
}

/* Options of `adamix train` that a sweep gives to each run itself. */
static const char *const of_runs[] = { "output", "seed", "resume", "force", "config" };

bool
adamix_sweep_takes (const char *train_option)
{
  bool takes = true;
  for (size_t i = 0; i < sizeof of_runs / sizeof *of_runs; i++) takes = takes && strcmp (of_runs[i], train_option) != 0;
  return takes;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const char blanks[] = " \t\r";

/* The next item of a list; *rest moves behind its comma and is NULL behind the last.  Blanks around it are left out. */
static adamix_err
next_item (const char **rest, char **out)
{
  const char *begin = *rest + strspn (*rest, blanks), *end = begin + strcspn (begin, ",");
  *rest = *end ? end + 1 : NULL;
  while (end > begin && strchr (blanks, end[-1])) end--;
  if (end == begin)
    return adamix_err_set (ADAMIX_EUSAGE, "a value is missing in the list; values are separated by one comma");
  return adamix_format (out, "%.*s", (int) (end - begin), begin);
}

static adamix_err
append_value (axis *a, int64_t *capacity, char *value)
{
  adamix_err err = ADAMIX_GROW (a->value, capacity, a->values + 1);
  if (err)
    free (value);
  else
    a->value[a->values++] = value;
  return err;
}

/* One value, or with `list` those between commas. */
static adamix_err
fill_values (axis *a, const char *text, bool list)
{
  int64_t capacity = 0;
  char *value;
  for (const char *rest = text; rest;) {
    if (list)
      ADAMIX_RETURN_IF (next_item (&rest, &value));
    else
      ADAMIX_RETURN_IF (adamix_format (&value, "%s", text));
    ADAMIX_RETURN_IF (append_value (a, &capacity, value));
    if (!list) rest = NULL;
  }
  for (int64_t i = 0; i < a->values; i++)
    for (int64_t j = 0; j < i; j++)
      if (strcmp (a->value[i], a->value[j]) == 0)
        return adamix_err_set (ADAMIX_EUSAGE, "option --%s has the value %s twice", a->option, a->value[i]);
  return ADAMIX_OK;
}

adamix_err
adamix_sweep_seeds (const char *text, int64_t **out, int64_t *count)
{
  enum { MOST = 100000, DECIMAL = 10 };
  adamix_err err = ADAMIX_OK;
  int64_t capacity = 0;
  char *item = NULL;
  *out = NULL;
  *count = 0;
  for (const char *rest = text; rest;) {
    char *end;
    free (item);
    item = NULL;
    ADAMIX_TRY (next_item (&rest, &item));
    const long long first = strtoll (item, &end, DECIMAL);
    bool good = end != item && first >= 0;
    long long last = first;
    if (good && strncmp (end, "..", 2) == 0) {
      const char *second = end + 2;
      last = strtoll (second, &end, DECIMAL);
      good = end != second && last >= first;
    }
    if (!good || *end || last - first >= MOST - *count)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE,
                                  "option --seeds: \"%s\" is not allowed; expected numbers from 0 and ranges such as "
                                  "0..4, at most %d together",
                                  item, MOST));
    ADAMIX_TRY (ADAMIX_GROW (*out, &capacity, *count + last - first + 1));
    for (long long seed = first; seed <= last; seed++) (*out)[(*count)++] = seed;
  }
done:
  free (item);
  if (err) {
    free (*out);
    *out = NULL;
  }
  return err;
}

static adamix_err
check_seeds (const char *text)
{
  int64_t *seed, count;
  ADAMIX_RETURN_IF (adamix_sweep_seeds (text, &seed, &count));
  free (seed);
  return ADAMIX_OK;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* Where in the file an entry stands. */
typedef struct place {
  adamix_options *check; /* of `adamix train`: knows keys and values */
  axes *axes;
  bool list; /* of a grid */
} place;

/* The line in which these axes have an option, 0 if they do not. */
static int
line_of (const axes *axes, const char *option)
{
  for (int64_t i = 0; i < axes->count; i++)
    if (strcmp (axes->axis[i].option, option) == 0) return axes->axis[i].line;
  return 0;
}

static adamix_err
check_key (const adamix_ini_entry *entry, const place *place)
{
  const bool common = !*entry->section || strcmp (entry->section, "train") == 0;
  if (is_own (entry->name) && !common)
    return adamix_err_set (ADAMIX_EUSAGE, "%s is one for all runs; give it above all sections", entry->name);
  if (strcmp (entry->name, "seed") == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "seed is of one run; list the seeds above all sections: seeds = 0..4");
  if (!adamix_sweep_takes (entry->name))
    return adamix_err_set (ADAMIX_EUSAGE, "%s cannot be given: the sweep itself decides it for each run", entry->name);
  const int before = line_of (place->axes, entry->name);
  if (before)
    return adamix_err_set (ADAMIX_EUSAGE, "option --%s is given twice, in line %d too; give it once", entry->name,
                           before);
  return ADAMIX_OK;
}

static const adamix_option *
find_row (const char *name)
{
  int count;
  const adamix_option *row = adamix_train_options (&count);
  for (int i = 0; i < count; i++)
    if (strcmp (row[i].name, name) == 0) return &row[i];
  return NULL;
}

static adamix_err
add_axis (const adamix_ini_entry *entry, const place *place)
{
  axes *axes = place->axes;
  ADAMIX_RETURN_IF (check_key (entry, place));
  const adamix_option *row = find_row (entry->name);
  /* Tells of the nearest name that there is. */
  if (!row) return adamix_options_set (place->check, entry->name, entry->value, ADAMIX_SOURCE_FILE);
  ADAMIX_RETURN_IF (ADAMIX_GROW (axes->axis, &axes->capacity, axes->count + 1));
  axis *a = &axes->axis[axes->count++];
  *a = (axis){ .option = row->name, .named = place->list, .line = entry->line };
  ADAMIX_RETURN_IF (fill_values (a, entry->value, place->list));
  for (int64_t i = 0; i < a->values; i++)
    ADAMIX_RETURN_IF (adamix_options_set (place->check, a->option, a->value[i], ADAMIX_SOURCE_FILE));
  return ADAMIX_OK;
}

static setting *
find_setting (sweep_file *file, const char *name)
{
  for (int64_t i = 0; i < file->settings; i++)
    if (strcmp (file->setting[i].name, name) == 0) return &file->setting[i];
  return NULL;
}

static adamix_err
make_setting (sweep_file *file, const char *name, int line)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (file->setting, &file->capacity, file->settings + 1));
  file->setting[file->settings] = (setting){ .line = line };
  ADAMIX_RETURN_IF (adamix_format (&file->setting[file->settings].name, "%s", name));
  file->settings++;
  return ADAMIX_OK;
}

/* "NAME" of "run NAME"; NULL if it is no such section. */
static const char *
name_behind (const char *section, const char *kind)
{
  const size_t length = strlen (kind);
  if (strncmp (section, kind, length) != 0 || !strchr (blanks, section[length]) || !section[length]) return NULL;
  return section + length + strspn (section + length, blanks);
}

static adamix_err
check_name (const char *name)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
  if (*name && !name[strspn (name, allowed)] && *name != '.' && *name != '-') return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "\"%s\" cannot be the name of a run; take letters, digits and ._+-, first a letter or digit",
                         name);
}

/* The axes that a section adds to; opens its setting. */
static adamix_err
find_place (sweep_file *file, const adamix_ini_entry *entry, place *place)
{
  const char *section = entry->section;
  const char *run = name_behind (section, "run"), *grid = name_behind (section, "grid"), *name = run ? run : grid;
  place->list = strcmp (section, "grid") == 0 || grid;
  if (!*section || strcmp (section, "train") == 0) {
    place->axes = &file->common;
  } else if (strcmp (section, "grid") == 0) {
    place->axes = &file->grid;
  } else if (name) {
    ADAMIX_RETURN_IF (check_name (name));
    if (!find_setting (file, name)) ADAMIX_RETURN_IF (make_setting (file, name, entry->line));
    setting *s = find_setting (file, name);
    place->axes = run ? &s->fixed : &s->grid;
  } else {
    return adamix_err_set (
        ADAMIX_EUSAGE, "[%s] is no section of a sweep; there are [train], [grid], [run NAME] and [grid NAME]", section);
  }
  return ADAMIX_OK;
}

static adamix_err
take_entry (sweep_file *file, const adamix_ini_entry *entry, place *place)
{
  ADAMIX_RETURN_IF (find_place (file, entry, place));
  if (!entry->name) return ADAMIX_OK;
  if (place->axes != &file->common || !is_own (entry->name)) return add_axis (entry, place);
  if (adamix_options_source (file->options, entry->name) == ADAMIX_SOURCE_FILE)
    return adamix_err_set (ADAMIX_EUSAGE, "%s is given twice; give it once", entry->name);
  if (strcmp (entry->name, "seeds") == 0) ADAMIX_RETURN_IF (check_seeds (entry->value));
  return adamix_options_set (file->options, entry->name, entry->value, ADAMIX_SOURCE_FILE);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* No option may be in two places of which one would have no effect. */
static adamix_err
check_apart (const sweep_file *file, const axes *a, const axes *b)
{
  for (int64_t i = 0; i < a->count; i++) {
    const int line = line_of (b, a->axis[i].option);
    if (line)
      return adamix_err_set (ADAMIX_EUSAGE,
                             "%s:%d: option --%s is given in line %d too, for the same runs; give it once", file->path,
                             a->axis[i].line > line ? a->axis[i].line : line, a->axis[i].option,
                             a->axis[i].line > line ? line : a->axis[i].line);
  }
  return ADAMIX_OK;
}

static adamix_err
check_places (const sweep_file *file)
{
  ADAMIX_RETURN_IF (check_apart (file, &file->common, &file->grid));
  for (int64_t i = 0; i < file->settings; i++) {
    const setting *s = &file->setting[i];
    ADAMIX_RETURN_IF (check_apart (file, &s->fixed, &s->grid));
    ADAMIX_RETURN_IF (check_apart (file, &file->grid, &s->fixed));
    ADAMIX_RETURN_IF (check_apart (file, &file->grid, &s->grid));
  }
  return ADAMIX_OK;
}

static adamix_err
take_all (sweep_file *file, const adamix_ini *ini)
{
  adamix_err err = ADAMIX_OK;
  int count;
  const adamix_option *table = adamix_train_options (&count);
  place place = { 0 };
  ADAMIX_RETURN_IF (adamix_options_create (&place.check, table, count));
  for (int64_t i = 0; i < ini->entries && !err; i++) {
    err = take_entry (file, &ini->entry[i], &place);
    if (err) adamix_err_prefix (err, "%s:%d", file->path, ini->entry[i].line);
  }
  adamix_options_destroy (place.check);
  return err;
}

adamix_err
sweep_file_read (sweep_file *out, const char *path)
{
  adamix_err err = ADAMIX_OK;
  int count;
  const adamix_option *table = adamix_sweep_options (&count);
  adamix_ini ini = { 0 };
  *out = (sweep_file){ .path = path };
  ADAMIX_TRY (adamix_options_create (&out->options, table, count));
  ADAMIX_TRY (adamix_ini_read (&ini, path));
  ADAMIX_TRY (take_all (out, &ini));
  if (!out->settings) ADAMIX_TRY (make_setting (out, "", 1));
  ADAMIX_TRY (check_places (out));
done:
  adamix_ini_destroy (&ini);
  if (err) sweep_file_destroy (out);
  return err;
}

static void
destroy_axes (axes *axes)
{
  for (int64_t i = 0; i < axes->count; i++) {
    for (int64_t v = 0; v < axes->axis[i].values; v++) free (axes->axis[i].value[v]);
    free (axes->axis[i].value);
  }
  free (axes->axis);
}

void
sweep_file_destroy (sweep_file *file)
{
  for (int64_t i = 0; i < file->settings; i++) {
    destroy_axes (&file->setting[i].grid);
    destroy_axes (&file->setting[i].fixed);
    free (file->setting[i].name);
  }
  free (file->setting);
  destroy_axes (&file->grid);
  destroy_axes (&file->common);
  adamix_options_destroy (file->options);
  *file = (sweep_file){ 0 };
}
