#include "data/fixture.h"

#include <math.h>
#include <omp.h>

TestSuite (dataset, .init = scratch_begin, .fini = scratch_end);

static void
check_example (const adamix_dataset *d, int64_t example, int64_t count, const int32_t *id)
{
  cr_assert_eq (d->offset[example + 1] - d->offset[example], count, "example %ld", (long) example);
  cr_assert_arr_eq (d->id + d->offset[example], id, (size_t) count * sizeof *id, "example %ld", (long) example);
}

/* Blank ids and an empty question, as QQP has them. */
Test (dataset, of_pairs_with_blanks)
{
  adamix_dataset d;
  adamix_labels labels = { 0 };
  cr_assert_succeeds (read_text (&d, adamix_task_find ("qqp"), "dev_holdout.tsv",
                                 "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
                                 "\t\t\ta b\tc \"\t0\n"
                                 "7\t8\t9\t\tb\t1\n",
                                 0, &labels));
  cr_assert_eq (d.examples, 2);
  cr_assert (d.substitute);
  check_example (&d, 0, 7, (const int32_t[]){ 1, 3, 4, 2, 5, 0, 2 });
  check_example (&d, 1, 4, (const int32_t[]){ 1, 2, 4, 2 });
  cr_assert_arr_eq (d.type, ((const int32_t[]){ 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1 }), 11 * sizeof *d.type);
  cr_assert_arr_eq (d.label, ((const int32_t[]){ 0, 1 }), 2 * sizeof *d.label);
  cr_assert_arr_eq (d.line, ((const int64_t[]){ 2, 3 }), 2 * sizeof *d.line);
  cr_assert_eq (d.empty, 1);
  cr_assert_eq (d.truncated, 0);
  cr_assert_eq (labels.count, 2);
  cr_assert_eq (strlen (d.hash.hex), 64);
  adamix_labels_destroy (&labels);
  adamix_dataset_destroy (&d);
}

Test (dataset, without_a_header_and_with_a_byte_order_mark)
{
  adamix_dataset d;
  adamix_labels labels = { 0 };
  cr_assert_succeeds (read_text (&d, adamix_task_find ("cola"), "train.tsv", "g\t1\t\ta b\ng\t0\t*\tb\n", 0, &labels));
  cr_assert_arr_eq (d.label, ((const int32_t[]){ 1, 0 }), 2 * sizeof *d.label);
  check_example (&d, 1, 3, (const int32_t[]){ 1, 4, 2 });
  adamix_dataset_destroy (&d);
  cr_assert_succeeds (read_text (&d, adamix_task_find ("mrpc"), "dev.tsv",
                                 "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t5\t6\ta\tb\n", 0,
                                 &labels));
  check_example (&d, 0, 5, (const int32_t[]){ 1, 3, 2, 4, 2 });
  cr_assert_eq (d.label[0], 1);
  adamix_dataset_destroy (&d);
  adamix_labels_destroy (&labels);
}

Test (dataset, of_numbers)
{
  const adamix_task task = {
    .name = "custom", .type = ADAMIX_TASK_REGRESSION, .header = true, .text = "t", .label = "#-1"
  };
  adamix_dataset d;
  adamix_labels labels = { 0 };
  cr_assert_succeeds (
      read_text (&d, &task, "train.jsonl", "{\"t\": \"a\", \"y\": 2.5}\n{\"t\": \"b\", \"y\": -1}\n", 0, &labels));
  cr_assert_null (d.label);
  cr_assert_eq (d.target[0], 2.5f);
  cr_assert_eq (d.target[1], -1.0f);
  cr_assert_eq (labels.count, 0);
  cr_assert (isnan (adamix_dataset_majority (&d)));
  adamix_dataset_destroy (&d);
  static const char *const bad[] = { "", "x", "1.5x", "nan", "inf", "1e999", "1e39", "1 2" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char text[64], part[64];
    snprintf (text, sizeof text, "t\ty\na\t1\nb\t%s\n", bad[i]);
    snprintf (part, sizeof part, "train.tsv:3: the label \"%s\" is not a finite number", bad[i]);
    cr_assert_fails (read_text (&d, &task, "train.tsv", text, 0, &labels), ADAMIX_EDATA, part);
  }
}

