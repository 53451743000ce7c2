#include "driver.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct predict_config {
  const char *model, *adapter, *input, *output, *gemm, *kernels, *precision;
  int64_t threads;
} predict_config;

#define AT(member) offsetof (predict_config, member)
static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, AT (model), NULL, NULL, 0, 0, "DIR", "encoder the module was trained on" },
  { "adapter", ADAMIX_OPTION_STRING, AT (adapter), NULL, NULL, 0, 0, "DIR", "run, or its merged folder" },
  { "input", ADAMIX_OPTION_STRING, AT (input), "-", NULL, 0, 0, "FILE",
    "text, one a line, a pair by tab; -: standard input" },
  { "output", ADAMIX_OPTION_STRING, AT (output), "-", NULL, 0, 0, "FILE", "JSON lines; -: standard output" },
  { "gemm", ADAMIX_OPTION_STRING, AT (gemm), "auto", NULL, 0, 0, "auto|blas|onednn", "GEMM backend" },
  { "precision", ADAMIX_OPTION_STRING, AT (precision), "fp32", NULL, 0, 0, "fp32|bf16",
    "products of frozen layers and attention; bf16 where the processor has it (avx512_bf16, AMX)" },
  { "kernels", ADAMIX_OPTION_STRING, AT (kernels), "auto", NULL, 0, 0, "auto|reference|avx2|avx512|avx512_bf16",
    "element kernels" },
  { "threads", ADAMIX_OPTION_INTEGER, AT (threads), "0", NULL, 0, 4096, "N", "threads; 0: the cores there are" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

/* An answer, filled anew for each line: of its members only the values change. */
typedef struct answer {
  json_t *json;
  json_t *label, *score, **probability; /* [K]; values within json; a score alone where the task is regression */
  double *p;                            /* [K] */
} answer;

/* What a thread answers lines with; made when it has some. */
typedef struct worker {
  adamix_module module; /* values shared by all, a head of its own */
  adamix_inference inference;
  adamix_encoding encoding;
  /* A batch of lines as a data set. */
  adamix_dataset lines;
} worker;

typedef struct line {
  const char *text; /* within what was read, without its end */
  size_t bytes;
} line;

/* Everything a line of text passes through. */
typedef struct predictor {
  adamix_compute compute;
  adamix_model *model;
  adamix_tokenizer *tokenizer;
  adamix_adapter_config adapter;
  adamix_module module;
  adamix_inference_size size; /* of a batch */
  worker *worker;             /* [threads]; the first one may also be shared by all of them */
  answer *answer;             /* [threads] */
  /* A round: lines that are answered together. */
  int64_t most, number, count, ready; /* that it may have; lines before it, in it, and from its start with logits */
  line *line;                         /* [most] */
  float *z;                           /* [most, K] */
  char **text;                        /* [most] */
  FILE *output;
  char *temporary; /* where the answers gather until all are there; NULL: they go straight to `output` */
  const char *source;
} predictor;

#define PIECE           ADAMIX_INFERENCE_SEQUENCES /* lines that one thread answers at a time */
#define PIECES_A_THREAD 8 /* of a round: pieces differ in length, and threads meet at its end */

static adamix_err
cannot_write (const char *path)
{
  return adamix_err_set (ADAMIX_EIO, "cannot write %s: %s", path, strerror (errno));
}

/* A file appears whole or not at all; a device or a named pipe is written to as it stands. */
static adamix_err
open_output (predictor *p, const char *path)
{
  struct stat status;
  p->output = stdout;
  if (!path || strcmp (path, "-") == 0) return ADAMIX_OK;
  const bool stands = stat (path, &status) == 0 && !S_ISREG (status.st_mode);
  if (!stands) ADAMIX_RETURN_IF (adamix_format (&p->temporary, "%s.tmp", path));
  const char *opened = stands ? path : p->temporary;
  p->output = ADAMIX_FAULT (file_create) ? NULL : fopen (opened, "w");
  return p->output ? ADAMIX_OK : cannot_write (opened);
}

static adamix_err
finish_output (predictor *p, const char *path)
{
  if (p->output == stdout) return ADAMIX_OK;
  const bool closed = fclose (p->output) == 0 && !ADAMIX_FAULT (stream_write);
  p->output = NULL;
  if (closed && (!p->temporary || (!ADAMIX_FAULT (file_rename) && rename (p->temporary, path) == 0))) return ADAMIX_OK;
  return cannot_write (path);
}

static adamix_err
answer_create (answer *out, const adamix_adapter_config *adapter)
{
  const int64_t outputs = adamix_adapter_outputs (adapter);
  out->score = json_real (0);
  if (adapter->type == ADAMIX_TASK_REGRESSION) {
    out->json = json_pack ("{s:o}", "score", out->score);
  } else {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->p, outputs));
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->probability, outputs));
    json_t *probabilities = json_object ();
    for (int64_t k = 0; k < outputs; k++)
      adamix_json_put (&probabilities, adapter->labels.name[k], out->probability[k] = json_real (0));
    out->label = json_string ("");
    out->json = json_pack ("{s:o, s:o, s:o}", "label", out->label, "score", out->score, "probabilities", probabilities);
  }
  return out->json ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for answers");
}

