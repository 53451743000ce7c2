/* adamix/base.h - what every room stands on: errors, log, progress, clock, arena memory, files, hashes, options,
 * counter-based random numbers, JSON.
 *
 * Error contract of the whole library.  A function that can fail returns adamix_err; 0 (ADAMIX_OK) is success.
 * Whoever detects a failure calls adamix_err_set() with a message that says what, where, the offending value and what to
 * do; callers hand the code on unchanged.  The message belongs to the calling thread until its next failure.  The
 * library never prints, exits or aborts: drivers do, once.  All functions here are Local (no communication).
 * Unless said otherwise a function borrows its arguments and what it returns through `out` is owned by the caller;
 * destroy functions accept NULL.                                                                                      */
#ifndef ADAMIX_BASE_H
#define ADAMIX_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- version ----------------------------------------------------------------------------------------------------- */

/* The release, "0.1.0", and the git revision that was built, "unknown" outside a repository; "-dirty" is appended
 * where files differed from it.  Views, valid for ever.  Pure. */
const char *adamix_version (void);
const char *adamix_revision (void);

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The one list of errors: X (name, exit status of the binary, text). */
#define ADAMIX_ERRORS(X)                                                                                               \
  X (EUSAGE, 2, "wrong use of a command or an option")                                                                 \
  X (EIO, 1, "input or output failed")                                                                                 \
  X (EFORMAT, 1, "malformed file")                                                                                     \
  X (ESHAPE, 1, "tensor or array of the wrong shape")                                                                  \
  X (EDATA, 1, "unusable data")                                                                                        \
  X (EEXIST, 1, "already exists")                                                                                      \
  X (ENOMEM, 1, "out of memory")                                                                                       \
  X (EUNSUPPORTED, 1, "not supported")                                                                                 \
  X (ENUMERIC, 1, "numerical failure")                                                                                 \
  X (EMPI, 1, "communication failed")                                                                                  \
  X (ECHILD, 1, "a process that was started failed")                                                                   \
  X (ESTOPPED, 75, "stopped at a checkpoint before the end")

typedef enum adamix_err {
  ADAMIX_OK = 0,
#define ADAMIX_ERR_ENUM(name, status, text) ADAMIX_##name,
  ADAMIX_ERRORS (ADAMIX_ERR_ENUM)
#undef ADAMIX_ERR_ENUM
} adamix_err;

#define ADAMIX_PRINTF(index, first) __attribute__ ((format (printf, index, first)))

/* Keep a message for the calling thread and return `code`, so that `return adamix_err_set (...)` reads well. */
adamix_err adamix_err_set (adamix_err code, const char *format, ...) ADAMIX_PRINTF (2, 3);

/* Put "prefix: " in front of the kept message (a file or option name known only to the caller); returns `code`. */
adamix_err adamix_err_prefix (adamix_err code, const char *format, ...) ADAMIX_PRINTF (2, 3);

/* The message kept for the calling thread ("" before the first failure).  View, valid until the next failure. */
const char *adamix_err_message (void);

/* Text of the code from ADAMIX_ERRORS, and the exit status of a program that ends with it.  Pure. */
const char *adamix_err_text (adamix_err code);
int adamix_err_exit_status (adamix_err code);

/* In a function with `adamix_err err = ADAMIX_OK;` and one `done:` label that releases in reverse order. */
#define ADAMIX_TRY(call)                                                                                               \
  do {                                                                                                                 \
    err = (call);                                                                                                      \
    if (err != ADAMIX_OK) goto done;                                                                                   \
  } while (0)

/* The same in a function that has nothing to release. */
#define ADAMIX_RETURN_IF(call)                                                                                         \
  do {                                                                                                                 \
    adamix_err adamix_err_of_call = (call);                                                                            \
    if (adamix_err_of_call != ADAMIX_OK) return adamix_err_of_call;                                                    \
  } while (0)

/* Invariants of our own code, never checks of input: compiled out with -DNDEBUG. */
#include <assert.h>
#define ADAMIX_ASSERT(condition) assert (condition)

/* ---- log and progress ------------------------------------------------------------------------------------------- */

typedef enum adamix_log_level { ADAMIX_LOG_QUIET, ADAMIX_LOG_WARN, ADAMIX_LOG_INFO, ADAMIX_LOG_DEBUG } adamix_log_level;