/* ---- labels ---------------------------------------------------------------------------------------------------------- */

Test (dataset, labels_come_from_the_training_file_in_bytewise_order)
{
  const adamix_task *banking = adamix_task_find ("banking77");
  static const char *const expected[] = { "Zoo", "card", "card_lost", "\xc3\xa9t\xc3\xa9" };
  adamix_dataset train, dev;
  adamix_labels labels = { 0 };
  cr_assert_succeeds (read_text (&train, banking, "train.csv",
                                 "text,category\na,card_lost\n\"b, \nc\",\xc3\xa9t\xc3\xa9\nb,card\nc,Zoo\na,card\n", 3,
                                 &labels));
  cr_assert_eq (train.examples, 3, "the limit");
  cr_assert_eq (labels.count, 4, "all labels of the file, whatever the limit");
  for (int64_t i = 0; i < 4; i++) {
    cr_assert_str_eq (labels.name[i], expected[i]);
    cr_assert_eq (adamix_labels_find (&labels, expected[i]), i);
  }
  cr_assert_eq (adamix_labels_find (&labels, "zoo"), -1);
  cr_assert_arr_eq (train.label, ((const int32_t[]){ 2, 3, 1 }), 3 * sizeof *train.label);
  cr_assert_eq (train.line[2], 5, "a record with a line break before it");
  cr_assert_succeeds (read_text (&dev, banking, "test.csv", "text,category\na,Zoo\n", 0, &labels));
  cr_assert_eq (dev.label[0], 0);
  adamix_dataset_destroy (&dev);
  cr_assert_fails (
      read_text (&dev, banking, "test.csv", "text,category\na,Zoo\nb,Card\n", 0, &labels), ADAMIX_EDATA,
      "test.csv:3: label \"Card\" is unknown; the labels in training are \"Zoo\", \"card\", \"card_lost\"");
  cr_assert_null (dev.id);
  adamix_dataset_destroy (&train);
  adamix_labels_destroy (&labels);
}

Test (dataset, many_known_labels_are_listed_in_short)
{
  char text[1024] = "text,category\n";
  adamix_dataset d;
  adamix_labels labels = { 0 };
  for (int i = 10; i < 40; i++) sprintf (text + strlen (text), "a,label%d\n", i);
  cr_assert_succeeds (read_text (&d, adamix_task_find ("banking77"), "train.csv", text, 0, &labels));
  adamix_dataset_destroy (&d);
  cr_assert_fails (read_text (&d, adamix_task_find ("banking77"), "dev.csv", "text,category\na,other\n", 0, &labels),
                   ADAMIX_EDATA, "\"label17\" and 22 more");
  adamix_labels_destroy (&labels);
}

/* ---- what is refused ----------------------------------------------------------------------------------------------- */