static void
answer_destroy (answer *answer)
{
  json_decref (answer->json);
  free (answer->probability);
  free (answer->p);
}

/* Rows of a batch: as many as make its products fast; longer texts share it with fewer others. */
#define BATCH_TOKENS 768

static void
worker_destroy (worker *worker)
{
  adamix_dataset_destroy (&worker->lines);
  adamix_encoding_destroy (&worker->encoding);
  adamix_inference_destroy (&worker->inference);
  adamix_head_destroy (worker->module.head);
  *worker = (struct worker){ 0 };
}

/* For so many threads; 0: all. */
static adamix_err
worker_create (worker *out, predictor *p, int threads)
{
  adamix_err err = ADAMIX_OK;
  adamix_inference_size size = p->size;
  size.threads = threads;
  out->module = p->module;
  out->module.head = NULL;
  ADAMIX_TRY (adamix_head_beside (&out->module.head, p->module.head));
  ADAMIX_TRY (adamix_inference_create (&out->inference, p->model, &p->compute, &out->module, &size));
  ADAMIX_TRY (ADAMIX_ALLOC (out->lines.offset, PIECE + 1));
  ADAMIX_TRY (ADAMIX_ALLOC (out->lines.id, size.tokens));
  ADAMIX_TRY (ADAMIX_ALLOC (out->lines.type, size.tokens));
done:
  if (err) worker_destroy (out);
  return err;
}

static adamix_err
open_round (predictor *out)
{
  const int64_t threads = out->compute.threads, most = threads * PIECE * PIECES_A_THREAD;
  out->most = most;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->line, most));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->text, most));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->z, most * adamix_adapter_outputs (&out->adapter)));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->answer, threads));
  for (int64_t t = 0; t < threads; t++) ADAMIX_RETURN_IF (answer_create (&out->answer[t], &out->adapter));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->worker, threads));
  return worker_create (&out->worker[0], out, 0);
}

static adamix_err
open_predictor (predictor *out, const predict_config *c, driver_session *session)
{
  const int threads = c->threads ? (int) c->threads : session->cores;
  ADAMIX_RETURN_IF (adamix_compute_agree (&out->compute, &session->world, c->gemm, c->precision, c->kernels, threads));
  ADAMIX_RETURN_IF (adamix_model_open (&out->model, c->model, &out->compute));
  ADAMIX_RETURN_IF (adamix_model_hash_begin (out->model));
  ADAMIX_RETURN_IF (adamix_tokenizer_open (&out->tokenizer, c->model));
  ADAMIX_RETURN_IF (adamix_adapter_open (&out->adapter, &out->module, c->adapter, false, out->model));
  ADAMIX_RETURN_IF (adamix_model_pack_node (out->model, &session->world, false));
  ADAMIX_RETURN_IF (adamix_adapter_check (&out->adapter, c->adapter, out->model));
  out->size = adamix_inference_any (out->adapter.max_length);
  if (out->size.tokens > BATCH_TOKENS)
    out->size.tokens = out->size.longest > BATCH_TOKENS ? out->size.longest : BATCH_TOKENS;
  ADAMIX_RETURN_IF (open_round (out));
  out->source = c->input && strcmp (c->input, "-") != 0 ? c->input : "standard input";
  return open_output (out, c->output);
}