/* Where messages go.  A driver fills it on one rank; NULL is accepted everywhere and means silence. */
typedef struct adamix_log {
  FILE *stream;           /* borrowed */
  adamix_log_level level; /* messages above it are dropped */
  bool bar_open;          /* a progress bar stands on the current line: it is ended first */
} adamix_log;

void adamix_log_warn (adamix_log *log, const char *format, ...) ADAMIX_PRINTF (2, 3); /* "adamix: warning: ..." */
void adamix_log_info (adamix_log *log, const char *format, ...) ADAMIX_PRINTF (2, 3); /* "adamix: ..." */
void adamix_log_debug (adamix_log *log, const char *format, ...) ADAMIX_PRINTF (2, 3);

/* A progress bar: drawn on a terminal only, at most ten times a second, with the time left estimated from the rate. */
typedef struct adamix_progress {
  adamix_log *log; /* borrowed; NULL: nothing is drawn */
  int64_t total, first;
  double start, drawn;
  bool active;
  bool share_alone; /* set behind begin: what is counted says nothing to anybody, only its share is shown */
} adamix_progress;

/* `first` items are done already (a resumed run). */
void adamix_progress_begin (adamix_progress *progress, adamix_log *log, int64_t total, int64_t first);
/* `note` is what stands behind the bar: loss, speed. */
void adamix_progress_update (adamix_progress *progress, int64_t done, const char *note);
void adamix_progress_end (adamix_progress *progress);

/* ---- clock ------------------------------------------------------------------------------------------------------- */

double adamix_clock (void); /* monotonic seconds */
/* Seconds since this process was started, in steps of a kernel tick (10 ms); NaN where the system does not tell. */
double adamix_process_age (void);
/* Of n >= 1 times, which it sorts. */
double adamix_median (double *value, int64_t n);

/* Peak resident set of this process so far and its proportional set size now (shared pages divided by their users);
 * bytes, 0 where the system does not tell. */
int64_t adamix_memory_peak_rss (void);
int64_t adamix_memory_pss (void);
/* What this process has in memory now, in two parts: pages of its own, and those of files and of memory that processes can
 * share, counted whole. */
void adamix_memory_resident (int64_t *own, int64_t *shareable);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* One block of memory, cut from front to back.  An arena without a block (all zero) only measures: planning code runs
 * once on a measuring arena, which hands out NULL, and once on the real one; both walk the same lines. */
typedef struct adamix_arena {
  char *base; /* owned; NULL while measuring */
  size_t size, used;
} adamix_arena;

#define ADAMIX_ALIGN 64 /* bytes: a cache line, and an AVX-512 vector */

/* Reserve `size` bytes, zeroed, page by page on first touch.  Errors: ENOMEM. */
adamix_err adamix_arena_create (adamix_arena *out, size_t size);
/* Cut `count` items of `item` bytes, aligned to ADAMIX_ALIGN.  NULL while measuring; asserts that the plan holds. */
void *adamix_arena_take (adamix_arena *arena, int64_t count, size_t item);
void adamix_arena_destroy (adamix_arena *arena);

/* Aligned (ADAMIX_ALIGN), zeroed memory; *out is released with free().  Errors: ENOMEM, also on overflow. */
adamix_err adamix_alloc (void **out, int64_t count, size_t item);
#define ADAMIX_ALLOC(pointer, count) adamix_alloc ((void **) &(pointer), (count), sizeof *(pointer))
/* Grow a plain malloc'ed array so that it holds `need` items, doubling; new items are undefined.  Errors: ENOMEM. */
adamix_err adamix_grow (void **array, int64_t *capacity, int64_t need, size_t item);
#define ADAMIX_GROW(array, capacity, need) adamix_grow ((void **) &(array), (capacity), (need), sizeof *(array))
/* printf into new memory.  Errors: ENOMEM. */
adamix_err adamix_format (char **out, const char *format, ...) ADAMIX_PRINTF (2, 3);
adamix_err adamix_format_list (char **out, const char *format, va_list arguments) ADAMIX_PRINTF (2, 0);
/* A number by the fewest digits that give it again.  Pure. */
#define ADAMIX_NUMBER_TEXT 32
void adamix_number_text (char out[ADAMIX_NUMBER_TEXT], double value);

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* A whole file mapped read-only and private.  An empty file has size 0 and data "".  Errors: EIO. */
typedef struct adamix_file_map {
  const char *data;
  size_t size;
} adamix_file_map;
adamix_err adamix_file_map_open (adamix_file_map *out, const char *path);
void adamix_file_map_close (adamix_file_map *map);
/* Give back the pages that lie whole in data[0 .. size): they stop counting as memory of this process and are read again
 * from the file when they are touched.  A range that is not in the map is left alone.  Local. */
