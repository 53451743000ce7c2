/* Two runs side by side. */
#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
add_sides (adamix_report_table *t, const adamix_report_study *study, bool numbers)
{
  const adamix_report_run *a = &study->run[0], *b = &study->run[1];
  const bool same = strcmp (a->name, b->name) == 0;
  adamix_report_table_column (t, numbers, same ? a->path : a->name);
  adamix_report_table_column (t, numbers, same ? b->path : b->name);
}

/* What both have alike is left out. */
static adamix_err
compare_value (adamix_report_table *t, const char *name, const json_t *a, const json_t *b)
{
  adamix_err err = ADAMIX_OK;
  char *of_a = NULL, *of_b = NULL;
  if ((!a && !b) || (a && b && json_equal (a, b))) return ADAMIX_OK;
  ADAMIX_TRY (adamix_train_option_text (a, &of_a));
  ADAMIX_TRY (adamix_train_option_text (b, &of_b));
  adamix_report_table_text (t, name);
  adamix_report_table_text (t, *of_a ? of_a : NULL);
  adamix_report_table_text (t, *of_b ? of_b : NULL);
done:
  free (of_b);
  free (of_a);
  return err;
}

static adamix_err
compare_settings (adamix_report_table *t, const adamix_report_study *study)
{
  int count;
  const adamix_option *option = adamix_train_options (&count);
  const json_t *a = study->run[0].record, *b = study->run[1].record;
  for (int i = 0; i < count; i++)
    if (strcmp (option[i].name, "output") != 0)
      ADAMIX_RETURN_IF (compare_value (t, option[i].name,
                                       json_object_get (json_object_get (a, "config"), option[i].name),
                                       json_object_get (json_object_get (b, "config"), option[i].name)));
  for (int64_t i = 0; i < adamix_report_circumstances; i++) {
    const char *path = adamix_report_circumstance[i].path;
    ADAMIX_RETURN_IF (compare_value (t, adamix_report_circumstance[i].name, adamix_report_member (a, path),
                                     adamix_report_member (b, path)));
  }
  return t->err;
}

static void
compare_number (adamix_report_table *t, const adamix_report_study *study, const char *key)
{
  const double a = adamix_report_run_value (&study->run[0], key), b = adamix_report_run_value (&study->run[1], key);
  const bool whole = (!isfinite (a) || a == floor (a)) && (!isfinite (b) || b == floor (b));
  const int digits = whole ? 0 : fabs (a) >= 100 ? 1 : 4;
  adamix_report_table_text (t, key);
  adamix_report_table_number (t, a, digits);
  adamix_report_table_number (t, b, digits);
  adamix_report_table_number (t, b - a, digits);
}

void
adamix_report_show_sides (adamix_report_page *page, const adamix_report_study *study)
{
  adamix_report_table t;
  const char *key;
  json_t *value;
  adamix_report_table_begin (&t, "differences", "Settings and circumstances in which the two runs differ.");
  adamix_report_table_column (&t, false, "setting");
  add_sides (&t, study, false);
  if (!t.err) t.err = compare_settings (&t, study);
  if (!t.err && !t.cells) adamix_report_page_say (page, "p", "Both runs have the same settings.");
  adamix_report_page_table (page, &t, NULL, true);
  adamix_report_table_begin (&t, "results",
                             "Results of both runs, and the second less the first. Two runs say nothing of "
                             "chance: for that it takes several seeds of each.");
  adamix_report_table_column (&t, false, "result");
  add_sides (&t, study, true);
  adamix_report_table_column (&t, true, "difference");
  json_object_foreach (study->run[0].results, key, value) if (json_is_number (value)) compare_number (&t, study, key);
  json_object_foreach (study->run[1].results, key,
                       value) if (json_is_number (value) && !json_object_get (study->run[0].results, key))
      compare_number (&t, study, key);
  adamix_report_page_table (page, &t, NULL, true);
}