static const struct {
  const char *task, *name, *text;
  adamix_err err;
  const char *part;
} refused[] = {
  { "rte", "train.tsv", "", ADAMIX_EDATA, "train.tsv: the file has no records" },
  { "rte", "train.tsv", "index\tsentence1\tsentence2\tlabel\n", ADAMIX_EDATA, "no records after its header" },
  { "rte", "train.tsv", "index\tsentence1\tgold\n0\ta\tb\n", ADAMIX_EDATA,
    "no second text column \"sentence2\"; the columns are \"index\", \"sentence1\", \"gold\"" },
  { "rte", "train.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n", ADAMIX_EDATA, "no label column \"label\"" },
  { "rte", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\n", ADAMIX_EDATA, "train.tsv:2: " },
  { "rte", "train.tsv", "label\tsentence1\tsentence2\nentailment\ta\tb\nentailment\ta\n", ADAMIX_EDATA,
    "train.tsv:3: the record ends before column 3" },
  { "rte", "train.tsv", "label\tsentence1\tsentence2\nmaybe\ta\tb\n", ADAMIX_EDATA,
    "label \"maybe\" is unknown; the labels in training are \"entailment\", \"not_entailment\"" },
  { "cola", "train.tsv", "a\tb\n", ADAMIX_EDATA, "no text column \"#3\"; the columns are 2 without names" },
  { "sst2", "train.tsv", "sentence\tlabel\na\t\n", ADAMIX_EDATA, "train.tsv:2: the record has no label" },
  { "banking77", "train.csv", "text,category\na,x\nb,x\n", ADAMIX_EDATA, "all labels are \"x\"" },
  { "banking77", "train.csv", "text,category\na,x\nb\n", ADAMIX_EDATA, "train.csv:3: the record has no label" },
  { "sst2", "train.tsv", "sentence\tlabel\na\xff\t1\n", ADAMIX_EFORMAT, "train.tsv:2" },
};

Test (dataset, unusable_files_are_refused_with_their_place)
{
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    adamix_dataset d;
    adamix_labels labels = { 0 };
    cr_assert_fails (read_text (&d, adamix_task_find (refused[i].task), refused[i].name, refused[i].text, 0, &labels),
                     refused[i].err, refused[i].part);
    cr_assert (d.examples == 0 && !d.path && !d.id, "nothing half-made is left");
    adamix_labels_destroy (&labels);
  }
}

Test (dataset, a_missing_file_is_refused)
{
  adamix_dataset d;
  adamix_labels labels = { 0 };
  adamix_tokenizer *tokenizer = small_tokenizer ();
  cr_assert_fails (
      adamix_dataset_read (&d, adamix_task_find ("rte"), scratch_path ("none.tsv"), tokenizer, 0, 0, &labels),
      ADAMIX_EIO, "none.tsv");
  adamix_tokenizer_destroy (tokenizer);
}

/* ---- many records ---------------------------------------------------------------------------------------------------- */

enum { RECORDS = 1000 };

/* Record i has i % 9 words. */
static char *
many_records (const char *last)
{
  char *text = malloc (RECORDS * 40), *to = text + sprintf (text, "sentence\tlabel\n");
  for (int i = 0; i < RECORDS; i++) {
    for (int word = 0; word < i % 9; word++) to += sprintf (to, "%c ", 'a' + (i + word) % 3);
    to += sprintf (to, "\t%d\n", i % 2);
  }
  strcpy (to, last);
  return text;
}

Test (dataset, does_not_depend_on_the_number_of_threads)
{
  const adamix_task *sst2 = adamix_task_find ("sst2");
  adamix_tokenizer *tokenizer = small_tokenizer ();
  adamix_dataset d[2];
  adamix_labels labels = { 0 };
  char *text = many_records (""), *path = scratch_file ("train.tsv", text, strlen (text));
  for (int i = 0; i < 2; i++) {
    omp_set_num_threads (i == 0 ? 1 : 4);
    cr_assert_succeeds (adamix_dataset_read (&d[i], sst2, path, tokenizer, 7, 0, &labels));
    cr_assert_eq (d[i].examples, RECORDS);
    cr_assert_eq (d[i].truncated, 3 * (RECORDS / 9), "6, 7 and 8 words; the last record has none");
    cr_assert_eq (d[i].empty, RECORDS / 9 + 1);
    cr_assert_eq (d[i].line[RECORDS - 1], RECORDS + 1);
  }
  for (int i = 0; i < RECORDS; i++) {
    int64_t words = i % 9 < 5 ? i % 9 : 5, from = d[1].offset[i];
    cr_assert_eq (d[1].offset[i + 1] - from, words + 2, "record %d", i);
    for (int64_t word = 0; word < words; word++) cr_assert_eq (d[1].id[from + 1 + word], 3 + (i + word) % 3);
  }
  cr_assert_arr_eq (d[0].offset, d[1].offset, (RECORDS + 1) * sizeof *d[0].offset);
  cr_assert_arr_eq (d[0].id, d[1].id, (size_t) d[0].offset[RECORDS] * sizeof *d[0].id);
  for (int i = 0; i < 2; i++) adamix_dataset_destroy (&d[i]);
  adamix_labels_destroy (&labels);
  adamix_tokenizer_destroy (tokenizer);
}