void adamix_file_map_release (const adamix_file_map *map, const void *data, size_t size);

bool adamix_path_exists (const char *path);
bool adamix_path_is_directory (const char *path);
/* "a/b"; owned by the caller.  Errors: ENOMEM. */
adamix_err adamix_path_join (char **out, const char *folder, const char *name);
/* Make a folder and its parents; an existing folder is fine.  Errors: EIO. */
adamix_err adamix_directory_make (const char *path);
/* Remove a folder with all in it; a missing one is fine.  Errors: EIO. */
adamix_err adamix_directory_remove (const char *path);
/* Write a whole file: under a temporary name in the same folder, synced, then renamed: readers see the old file or the
 * new one, never a part.  Errors: EIO (a full disk, named); the temporary file is gone then. */
adamix_err adamix_file_write (const char *path, const void *data, size_t size);
/* The same for a file that lies in memory in pieces, written in their order. */
typedef struct adamix_file_piece {
  const void *data; /* borrowed */
  size_t size;
} adamix_file_piece;
adamix_err adamix_file_write_pieces (const char *path, const adamix_file_piece *piece, int64_t pieces);

/* Text in memory that becomes a file. */
typedef struct adamix_draft {
  FILE *stream; /* to print to; NULL from adamix_draft_end on */
  char *data;   /* owned; valid from there on, ends with '\0' */
  size_t size;
} adamix_draft;
/* Errors: ENOMEM. */
adamix_err adamix_draft_begin (adamix_draft *out);
/* Errors: ENOMEM, if anything that was printed found no room. */
adamix_err adamix_draft_end (adamix_draft *draft);
/* End it, unless that was done, and write folder/NAME (adamix_file_write).  Releases it.  Errors: EIO, ENOMEM. */
adamix_err adamix_draft_store (adamix_draft *draft, const char *folder, const char *name);
void adamix_draft_destroy (adamix_draft *draft);

/* Lock `path`, an empty file that is made where it is missing and stays, against other processes until release or the end of
 * this one.  *lock is -1 on a file system without locks.  Errors: EEXIST if another process holds it, EIO. */
adamix_err adamix_lock_take (int *lock, const char *path);
void adamix_lock_release (int lock);

/* SHA-256 of a file or of memory as 64 lower-case hexadecimal digits and '\0'.  Errors: EIO. */
typedef struct adamix_sha256 {
  char hex[65];
} adamix_sha256;
adamix_err adamix_sha256_file (adamix_sha256 *out, const char *path);
adamix_err adamix_sha256_memory (adamix_sha256 *out, const void *data, size_t size);

/* Hashes of mapped files, taken by a thread of its own while the caller goes on; by the caller where there is no thread to be
 * had.  Pages are given back behind it.  The thread takes no signals. */
typedef struct adamix_hashing adamix_hashing;
/* `map` [count] is copied; what is mapped there has to stay until destroy.  Errors: ENOMEM. */
adamix_err adamix_hashing_begin (adamix_hashing **out, const adamix_file_map *map, int64_t count);
/* Wait for the end; *hash [count] is a view.  May be asked again.  One thread at a time.  Errors: EUNSUPPORTED. */
adamix_err adamix_hashing_end (adamix_hashing *hashing, const adamix_sha256 **hash);
/* Also before the end, which is not waited for.  Accepts NULL. */
void adamix_hashing_destroy (adamix_hashing *hashing);

/* ---- JSON (jansson's values) ------------------------------------------------------------------------------------ */

/* jansson's parser, which has no words for memory that was refused: ENOMEM with a message for that; else EFORMAT without one,
 * as only the caller knows where the text stands and `where` says what is wrong with it. */
adamix_err adamix_json_parse (json_t **out, const char *text, size_t size, size_t flags, json_error_t *where);
/* Parse a file (UTF-8).  *out is released with json_decref().  Errors: EIO; EFORMAT with line and column; ENOMEM. */
adamix_err adamix_json_load (json_t **out, const char *path);
/* Add a member to an object or an item to an array; steals `value`.  Without memory, where `value` is NULL or there is no room
 * for it, the object or array is released and becomes NULL, and later calls do nothing but release their value: whoever makes
 * one checks once, at its end. */