static void
close_predictor (predictor *p)
{
  if (p->output && p->output != stdout) fclose (p->output);
  /* Gone already where all went well. */
  if (p->temporary) unlink (p->temporary);
  free (p->temporary);
  for (int t = 0; p->worker && t < p->compute.threads; t++) worker_destroy (&p->worker[t]);
  for (int t = 0; p->answer && t < p->compute.threads; t++) answer_destroy (&p->answer[t]);
  free (p->worker);
  free (p->answer);
  free (p->z);
  free (p->text);
  free (p->line);
  adamix_module_destroy (&p->module);
  adamix_adapter_config_destroy (&p->adapter);
  adamix_tokenizer_destroy (p->tokenizer);
  adamix_model_destroy (p->model);
}

/* ---- from lines to logits ---- */

/* Those of the lines that a worker has gathered, which begin at line *ready of the round; *ready moves behind them. */
static adamix_err
run_batch (predictor *p, worker *w, int64_t *ready)
{
  const adamix_inference_route merged = adamix_inference_own (&w->module);
  const int64_t n = w->lines.examples, first = p->number + *ready + 1;
  int64_t chosen[PIECE];
  for (int64_t i = 0; i < n; i++) chosen[i] = i;
  w->lines.examples = 0;
  if (n == 0) return ADAMIX_OK;
  float *z = p->z + *ready * adamix_adapter_outputs (&p->adapter);
  const adamix_err err = adamix_inference_run (&w->inference, &w->lines, chosen, n, &merged, z);
  if (err)
    return adamix_err_prefix (err, "%s, lines %lld to %lld", p->source, (long long) first, (long long) (first + n - 1));
  *ready += n;
  return ADAMIX_OK;
}

static adamix_err
encode_line (predictor *p, worker *w, int64_t i)
{
  const char *text = p->line[i].text;
  size_t bytes = p->line[i].bytes;
  if (bytes && text[bytes - 1] == '\r') bytes--;
  int64_t bad = adamix_utf8_check (text, bytes);
  if (bad >= 0)
    return adamix_err_set (ADAMIX_EDATA, "%s, line %lld: not valid UTF-8 at byte %lld", p->source,
                           (long long) (p->number + i) + 1, (long long) bad + 1);
  const char *tab = memchr (text, '\t', bytes);
  size_t a = tab ? (size_t) (tab - text) : bytes;
  return adamix_tokenizer_encode (p->tokenizer, text, a, tab ? tab + 1 : NULL, tab ? bytes - a - 1 : 0,
                                  p->adapter.max_length, &w->encoding);
}

/* The encoded line to the batch, which is answered first where it has no room. */
static adamix_err
add_line (predictor *p, worker *w, int64_t *ready)
{
  adamix_dataset *d = &w->lines;
  const int64_t n = w->encoding.count;
  if (d->offset[d->examples] + n > p->size.tokens) ADAMIX_RETURN_IF (run_batch (p, w, ready));
  const int64_t at = d->offset[d->examples];
  memcpy (d->id + at, w->encoding.id, (size_t) n * sizeof *d->id);
  memcpy (d->type + at, w->encoding.type, (size_t) n * sizeof *d->type);
  d->offset[++d->examples] = at + n;
  return ADAMIX_OK;
}