Test (dataset, the_first_failure_of_any_thread_is_told)
{
  const adamix_task task = { .name = "custom", .header = true, .text = "sentence", .pair = "label" };
  adamix_dataset d;
  adamix_labels labels = { 0 };
  char *text = many_records ("short\nshort\n");
  omp_set_num_threads (4);
  cr_assert_fails (read_text (&d, &task, "train.tsv", text, 0, &labels), ADAMIX_EDATA,
                   "train.tsv:1002: the record ends before column 2");
}

/* ---- without a file ------------------------------------------------------------------------------------------------------- */

/* Means of n draws stray by deviation / sqrt (n); rounding and the bounds shift this mean by less than 1 %. */
Test (drawn, has_lengths_of_the_mean_and_spread_asked_for)
{
  const adamix_drawn_sizes sizes = {
    .examples = 20000, .tokens = 40, .spread = 0.5, .longest = 400, .vocabulary = 1000, .classes = 3
  };
  adamix_dataset d;
  cr_assert_succeeds (adamix_dataset_draw (&d, &sizes, 1));
  double sum = 0, squares = 0, share[3] = { 0 };
  for (int64_t i = 0; i < d.examples; i++) {
    const double n = (double) (d.offset[i + 1] - d.offset[i]);
    cr_assert (n >= 3 && n <= 400);
    cr_assert (d.label[i] >= 0 && d.label[i] < 3);
    share[d.label[i]] += 1.0 / 20000;
    sum += n;
    squares += n * n;
  }
  const double mean = sum / 20000, deviation = sqrt (squares / 20000 - mean * mean);
  cr_expect (fabs (mean / 40 - 1) < 0.02, "mean %g", mean);
  cr_expect (fabs (deviation / mean / 0.5 - 1) < 0.05, "spread %g", deviation / mean);
  for (int c = 0; c < 3; c++) cr_expect (fabs (share[c] - 1.0 / 3) < 0.02, "class %d: %g", c, share[c]);
  int64_t high = 0;
  for (int64_t i = 0; i < d.offset[d.examples]; i++) {
    cr_assert (d.id[i] >= 0 && d.id[i] < 1000);
    high += d.id[i] >= 500;
  }
  cr_expect (fabs ((double) high / (double) d.offset[d.examples] - 0.5) < 0.01);
  adamix_dataset_destroy (&d);
}

Test (drawn, keeps_its_bounds_and_depends_on_the_seed)
{
  const adamix_drawn_sizes sizes = {
    .examples = 500, .tokens = 6, .spread = 1, .longest = 9, .vocabulary = 7, .classes = 2
  };
  adamix_dataset a, b, c;
  int64_t least = INT64_MAX, most = 0;
  cr_assert_succeeds (adamix_dataset_draw (&a, &sizes, 1));
  cr_assert_succeeds (adamix_dataset_draw (&b, &sizes, 1));
  cr_assert_succeeds (adamix_dataset_draw (&c, &sizes, 2));
  for (int64_t i = 0; i < 500; i++) {
    const int64_t n = a.offset[i + 1] - a.offset[i];
    least = n < least ? n : least;
    most = n > most ? n : most;
  }
  cr_expect (least == 3 && most == 9, "%ld to %ld", (long) least, (long) most);
  cr_expect_arr_eq (a.offset, b.offset, 501 * sizeof *a.offset);
  cr_expect_arr_neq (a.offset, c.offset, 501 * sizeof *a.offset);
  cr_assert_arr_eq (a.label, b.label, 500 * sizeof *a.label);
  cr_expect_arr_neq (a.label, c.label, 500 * sizeof *a.label);
  adamix_dataset_destroy (&a);
  adamix_dataset_destroy (&b);
  adamix_dataset_destroy (&c);
}
