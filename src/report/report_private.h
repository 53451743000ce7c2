/* report_private.h - what the files of this room share. */
#ifndef ADAMIX_REPORT_PRIVATE_H
#define ADAMIX_REPORT_PRIVATE_H

#include <adamix/report.h>

#define REPORT_CONFIDENCE 0.95

/* Of a run: the table that `adamix eval --inference all --output` writes. */
#define FILE_INFERENCE "inference.json"

/* ---- run.c: a run's folder ---- */

/* What could be read of it.  Members are owned; NULL is what is not there. */
/* What is drawn over the steps: the training loss, and the main metric on the dev file where it was evaluated. */
typedef enum adamix_report_curve { ADAMIX_REPORT_LOSS, ADAMIX_REPORT_DEV, ADAMIX_REPORT_CURVES } adamix_report_curve;

typedef struct adamix_report_run {
  char *path, *name;  /* the folder; its last part */
  json_t *record;     /* run.json */
  json_t *results;    /* all_results.json; NULL: unfinished or broken */
  json_t *modes;      /* inference.json: a list */
  json_t *settings;   /* {"method": "adamix", ...}: texts of what has a say in the numbers, less task and seed */
  char *metric;       /* main one of the task, "accuracy" */
  char *trouble;      /* all that is wrong, for people */
  char *task, *basis; /* its name; what tells it from others of that name: "", or a hash of own data */
  char *replicate;    /* seed and hash of the training file: what pairs runs of two groups */
  bool repeated;      /* another run of its group has the same ones: it does not count */
  int64_t steps;      /* read from metrics.jsonl */
  double *step;       /* [steps] */
  double *curve[ADAMIX_REPORT_CURVES]; /* [steps] each; NaN where a line has none */
} adamix_report_run;

/* Broken files are trouble, not errors.  Errors: ENOMEM. */
adamix_err adamix_report_run_read (adamix_report_run *out, const char *path);
void adamix_report_run_destroy (adamix_report_run *run);
/* Has the folder any file of a run?  Errors: ENOMEM. */
adamix_err adamix_report_run_is (const char *path, bool *out);
/* A number of its results; NaN: none. */
double adamix_report_run_value (const adamix_report_run *run, const char *key);
/* *text, which may be NULL, becomes longer, with the separator between both.  Errors: ENOMEM. */
adamix_err adamix_report_append (char **text, const char *separator, const char *more);
/* More trouble, "; " between two.  Errors: ENOMEM. */
adamix_err adamix_report_run_blame (adamix_report_run *run, const char *format, ...) ADAMIX_PRINTF (2, 3);
/* The member of an object by a path of keys with dots, "cpu.name"; NULL: none. */
const json_t *adamix_report_member (const json_t *object, const char *path);

/* ---- command.c ---- */

/* The command line of `adamix train` that makes such a run: all options that are not the defaults.  Errors: ENOMEM. */
adamix_err adamix_report_command (const adamix_report_run *run, char **out);
/* The one of `adamix eval` that gives it FILE_INFERENCE. */
adamix_err adamix_report_command_of_modes (const adamix_report_run *run, char **out);

/* ---- study.c: runs by task and group ---- */

typedef struct adamix_report_group {
  char *name;         /* a sweep's name for it, or the settings in which it differs from the others of its task */
  int64_t *run, runs; /* numbers in the study, finished or not */
} adamix_report_group;

typedef struct adamix_report_task {
  char *name, *basis; /* of its runs; the name is that of no other task */
  char *slug;         /* the name in letters, digits and dashes, for files; "" where there is one task */
  adamix_report_group *group;
  int64_t groups;
  char *metric;             /* member of all_results.json that groups are compared by; NULL: no run has one */
  const char *short_metric; /* the metric without "eval_" or "test_"; view */
  bool lower;               /* is better */
  int64_t reference;        /* group that the others are tested against; -1: none has a value */
  bool is_baseline;         /* it was asked for, not found to be the best */
} adamix_report_task;

typedef struct adamix_report_study {
  adamix_report_run *run;
  int64_t runs;
  adamix_report_task *task;
  int64_t tasks;
  char *passed_over; /* names of folders without a run; NULL: none */
} adamix_report_study;

/* Read all runs of the paths and deal them to tasks and groups; with `compare` each run is a group.  Errors: as
 * adamix_report_write. */
adamix_err adamix_report_study_read (adamix_report_study *out, const adamix_report_args *args);
void adamix_report_study_destroy (adamix_report_study *study);
/* The same of runs that were read: fills study->task.  Errors: EUSAGE, ENOMEM. */
adamix_err adamix_report_study_deal (adamix_report_study *study, const adamix_report_args *args);
/* Is a lower value of it better?  By the end of its name. */
bool adamix_report_is_lower_better (const char *key);
/* The finite values of a group's runs that count, into value [group->runs]; returns how many. */
int64_t adamix_report_values (const adamix_report_study *study, const adamix_report_group *group, const char *key,
                              double *value);
/* Those of the pairs of two groups, into a, b [a->runs]. */
int64_t adamix_report_pairs (const adamix_report_study *study, const adamix_report_group *of_a,
                             const adamix_report_group *of_b, const char *key, double *a, double *b);

/* ---- table.c ---- */

/* A table in the making: columns, then cells row by row.  Remembers the first failure itself. */
typedef struct adamix_report_table {
  char *name, *caption; /* of its files; a sentence */
  char **title;         /* [columns] */
  bool *number;         /* [columns] */
  int64_t columns;
  struct adamix_report_cell {
    char *text;  /* for people; NULL: there is none */
    char *exact; /* for programs; NULL: the text */
  } * cell;      /* [cells] */
  int64_t cells, column_room, number_room, cell_room;
  adamix_err err;
} adamix_report_table;