void adamix_json_put (json_t **object, const char *key, json_t *value);
void adamix_json_append (json_t **array, json_t *value);
/* Write atomically: keys in the order of insertion, indented by 2 unless `compact`, reals in 17 digits.  Errors: EIO; ENOMEM,
 * also for a `value` of NULL. */
adamix_err adamix_json_store (const json_t *value, const char *path, bool compact);

/* Typed members of `object`; `where` (a path) is named in messages.  Missing: EFORMAT, unless `required` is false, then
 * *out stays as it is, also for null.  Wrong type or, for integers, outside [min, max]: EFORMAT.  Strings are views into
 * the object. */
adamix_err adamix_json_integer (const json_t *object, const char *where, const char *key, bool required, int64_t min,
                                int64_t max, int64_t *out);
adamix_err adamix_json_real (const json_t *object, const char *where, const char *key, bool required, double *out);
adamix_err adamix_json_boolean (const json_t *object, const char *where, const char *key, bool required, bool *out);
adamix_err adamix_json_string (const json_t *object, const char *where, const char *key, bool required,
                               const char **out);
/* A real number or null where it is not finite (JSON knows no NaN).  New reference. */
json_t *adamix_json_number (double value);

/* ---- INI files (inih) -------------------------------------------------------------------------------------------- */

typedef struct adamix_ini_entry {
  char *section;      /* what stands in the brackets; "" ahead of the first */
  char *name, *value; /* NULL: the line that opens the section */
  int line;           /* from 1 */
} adamix_ini_entry;

/* A whole file, in its order; all owned. */
typedef struct adamix_ini {
  adamix_ini_entry *entry;
  int64_t entries;
} adamix_ini;

/* "name = value" or "name: value", "[section]", comments behind ; or #.  Errors: EIO, ENOMEM; EUSAGE with file and line. */
adamix_err adamix_ini_read (adamix_ini *out, const char *path);
void adamix_ini_destroy (adamix_ini *ini);

/* ---- plots (gnuplot) --------------------------------------------------------------------------------------------- */

/* Write folder/NAME.gp, which draws folder/NAME.svg of that size by `script`, gnuplot's commands with other files of the folder
 * by their names, and let gnuplot run it; and once more for NAME.png, twice as large, which a gnuplot without cairo cannot
 * draw.  *drawn is false, and there is no NAME.svg, where there is no gnuplot or it fails; the script stays.  Errors: EIO,
 * ENOMEM. */
adamix_err adamix_plot_draw (const char *folder, const char *name, int width, int height, const char *script,
                             bool *drawn);

/* A figure in the making: print the table that it shows, with a title line, and the commands that draw it. */
typedef struct adamix_figure {
  adamix_draft table, script;
} adamix_figure;
/* Errors: ENOMEM. */
adamix_err adamix_figure_begin (adamix_figure *out);
/* Write folder/NAME.tsv and draw NAME by the script (adamix_plot_draw).  Releases both.  Errors: EIO, ENOMEM. */
adamix_err adamix_figure_draw (adamix_figure *figure, const char *folder, const char *name, int width, int height,
                               bool *drawn);
void adamix_figure_destroy (adamix_figure *figure);

/* ---- options ----------------------------------------------------------------------------------------------------- */

/* One table drives the command line, --config FILE (INI), recipes, --help and the run record.  Every value is kept as
 * text with its source until adamix_options_store() converts all of them into the command's struct. */
typedef enum adamix_option_kind {
  ADAMIX_OPTION_STRING,  /* const char *; "" is none (NULL) */
  ADAMIX_OPTION_INTEGER, /* int64_t */
  ADAMIX_OPTION_REAL,    /* double */
  ADAMIX_OPTION_SIZE,    /* int64_t, bytes: a whole number, or one with a suffix K, M or G, powers of 1024 */
  ADAMIX_OPTION_FLAG,    /* bool; on the command line without a value, in files true or false */
  ADAMIX_OPTION_CHOICE   /* int: index into `allowed` */
} adamix_option_kind;

typedef struct adamix_option {
  const char *name; /* without the dashes */
  adamix_option_kind kind;
  size_t offset;        /* offsetof in the struct that adamix_options_store() fills */
  const char *fallback; /* default as text; NULL: none (string), or the option is required elsewhere */
  const char *allowed;  /* CHOICE: "none|up|down|both"; else NULL */
  double min, max;      /* INTEGER, REAL, SIZE: allowed range, inclusive; both 0: any */
  const char *argument; /* what --help shows for the value, e.g. "DIR" */
  const char *help;     /* one sentence */
} adamix_option;