/* Lines [first, end) as far as they are text.  *ready: the end of those that have logits now. */
static adamix_err
run_piece (predictor *p, worker *w, int64_t first, int64_t end, int64_t *ready)
{
  adamix_err bad = ADAMIX_OK;
  *ready = first;
  w->lines.examples = 0;
  for (int64_t i = first; i < end; i++) {
    bad = encode_line (p, w, i);
    if (bad)
      end = i;
    else
      ADAMIX_RETURN_IF (add_line (p, w, ready));
  }
  const adamix_err err = run_batch (p, w, ready);
  return err ? err : bad;
}

static adamix_err
run_own_piece (predictor *p, worker *w, int64_t first)
{
  int64_t ready;
  if (!w->inference.workspace) ADAMIX_RETURN_IF (worker_create (w, p, 1));
  return run_piece (p, w, first, first + PIECE, &ready);
}

/* The first `count` lines, every thread at a piece of its own. */
static void
run_pieces (predictor *p, int64_t count)
{
  int64_t failed = count;
#pragma omp parallel for schedule(dynamic) num_threads(p->compute.threads) reduction(min : failed)
  for (int64_t first = 0; first < count; first += PIECE)
    if (run_own_piece (p, &p->worker[omp_get_thread_num ()], first) && first < failed) failed = first;
  p->ready = failed;
}

/* As long as there is a piece for every thread, none has to wait for others; what is left, or all of a few lines, is done
 * soonest if all threads share each piece.  What failed in a thread is met again there, where its message is wanted.
 * Pieces do not depend on the number of threads. */
static adamix_err
run_round (predictor *p)
{
  adamix_err err = ADAMIX_OK;
  const int threads = p->compute.threads;
  const int64_t shared_out = threads > 1 ? p->count - p->count % (threads * PIECE) : 0;
  p->ready = 0;
  if (shared_out) run_pieces (p, shared_out);
  while (p->ready < p->count && !err) {
    const int64_t end = p->ready + PIECE < p->count ? p->ready + PIECE : p->count;
    err = run_piece (p, &p->worker[0], p->ready, end, &p->ready);
  }
  return err;
}

/* ---- from logits to text ---- */

/* p = softmax (z) */
static bool
classify (answer *answer, const adamix_labels *labels, const float *z)
{
  int64_t best = 0;
  double sum = 0;
  bool set = true;
  for (int64_t k = 1; k < labels->count; k++)
    if (z[k] > z[best]) best = k;
  for (int64_t k = 0; k < labels->count; k++) sum += answer->p[k] = exp ((double) z[k] - z[best]);
  for (int64_t k = 0; k < labels->count; k++) set &= json_real_set (answer->probability[k], answer->p[k] / sum) == 0;
  return set && json_string_set_nocheck (answer->label, labels->name[best]) == 0 &&
         json_real_set (answer->score, answer->p[best] / sum) == 0;
}

/* A line of JSON, without its end; owned by the caller.  NULL: no memory, or no finite numbers. */
static char *
format_answer (answer *answer, const adamix_adapter_config *adapter, const float *z)
{
  enum { DIGITS = 6 };
  const bool regression = adapter->type == ADAMIX_TASK_REGRESSION;
  const bool set = regression ? json_real_set (answer->score, z[0]) == 0 : classify (answer, &adapter->labels, z);
  return set ? json_dumps (answer->json, JSON_REAL_PRECISION (DIGITS)) : NULL;
}

/* The answer to line i of the text at hand. */
static adamix_err
write_answer (predictor *p, int64_t i)
{
  const char *text = p->text[i];
  const int64_t outputs = adamix_adapter_outputs (&p->adapter);
  for (int64_t k = 0; !text && k < outputs; k++)
    if (!isfinite (p->z[i * outputs + k]))
      return adamix_err_set (ADAMIX_ENUMERIC,
                             "%s, line %lld: the answer is not a number or infinite; is the module sound?", p->source,
                             (long long) (p->number + i) + 1);
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "no memory for an answer");
  if (!ADAMIX_FAULT (stream_write) && fputs (text, p->output) != EOF && fputc ('\n', p->output) != EOF)
    return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EIO, "cannot write the answers: %s", strerror (errno));
}