void adamix_report_table_begin (adamix_report_table *out, const char *name, const char *format, ...)
    ADAMIX_PRINTF (3, 4);
void adamix_report_table_destroy (adamix_report_table *table);
void adamix_report_table_column (adamix_report_table *table, bool number, const char *title);
/* NULL: an empty cell. */
void adamix_report_table_text (adamix_report_table *table, const char *text);
/* With that many digits behind the point; empty if it is not finite. */
void adamix_report_table_number (adamix_report_table *table, double value, int digits);
/* A probability: three digits, "<0.001". */
void adamix_report_table_chance (adamix_report_table *table, double p);
/* Print it. */
void adamix_report_table_markdown (const adamix_report_table *table, FILE *out);
void adamix_report_table_csv (const adamix_report_table *table, FILE *out);
void adamix_report_table_latex (const adamix_report_table *table, FILE *out);
void adamix_report_table_html (const adamix_report_table *table, FILE *out);
void adamix_report_table_plain (const adamix_report_table *table, FILE *out);
/* Text between the tags of HTML or in an attribute. */
void adamix_report_escape (const char *text, FILE *out);

/* ---- page.c: the page and the files beside it ---- */

/* Remembers the first failure itself; what comes behind it does nothing. */
typedef struct adamix_report_page {
  const char *folder; /* of tables and figures */
  adamix_draft head, missing, body, summary;
  adamix_log *log;
  int64_t figures;
  bool plots_missing;
  adamix_err err;
} adamix_report_page;

void adamix_report_page_begin (adamix_report_page *out, const char *folder, const char *title, adamix_log *log);
/* A paragraph under the title. */
void adamix_report_page_lead (adamix_report_page *page, const char *format, ...) ADAMIX_PRINTF (2, 3);
/* An item of what is missing, which stands below, and the command that mends it; NULL: none. */
void adamix_report_page_miss (adamix_report_page *page, const char *command, const char *format, ...)
    ADAMIX_PRINTF (3, 4);
/* An element `tag` with that text. */
void adamix_report_page_say (adamix_report_page *page, const char *tag, const char *format, ...) ADAMIX_PRINTF (3, 4);
/* HTML as it stands. */
void adamix_report_page_put (adamix_report_page *page, const char *html);
/* Store and show a table, which it destroys: with `details`, a title in HTML, closed at first; `summary`: in the summary too. */
void adamix_report_page_table (adamix_report_page *page, adamix_report_table *table, const char *details, bool summary);
/* Draw and show a figure, which it destroys. */
void adamix_report_page_figure (adamix_report_page *page, adamix_figure *figure, const char *name, int height,
                                const char *caption);
/* The end of the page, written to `path`; *summary is owned.  Destroys the page, also after a failure, which it returns. */
adamix_err adamix_report_page_end (adamix_report_page *page, const char *path, char **summary);

#define REPORT_FIGURE_WIDTH 420

/* ---- what a study has to show; each does nothing on a page that failed ---- */

/* "WHAT", or "WHAT-SLUG" where there are several tasks; owned.  Errors: ENOMEM. */
adamix_err adamix_report_name (const char *what, const adamix_report_task *task, char **out);
/* The task's metric of a run in a way of using its experts; NaN: none. */
double adamix_report_mode_value (const adamix_report_run *run, const adamix_report_task *task, const char *mode);
/* The way of what the run ships: "merged", or without it "router".  View. */
const char *adamix_report_own_mode (const adamix_report_run *run);
/* The ways that any run of the group has, as keys; new reference, NULL without memory. */
json_t *adamix_report_modes (const adamix_report_study *study, const adamix_report_group *group);

/* tables.c */
void adamix_report_show_overview (adamix_report_page *page, const adamix_report_study *study);
void adamix_report_show_results (adamix_report_page *page, const adamix_report_study *study,
                                 const adamix_report_task *task);
void adamix_report_show_metrics (adamix_report_page *page, const adamix_report_study *study,
                                 const adamix_report_task *task);
void adamix_report_show_modes (adamix_report_page *page, const adamix_report_study *study,
                               const adamix_report_task *task);
void adamix_report_show_settings (adamix_report_page *page, const adamix_report_study *study,
                                  const adamix_report_task *task);
/* sides.c */
void adamix_report_show_sides (adamix_report_page *page, const adamix_report_study *study);

/* machine.c */
void adamix_report_show_runs (adamix_report_page *page, const adamix_report_study *study);
void adamix_report_show_speed (adamix_report_page *page, const adamix_report_study *study);
void adamix_report_show_environment (adamix_report_page *page, const adamix_report_study *study);
void adamix_report_show_commands (adamix_report_page *page, const adamix_report_study *study);
/* What run.json says of a run besides its options. */
typedef struct adamix_report_item {
  const char *name, *path; /* for people; of its member */
} adamix_report_item;
extern const adamix_report_item adamix_report_circumstance[];
extern const int64_t adamix_report_circumstances;

/* figures.c */
/* Means of a run's curve over `bins` bins, of which bin b has the steps b width < s <= (b + 1) width; NaN: it has none. */
void adamix_report_bin (const adamix_report_run *run, adamix_report_curve curve, int64_t width, int64_t bins,
                        double *out);
void adamix_report_draw_results (adamix_report_page *page, const adamix_report_study *study,
                                 const adamix_report_task *task);
/* Nothing where no run has two steps of the curve. */
void adamix_report_draw_curve (adamix_report_page *page, const adamix_report_study *study,
                               const adamix_report_task *task, adamix_report_curve curve);
void adamix_report_draw_modes (adamix_report_page *page, const adamix_report_study *study,
                               const adamix_report_task *task);

#endif