/* Later sources win over earlier ones, whatever the order of the calls. */
typedef enum adamix_option_source {
  ADAMIX_SOURCE_DEFAULT,
  ADAMIX_SOURCE_RECIPE,
  ADAMIX_SOURCE_FILE,
  ADAMIX_SOURCE_COMMAND_LINE
} adamix_option_source;

typedef struct adamix_options adamix_options;

/* `table` of `count` rows is borrowed for life.  Errors: ENOMEM. */
adamix_err adamix_options_create (adamix_options **out, const adamix_option *table, int count);
void adamix_options_destroy (adamix_options *options);
/* Errors: EUSAGE for an unknown name (the nearest known one is suggested) or a value that is not allowed (named with
 * the option and what is). */
adamix_err adamix_options_set (adamix_options *options, const char *name, const char *value,
                               adamix_option_source source);
/* "--name value", "--name=value", "--flag", "--no-flag".  argv[0] is the command.  Positional arguments go to
 * `positional` (views, at most `max_positional`); an option given twice, too many positionals: EUSAGE. */
adamix_err adamix_options_parse (adamix_options *options, int argc, char **argv, const char **positional,
                                 int max_positional, int *n_positional);
/* INI, read by inih; a [section] line is allowed and ignored.  Errors: EIO, EUSAGE with file and line. */
adamix_err adamix_options_read (adamix_options *options, const char *path);
adamix_option_source adamix_options_source (const adamix_options *options, const char *name);
/* The text value in force (view) or NULL. */
const char *adamix_options_value (const adamix_options *options, const char *name);
/* Convert all values into `config` by the table's offsets.  Strings are views into `options`. */
adamix_err adamix_options_store (const adamix_options *options, void *config);
/* {"name": value, ...} typed, for the run record.  New reference, NULL without memory. */
json_t *adamix_options_json (const adamix_options *options);
/* The --help text of the table, 80 columns. */
void adamix_options_help (const adamix_option *table, int count, FILE *stream);

/* ---- counter-based random numbers (Random123's Philox 4x32-10) -------------------------------------------------- */

/* What a number is drawn for: numbers of different purposes never coincide. */
typedef enum adamix_rng_purpose {
  ADAMIX_RNG_INIT,
  ADAMIX_RNG_ORDER,
  ADAMIX_RNG_ROUTE,
  ADAMIX_RNG_DROPOUT,
  ADAMIX_RNG_DEAL,
  ADAMIX_RNG_SPLIT,
  ADAMIX_RNG_EVAL,
  ADAMIX_RNG_BACKBONE, /* a model or a data set without a file */
  ADAMIX_RNG_DATA,
  ADAMIX_RNG_MERGE,
  ADAMIX_RNG_SAMPLES /* examples that a merge reads */
} adamix_rng_purpose;

/* A stream is a key: the same (seed, purpose) gives the same numbers on any rank, thread and machine. */
typedef struct adamix_rng {
  uint32_t key[2];
} adamix_rng;

typedef struct adamix_rng_counter {
  uint32_t word[4];
} adamix_rng_counter;

adamix_rng adamix_rng_stream (uint64_t seed, adamix_rng_purpose purpose); /* pure */
/* 128 random bits of a counter.  Pure: out = philox4x32_10 (key, counter). */
adamix_rng_counter adamix_rng_bits (adamix_rng rng, adamix_rng_counter counter);
/* Uniform in [0, bound), bound >= 1, by multiplication (bias under bound / 2^64). */
uint32_t adamix_rng_below (adamix_rng rng, adamix_rng_counter counter, uint32_t bound);
/* out[i] ~ N(0, deviation), i < n; counter words 0..1 are the caller's, words 2..3 count the values.  Box-Muller. */
void adamix_rng_normal (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, double deviation, float *out);
/* out[i] uniform in (-bound, bound], i < n; counters as for adamix_rng_normal. */
void adamix_rng_uniform (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, double bound, float *out);
/* Fisher-Yates permutation of 0..n-1 into out; words 0..1 are the caller's. */
void adamix_rng_permutation (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, int64_t *out);

#ifdef __cplusplus
}
#endif
#endif
