#include "data/data_private.h"

#include <stdlib.h>
#include <string.h>

#define PAIR_OF_SENTENCES .text = "sentence1", .pair = "sentence2"
#define GLUE_TRAIN        [ADAMIX_SPLIT_TRAIN] = { "train.tsv", "train_subset.tsv" }
#define GLUE_SUBSTITUTES  .substitute = { "train_subset.tsv", "dev_holdout.tsv" }
#define GLUE_FILES        .file = { GLUE_TRAIN, [ADAMIX_SPLIT_DEV] = { "dev.tsv", "dev_holdout.tsv" } }, GLUE_SUBSTITUTES

static const adamix_task tasks[] = {
  { .name = "rte",
    .folder = "glue/RTE",
    .header = true,
    PAIR_OF_SENTENCES,
    .label = "label",
    GLUE_FILES,
    .labels = "entailment|not_entailment",
    .metric = "accuracy",
    .metrics = "accuracy" },
  { .name = "mrpc",
    .folder = "glue/MRPC",
    .header = true,
    .text = "#1 String",
    .pair = "#2 String",
    .label = "Quality",
    GLUE_FILES,
    .labels = "0|1",
    .metric = "accuracy",
    .metrics = "accuracy|f1" },
  { .name = "cola",
    .folder = "glue/CoLA",
    .header = false,
    .text = "#3",
    .label = "#1",
    GLUE_FILES,
    .labels = "0|1",
    .metric = "matthews_correlation",
    .metrics = "matthews_correlation" },
  { .name = "stsb",
    .folder = "glue/STS-B",
    .type = ADAMIX_TASK_REGRESSION,
    .header = true,
    PAIR_OF_SENTENCES,
    .label = "score",
    GLUE_FILES,
    .metric = "pearson",
    .metrics = "pearson|spearmanr" },
  { .name = "sst2",
    .folder = "glue/SST-2",
    .header = true,
    .text = "sentence",
    .label = "label",
    GLUE_FILES,
    .labels = "0|1",
    .metric = "accuracy",
    .metrics = "accuracy" },
  { .name = "qnli",
    .folder = "glue/QNLI",
    .header = true,
    .text = "question",
    .pair = "sentence",
    .label = "label",
    GLUE_FILES,
    .labels = "entailment|not_entailment",
    .metric = "accuracy",
    .metrics = "accuracy" },
  { .name = "qqp",
    .folder = "glue/QQP",
    .header = true,
    .text = "question1",
    .pair = "question2",
    .label = "is_duplicate",
    GLUE_FILES,
    .labels = "0|1",
    .metric = "accuracy",
    .metrics = "accuracy|f1" },
  { .name = "mnli",
    .folder = "glue/MNLI",
    .header = true,
    PAIR_OF_SENTENCES,
    .label = "gold_label",
    .file = { GLUE_TRAIN, [ADAMIX_SPLIT_DEV] = { "dev_matched.tsv", "dev_holdout.tsv" },
              [ADAMIX_SPLIT_DEV_MISMATCHED] = { "dev_mismatched.tsv" } },
    GLUE_SUBSTITUTES,
    .labels = "entailment|neutral|contradiction",
    .metric = "accuracy",
    .metrics = "accuracy" },
  { .name = "banking77",
    .folder = "banking77",
    .header = true,
    .text = "text",
    .label = "category",
    .file = { [ADAMIX_SPLIT_TRAIN] = { "train.csv" }, [ADAMIX_SPLIT_TEST] = { "test.csv" } },
    .metric = "accuracy",
    .metrics = "accuracy" },
};
#define TASKS ((int) (sizeof tasks / sizeof tasks[0]))

const adamix_task *
adamix_task_find (const char *name)
{
  for (int i = 0; i < TASKS; i++)
    if (strcmp (tasks[i].name, name) == 0) return &tasks[i];
  return NULL;
}

const char *
adamix_task_names (void)
{
  static _Thread_local char names[256];
  names[0] = '\0';
  for (size_t i = 0, used = 0; i < (size_t) TASKS && used < sizeof names; i++)
    used += (size_t) snprintf (names + used, sizeof names - used, "%s%s", i ? "|" : "", tasks[i].name);
  return names;
}

/* ---- splits ------------------------------------------------------------------------------------------------------------ */

static const adamix_split_row splits[ADAMIX_SPLITS] = {
  [ADAMIX_SPLIT_TRAIN] = { "train", "train_%s", true },
  [ADAMIX_SPLIT_DEV] = { "dev", "eval_%s", true },
  [ADAMIX_SPLIT_DEV_MISMATCHED] = { "dev_mismatched", "eval_%s_mm", false },
  [ADAMIX_SPLIT_TEST] = { "test", "test_%s", false },
};

const adamix_split_row *
adamix_split_of (adamix_split split)
{
  return &splits[split];
}

/* Join to *out the path if it is there; else append it to the list of what was tried. */
static adamix_err
try_file (const char *dir, const char *file, char **out, char **tried)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL, *list = NULL;
  ADAMIX_TRY (adamix_path_join (&path, dir, file));
  if (adamix_path_exists (path)) {
    *out = path;
    return ADAMIX_OK;
  }
  ADAMIX_TRY (adamix_format (&list, "%s%s%s", *tried ? *tried : "", *tried ? ", " : "", path));
  free (*tried);
  *tried = list;
done:
  free (path);
  return err;
}

static adamix_err
try_files (const char *const file[ADAMIX_SPLIT_FILES], const char *dir, char **out, char **tried)
{
  for (int i = 0; i < ADAMIX_SPLIT_FILES && file[i] && !*out; i++)
    ADAMIX_RETURN_IF (try_file (dir, file[i], out, tried));
  return ADAMIX_OK;
}

bool
adamix_task_substitutes (const adamix_task *task, const char *path)
{
  const char *slash = strrchr (path, '/'), *file = slash ? slash + 1 : path;
  for (int i = 0; i < 2; i++)
    if (task->substitute[i] && strcmp (task->substitute[i], file) == 0) return true;
  return false;
}

adamix_err
adamix_task_path (const adamix_task *task, const char *root, adamix_split split, char **out)
{
  adamix_err err = ADAMIX_OK;
  const char *const *file = task->file[split];
  char *folder = NULL, *tried = NULL;
  *out = NULL;
  if (!file[0]) return ADAMIX_OK;
  ADAMIX_TRY (adamix_path_join (&folder, root, task->folder ? task->folder : ""));
  ADAMIX_TRY (try_files (file, folder, out, &tried));
  if (!*out) ADAMIX_TRY (try_files (file, root, out, &tried));
  if (!*out && splits[split].required)
    err = adamix_err_set (ADAMIX_EDATA, "no %s file of task %s is there; tried %s; check --data", splits[split].name,
                          task->name, tried);
done:
  free (tried);
  free (folder);
  return err;
}
