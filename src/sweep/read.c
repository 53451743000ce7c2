#include "sweep/sweep_private.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof (adamix_sweep_config, member)
static const adamix_option sweep_options[] = {
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "DIR",
    "folder of the sweep; each run is a folder in it" },
  { "seeds", ADAMIX_OPTION_STRING, AT (seeds), "0", NULL, 0, 0, "LIST",
    "seeds of every setting, numbers and ranges: 0, 1, 5..9" },
  { "settings", ADAMIX_OPTION_STRING, AT (settings), NULL, NULL, 0, 0, "LIST",
    "settings to make, by the names of their sections; all if not given" },
  { "ranks", ADAMIX_OPTION_INTEGER, AT (ranks), "1", NULL, 1, 1e6, "N",
    "ranks of a run, of mpirun or of a task of Slurm" },
  { "profile", ADAMIX_OPTION_STRING, AT (profile), NULL, NULL, 0, 0, "NAME",
    "whose sections [NAME: ...] count, in a file that has some" },
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

/* The row of `adamix train`, NULL: it has none. */
static const adamix_option *
find_row (const char *name)
{
  int count;
  const adamix_option *row = adamix_train_options (&count);
  for (int i = 0; i < count; i++)
    if (strcmp (row[i].name, name) == 0) return &row[i];
  return NULL;
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

adamix_err
sweep_next_item (const char **rest, char **out)
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
      ADAMIX_RETURN_IF (sweep_next_item (&rest, &value));
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
  const double largest = find_row ("seed")->max;
  adamix_err err = ADAMIX_OK;
  int64_t capacity = 0;
  char *item = NULL;
  *out = NULL;
  *count = 0;
  for (const char *rest = text; rest;) {
    char *end;
    free (item);
    item = NULL;
    ADAMIX_TRY (sweep_next_item (&rest, &item));
    const long long first = strtoll (item, &end, DECIMAL);
    bool good = end != item && first >= 0;
    long long last = first;
    if (good && strncmp (end, "..", 2) == 0) {
      const char *second = end + 2;
      last = strtoll (second, &end, DECIMAL);
      good = end != second && last >= first;
    }
    if (!good || *end || (double) last > largest || last - first >= MOST - *count)
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

/* ---- files and profiles ------------------------------------------------------------------------------------------- */

/* What is read of a sweep's file and of the one that it includes, in this order. */
enum { INCLUDED, ITSELF, SOURCES };

static bool
is_include (const adamix_ini_entry *entry)
{
  return !*entry->section && strcmp (entry->name, "include") == 0;
}

/* "SECTION" of "PROFILE: SECTION"; *length is that of PROFILE, 0 where there is none. */
static const char *
behind_profile (const char *section, size_t *length)
{
  const char *colon = strchr (section, ':');
  *length = colon ? (size_t) (colon - section) : 0;
  return colon ? colon + 1 + strspn (colon + 1, blanks) : section;
}

static bool
is_of (const adamix_ini_entry *entry, const char *profile)
{
  size_t length;
  behind_profile (entry->section, &length);
  return profile && length == strlen (profile) && strncmp (entry->section, profile, length) == 0;
}

/* The value above all sections; NULL: there is none. */
static const char *
own_value (const adamix_ini *ini, const char *name)
{
  for (const adamix_ini_entry *entry = ini->entry; entry < ini->entry + ini->entries; entry++)
    if (!*entry->section && entry->name && strcmp (entry->name, name) == 0) return entry->value;
  return NULL;
}

static const adamix_ini_entry *
find_profile (const adamix_ini *ini, const char *profile)
{
  for (int64_t i = 0; i < ini->entries; i++)
    if (profile ? is_of (&ini->entry[i], profile) : strchr (ini->entry[i].section, ':') != NULL) return &ini->entry[i];
  return NULL;
}

/* Is the profile one of these files'?  Where there are some, one has to be chosen. */
static adamix_err
check_profile (const char *path, const adamix_ini ini[SOURCES], const char *profile)
{
  const adamix_ini_entry *any = NULL;
  size_t length = 0;
  for (int i = 0; i < SOURCES; i++) {
    if (profile && find_profile (&ini[i], profile)) return ADAMIX_OK;
    if (!any) any = find_profile (&ini[i], NULL);
  }
  if (any) behind_profile (any->section, &length);
  if (profile)
    return adamix_err_set (ADAMIX_EUSAGE, "%s has no profile '%s'%s%.*s%s", path, profile,
                           any ? ", but for instance '" : "", (int) length, any ? any->section : "", any ? "'" : "");
  if (!any) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "%s has profiles, such as '%.*s': choose one, --profile NAME", path,
                         (int) length, any->section);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* Where in the file an entry stands. */
typedef struct place {
  origin at;
  const char *section;   /* of the entry, without a profile */
  adamix_options *check; /* of `adamix train`: knows keys and values */
  axes *axes;
  setting *run; /* whose section [run NAME] it is; NULL: none */
  bool list;    /* of a grid */
  int includes; /* lines that include a file, so far */
} place;

/* What these axes have of an option, NULL: nothing. */
static const axis *
axis_of (const axes *axes, const char *option)
{
  for (int64_t i = 0; i < axes->count; i++)
    if (strcmp (axes->axis[i].option, option) == 0) return &axes->axis[i];
  return NULL;
}

/* Where `at` is, for a message about a line of `path`: "line 7", or with the name of another file. */
#define WHERE_FORMAT "%s%s%d"
#define WHERE_ARGUMENTS(at, from)                                                                                      \
  strcmp ((at).path, from) == 0 ? "line " : (at).path, strcmp ((at).path, from) == 0 ? "" : ":", (at).line

static adamix_err
check_key (const adamix_ini_entry *entry, const place *place)
{
  const bool common = !*place->section || strcmp (place->section, "train") == 0;
  if (is_own (entry->name) && !common)
    return adamix_err_set (ADAMIX_EUSAGE, "%s is one for all runs; give it above all sections", entry->name);
  if (strcmp (entry->name, "seed") == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "seed is of one run; list the seeds above all sections: seeds = 0..4");
  if (!adamix_sweep_takes (entry->name))
    return adamix_err_set (ADAMIX_EUSAGE, "%s cannot be given: the sweep itself decides it for each run", entry->name);
  const axis *before = axis_of (place->axes, entry->name);
  if (before)
    return adamix_err_set (ADAMIX_EUSAGE, "option --%s is given twice, in " WHERE_FORMAT " too; give it once",
                           entry->name, WHERE_ARGUMENTS (before->at, place->at.path));
  return ADAMIX_OK;
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
  *a = (axis){ .option = row->name, .named = place->list, .at = place->at };
  ADAMIX_RETURN_IF (fill_values (a, entry->value, place->list));
  for (int64_t i = 0; i < a->values; i++)
    ADAMIX_RETURN_IF (adamix_options_set (place->check, a->option, a->value[i], ADAMIX_SOURCE_FILE));
  return ADAMIX_OK;
}

setting *
sweep_find_setting (const sweep_file *file, const char *name)
{
  for (int64_t i = 0; i < file->settings; i++)
    if (strcmp (file->setting[i].name, name) == 0) return &file->setting[i];
  return NULL;
}

static adamix_err
make_setting (sweep_file *file, const char *name, origin at)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (file->setting, &file->capacity, file->settings + 1));
  file->setting[file->settings] = (setting){ .at = at };
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
find_place (sweep_file *file, place *place)
{
  const char *section = place->section;
  const char *run = name_behind (section, "run"), *grid = name_behind (section, "grid"), *name = run ? run : grid;
  place->list = strcmp (section, "grid") == 0 || grid;
  place->run = NULL;
  if (!*section || strcmp (section, "train") == 0) {
    place->axes = &file->common;
  } else if (strcmp (section, "grid") == 0) {
    place->axes = &file->grid;
  } else if (name) {
    ADAMIX_RETURN_IF (check_name (name));
    if (!sweep_find_setting (file, name)) ADAMIX_RETURN_IF (make_setting (file, name, place->at));
    setting *s = sweep_find_setting (file, name);
    place->axes = run ? &s->fixed : &s->grid;
    place->run = run ? s : NULL;
  } else {
    return adamix_err_set (
        ADAMIX_EUSAGE, "[%s] is no section of a sweep; there are [train], [grid], [run NAME] and [grid NAME]", section);
  }
  return ADAMIX_OK;
}

/* Seeds of one setting. */
static adamix_err
take_seeds (setting *run, const char *text)
{
  if (run->seeds) return adamix_err_set (ADAMIX_EUSAGE, "seeds is given twice; give it once");
  ADAMIX_RETURN_IF (check_seeds (text));
  return adamix_format (&run->seeds, "%s", text);
}

static adamix_err
take_entry (sweep_file *file, const adamix_ini_entry *entry, place *place)
{
  ADAMIX_RETURN_IF (find_place (file, place));
  if (!entry->name) return ADAMIX_OK;
  if (is_include (entry))
    return place->includes++ ? adamix_err_set (ADAMIX_EUSAGE, "include is given twice; give it once") : ADAMIX_OK;
  const bool seeds = strcmp (entry->name, "seeds") == 0;
  if (seeds && place->run) return take_seeds (place->run, entry->value);
  if (place->axes != &file->common || !is_own (entry->name)) return add_axis (entry, place);
  if (adamix_options_source (file->options, entry->name) == ADAMIX_SOURCE_FILE)
    return adamix_err_set (ADAMIX_EUSAGE, "%s is given twice; give it once", entry->name);
  if (seeds) ADAMIX_RETURN_IF (check_seeds (entry->value));
  return adamix_options_set (file->options, entry->name, entry->value, ADAMIX_SOURCE_FILE);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* No option may be in two places of which one would have no effect; what `b` says was read behind `a`, if in one file. */
static adamix_err
check_apart (const axes *a, const axes *b)
{
  for (int64_t i = 0; i < a->count; i++) {
    const axis *one = &a->axis[i], *other = axis_of (b, one->option);
    if (!other) continue;
    const bool swapped = strcmp (one->at.path, other->at.path) == 0 && one->at.line > other->at.line;
    const origin late = swapped ? one->at : other->at, early = swapped ? other->at : one->at;
    return adamix_err_set (ADAMIX_EUSAGE,
                           "%s:%d: option --%s is given in " WHERE_FORMAT " too, for the same runs; give it once",
                           late.path, late.line, one->option, WHERE_ARGUMENTS (early, late.path));
  }
  return ADAMIX_OK;
}

static adamix_err
check_places (const sweep_file *file)
{
  ADAMIX_RETURN_IF (check_apart (&file->common, &file->grid));
  for (int64_t i = 0; i < file->settings; i++) {
    const setting *s = &file->setting[i];
    ADAMIX_RETURN_IF (check_apart (&s->fixed, &s->grid));
    ADAMIX_RETURN_IF (check_apart (&file->grid, &s->fixed));
    ADAMIX_RETURN_IF (check_apart (&file->grid, &s->grid));
  }
  return ADAMIX_OK;
}

/* Entries of no profile, and those of this one. */
static adamix_err
take_all (sweep_file *file, const char *path, const adamix_ini *ini, const char *profile)
{
  adamix_err err = ADAMIX_OK;
  int count;
  const adamix_option *table = adamix_train_options (&count);
  place place = { 0 };
  ADAMIX_RETURN_IF (adamix_options_create (&place.check, table, count));
  for (int64_t i = 0; i < ini->entries && !err; i++) {
    size_t length;
    place.at = (origin){ path, ini->entry[i].line };
    place.section = behind_profile (ini->entry[i].section, &length);
    if (strchr (ini->entry[i].section, ':') && !is_of (&ini->entry[i], profile)) continue;
    err = take_entry (file, &ini->entry[i], &place);
    if (err) adamix_err_prefix (err, "%s:%d", path, place.at.line);
  }
  adamix_options_destroy (place.check);
  return err;
}

/* Beside the file that includes it. */
static adamix_err
read_included (sweep_file *file, adamix_ini ini[SOURCES])
{
  const char *name = own_value (&ini[ITSELF], "include"), *slash = strrchr (file->path, '/');
  if (!name) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_format (&file->included, "%.*s%s",
                                   *name == '/' || !slash ? 0 : (int) (slash - file->path + 1), file->path, name));
  ADAMIX_RETURN_IF (adamix_ini_read (&ini[INCLUDED], file->included));
  if (!own_value (&ini[INCLUDED], "include")) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "%s: a file that is included includes none", file->included);
}