/* With many classes the text of an answer takes a tenth of the time that its numbers do: all threads write texts. */
static adamix_err
write_answers (predictor *p)
{
  adamix_err err = ADAMIX_OK;
  const int64_t outputs = adamix_adapter_outputs (&p->adapter);
#pragma omp parallel for schedule(static) num_threads(p->compute.threads)
  for (int64_t i = 0; i < p->ready; i++)
    p->text[i] = format_answer (&p->answer[omp_get_thread_num ()], &p->adapter, p->z + i * outputs);
  for (int64_t i = 0; i < p->ready && !err; i++) err = write_answer (p, i);
  for (int64_t i = 0; i < p->ready; i++) free (p->text[i]);
  return err;
}

/* Answer the lines gathered so far, in order; what comes before one that fails is answered all the same. */
static adamix_err
answer_round (predictor *p)
{
  const adamix_err err = run_round (p);
  const adamix_err written = p->ready ? write_answers (p) : ADAMIX_OK;
  p->number += p->count;
  p->count = 0;
  return written ? written : err;
}

/* Answer all complete lines of text[0 .. bytes); *used is how much of it they take. */
static adamix_err
answer_text (predictor *p, const char *text, size_t bytes, size_t *used)
{
  adamix_err err = ADAMIX_OK;
  *used = 0;
  for (const char *end; !err && (end = memchr (text + *used, '\n', bytes - *used));) {
    p->line[p->count++] = (line){ text + *used, (size_t) (end - text) - *used };
    *used = (size_t) (end - text) + 1;
    if (p->count == p->most) err = answer_round (p);
  }
  if (!err) err = answer_round (p);
  const bool flushed = !ADAMIX_FAULT (stream_write) && fflush (p->output) == 0;
  if (err || flushed) return err;
  return adamix_err_set (ADAMIX_EIO, "cannot write the answers: %s", strerror (errno));
}

/* read() gives what is there: no line waits for the next one. */
static adamix_err
answer_stream (predictor *p, int input)
{
  adamix_err err = ADAMIX_OK;
  enum { CHUNK = 1 << 20 };
  char *text = NULL;
  int64_t capacity = 0;
  size_t bytes = 0, used;
  for (ssize_t n = 1; n > 0;) {
    ADAMIX_TRY (ADAMIX_GROW (text, &capacity, (int64_t) bytes + CHUNK));
    n = ADAMIX_FAULT (stream_read) ? -1 : read (input, text + bytes, CHUNK - 1);
    if (n < 0 && errno == EINTR)
      n = 1;
    else if (n < 0)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot read %s: %s", p->source, strerror (errno)));
    else
      bytes += (size_t) n;
    /* The last line may lack its end. */
    if (n == 0 && bytes > 0) text[bytes++] = '\n';
    ADAMIX_TRY (answer_text (p, text, bytes, &used));
    memmove (text, text + used, bytes - used);
    bytes -= used;
  }
done:
  free (text);
  return err;
}

int
driver_predict (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  predict_config config = { 0 };
  adamix_options *options = NULL;
  predictor predictor = { 0 };
  FILE *input = NULL;
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (driver_parse (&options, table, ROWS, argc, argv, &config));
  ADAMIX_TRY (driver_require (self, "model", config.model));
  ADAMIX_TRY (driver_require (self, "adapter", config.adapter));
  ADAMIX_TRY (driver_refuse_same (config.input, config.output));
  ADAMIX_TRY (driver_open_input (&input, config.input));
  ADAMIX_TRY (open_predictor (&predictor, &config, &session));
  ADAMIX_TRY (answer_stream (&predictor, fileno (input)));
  ADAMIX_TRY (finish_output (&predictor, config.output));
done:
  close_predictor (&predictor);
  if (input && input != stdin) fclose (input);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
