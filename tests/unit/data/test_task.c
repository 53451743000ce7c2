#include "data/data_private.h"
#include "data/fixture.h"

TestSuite (task, .init = scratch_begin, .fini = scratch_end);

Test (task, every_name_is_found_and_complete)
{
  char names[256], *rest = names;
  int count = 0;
  cr_assert_lt (strlen (adamix_task_names ()), sizeof names);
  strcpy (names, adamix_task_names ());
  for (char *name; (name = strsep (&rest, "|")); count++) {
    const adamix_task *task = adamix_task_find (name);
    cr_assert_not_null (task, "%s", name);
    cr_assert_str_eq (task->name, name);
    cr_assert (task->folder && task->text && task->label && task->file[ADAMIX_SPLIT_TRAIN][0] && task->metric &&
               task->metrics);
    cr_assert_not_null (strstr (task->metrics, task->metric), "%s", name);
    cr_assert (task->file[ADAMIX_SPLIT_DEV][0] || task->file[ADAMIX_SPLIT_TEST][0], "%s", name);
  }
  cr_assert_eq (count, 9, "eight tasks of GLUE and banking77");
  cr_assert_null (adamix_task_find ("RTE"));
}

static void
put (const char *folder, const char *name)
{
  char *path;
  cr_assert_succeeds (adamix_directory_make (scratch_path (folder)));
  cr_assert_succeeds (adamix_path_join (&path, folder, name));
  scratch_file (path, "x", 1);
  free (path);
}

static void
check_path (const char *task, adamix_split split, const char *expected, bool is_substitute)
{
  char *path;
  cr_assert_succeeds (adamix_task_path (adamix_task_find (task), scratch_folder, split, &path));
  cr_assert_not_null (path);
  cr_assert_str_eq (path, scratch_path (expected));
  cr_assert_eq (adamix_task_substitutes (adamix_task_find (task), path), is_substitute, "%s", path);
  free (path);
}

Test (task, files_are_tried_in_order)
{
  put ("glue/QQP", "train_subset.tsv");
  put ("glue/QQP", "dev_holdout.tsv");
  check_path ("qqp", ADAMIX_SPLIT_TRAIN, "glue/QQP/train_subset.tsv", true);
  check_path ("qqp", ADAMIX_SPLIT_DEV, "glue/QQP/dev_holdout.tsv", true);
  put ("glue/QQP", "train.tsv");
  put ("glue/QQP", "dev.tsv");
  check_path ("qqp", ADAMIX_SPLIT_TRAIN, "glue/QQP/train.tsv", false);
  check_path ("qqp", ADAMIX_SPLIT_DEV, "glue/QQP/dev.tsv", false);
  put ("glue/MNLI", "dev_matched.tsv");
  check_path ("mnli", ADAMIX_SPLIT_DEV, "glue/MNLI/dev_matched.tsv", false);
  put ("glue/MNLI", "dev_mismatched.tsv");
  check_path ("mnli", ADAMIX_SPLIT_DEV_MISMATCHED, "glue/MNLI/dev_mismatched.tsv", false);
  put ("banking77", "test.csv");
  check_path ("banking77", ADAMIX_SPLIT_TEST, "banking77/test.csv", false);
}

Test (task, a_folder_may_hold_the_files_itself)
{
  put (".", "train.tsv");
  check_path ("rte", ADAMIX_SPLIT_TRAIN, "train.tsv", false);
}

Test (task, a_missing_file_is_named)
{
  char *path;
  const adamix_task *rte = adamix_task_find ("rte"), *banking = adamix_task_find ("banking77");
  cr_assert_fails (adamix_task_path (rte, scratch_folder, ADAMIX_SPLIT_TRAIN, &path), ADAMIX_EDATA,
                   "glue/RTE/train_subset.tsv");
  cr_assert_null (path);
  cr_assert_succeeds (adamix_task_path (banking, scratch_folder, ADAMIX_SPLIT_DEV, &path));
  cr_assert_null (path, "banking77 has no dev file");
  cr_assert_succeeds (adamix_task_path (banking, scratch_folder, ADAMIX_SPLIT_TEST, &path));
  cr_assert_null (path, "a test file is optional");
  cr_assert_succeeds (adamix_task_path (adamix_task_find ("mnli"), scratch_folder, ADAMIX_SPLIT_DEV_MISMATCHED, &path));
  cr_assert_null (path, "so are MNLI's mismatched pairs");
}