adamix_err
sweep_file_read (sweep_file *out, const char *path, const char *profile)
{
  adamix_err err = ADAMIX_OK;
  int count;
  const adamix_option *table = adamix_sweep_options (&count);
  adamix_ini ini[SOURCES] = { { 0 } };
  *out = (sweep_file){ .path = path };
  ADAMIX_TRY (adamix_options_create (&out->options, table, count));
  ADAMIX_TRY (adamix_ini_read (&ini[ITSELF], path));
  ADAMIX_TRY (read_included (out, ini));
  for (int i = SOURCES; i-- && !profile;) profile = own_value (&ini[i], "profile");
  ADAMIX_TRY (check_profile (path, ini, profile));
  ADAMIX_TRY (take_all (out, out->included, &ini[INCLUDED], profile));
  ADAMIX_TRY (take_all (out, path, &ini[ITSELF], profile));
  if (!out->settings) ADAMIX_TRY (make_setting (out, "", (origin){ path, 1 }));
  ADAMIX_TRY (check_places (out));
done:
  for (int i = 0; i < SOURCES; i++) adamix_ini_destroy (&ini[i]);
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
    free (file->setting[i].seeds);
    free (file->setting[i].name);
  }
  free (file->setting);
  destroy_axes (&file->grid);
  destroy_axes (&file->common);
  free (file->included);
  adamix_options_destroy (file->options);
  *file = (sweep_file){ 0 };
}
