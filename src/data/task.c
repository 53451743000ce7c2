#include "data/data_private.h"

#include <stdlib.h>
#include <string.h>

#define PAIR_OF_SENTENCES .text = "sentence1", .pair = "sentence2"
#define GLUE_FILES        .train = { "train.tsv", "train_subset.tsv" }, .dev = { "dev.tsv", "dev_holdout.tsv" }
#define GLUE_SUBSTITUTES  .substitute = { "train_subset.tsv", "dev_holdout.tsv" }

static const adamix_task tasks[] = {
  { .name = "rte",
    .folder = "glue/RTE",
    .header = true,
    PAIR_OF_SENTENCES,
    .label = "label",
    GLUE_FILES,
    GLUE_SUBSTITUTES,
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
    GLUE_SUBSTITUTES,
    .labels = "0|1",
    .metric = "accuracy",
    .metrics = "accuracy|f1" },
  { .name = "cola",
    .folder = "glue/CoLA",
    .header = false,
    .text = "#3",
    .label = "#1",
    GLUE_FILES,
    GLUE_SUBSTITUTES,
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
    GLUE_SUBSTITUTES,
    .metric = "pearson",
    .metrics = "pearson|spearmanr" },
  { .name = "sst2",
    .folder = "glue/SST-2",
    .header = true,
    .text = "sentence",
    .label = "label",
    GLUE_FILES,
    GLUE_SUBSTITUTES,
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
    GLUE_SUBSTITUTES,
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
    GLUE_SUBSTITUTES,
    .labels = "0|1",
    .metric = "accuracy",
    .metrics = "accuracy|f1" },
  { .name = "mnli",
    .folder = "glue/MNLI",
    .header = true,
    PAIR_OF_SENTENCES,
    .label = "gold_label",
    .train = { "train.tsv", "train_subset.tsv" },
    .dev = { "dev_matched.tsv", "dev_holdout.tsv" },
    GLUE_SUBSTITUTES,
    .labels = "entailment|neutral|contradiction",
    .metric = "accuracy",
    .metrics = "accuracy" },
  { .name = "banking77",
    .folder = "banking77",
    .header = true,
    .text = "text",
    .label = "category",
    .train = { "train.csv" },
    .test = { "test.csv" },
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
  return "rte|mrpc|cola|stsb|sst2|qnli|qqp|mnli|banking77";
}

/* ---- files of a split ------------------------------------------------------------------------------------------------ */

typedef struct split_files {
  const char *noun;
  const char *const *file;
  int count;
  bool required;
} split_files;

static split_files
files_of (const adamix_task *task, adamix_split split)
{
  const split_files files[] = { [ADAMIX_SPLIT_TRAIN] = { "training", task->train, 3, true },
                                [ADAMIX_SPLIT_DEV] = { "dev", task->dev, 3, true },
                                [ADAMIX_SPLIT_TEST] = { "test", task->test, 2, false } };
  return files[split];
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
try_files (const split_files *files, const char *dir, char **out, char **tried)
{
  for (int i = 0; i < files->count && files->file[i] && !*out; i++)
    ADAMIX_RETURN_IF (try_file (dir, files->file[i], out, tried));
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
adamix_task_path (const adamix_task *task, const char *root, adamix_split split, char **out, bool *substitute)
{
  adamix_err err = ADAMIX_OK;
  split_files files = files_of (task, split);
  char *folder = NULL, *tried = NULL;
  *out = NULL;
  *substitute = false;
  if (!files.file[0]) return ADAMIX_OK;
  ADAMIX_TRY (adamix_path_join (&folder, root, task->folder ? task->folder : ""));
  ADAMIX_TRY (try_files (&files, folder, out, &tried));
  if (!*out) ADAMIX_TRY (try_files (&files, root, out, &tried));
  if (*out)
    *substitute = adamix_task_substitutes (task, *out);
  else if (files.required)
    err = adamix_err_set (ADAMIX_EDATA, "no %s file of task %s is there; tried %s; check --data", files.noun,
                          task->name, tried);
done:
  free (tried);
  free (folder);
  return err;
}
