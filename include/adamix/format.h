/* adamix/format.h - files as others write them: safetensors, TSV, CSV, JSON lines.  No knowledge of models or tasks.
 *
 * Every reader takes hostile input: lengths are checked before use, errors (EFORMAT, EIO) name the file and the line,
 * tensor or byte, and say what to do.  All functions are Local.                                                        */
#ifndef ADAMIX_FORMAT_H
#define ADAMIX_FORMAT_H

#include <adamix/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- safetensors ------------------------------------------------------------------------------------------------- */
/* u64 little-endian header length, JSON header {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {...}}, data */

#define ADAMIX_TENSOR_MAX_RANK 8

typedef struct adamix_stored_tensor {
  char *name; /* owned by the file */
  adamix_dtype dtype;
  int rank;
  int64_t shape[ADAMIX_TENSOR_MAX_RANK];
  int64_t count;    /* product of the shape */
  const void *data; /* view of the mapped file; any alignment */
  size_t bytes;
} adamix_stored_tensor;

typedef struct adamix_safetensors {
  char *path; /* owned */
  adamix_file_map map;
  adamix_stored_tensor *tensor; /* sorted by name */
  int64_t tensors;
  json_t *metadata; /* object of strings, or NULL; owned */
} adamix_safetensors;

/* Map and check a file: header length within the file, known dtypes, offsets inside the data and in accord with shape
 * and dtype, no two tensors of one name, no overlap and no hole.  Errors: EIO, EFORMAT, ENOMEM. */
adamix_err adamix_safetensors_open (adamix_safetensors *out, const char *path);
void adamix_safetensors_close (adamix_safetensors *file);
/* By name, NULL if there is none.  View. */
const adamix_stored_tensor *adamix_safetensors_find (const adamix_safetensors *file, const char *name);

/* What to write: name, dtype, shape and data are borrowed. */
typedef struct adamix_tensor_source {
  const char *name;
  adamix_dtype dtype;
  int rank;
  int64_t shape[ADAMIX_TENSOR_MAX_RANK];
  const void *data;
} adamix_tensor_source;

/* Write atomically, tensors in the order given, data 64-byte aligned; the same input gives the same bytes (no time, host or
 * path).  `metadata` is an object of strings or NULL.  Errors: EIO (a full disk; nothing is left behind), ENOMEM. */
adamix_err adamix_safetensors_write (const char *path, const adamix_tensor_source *tensor, int64_t tensors,
                                     const json_t *metadata);

/* ---- tables: TSV, CSV, JSON lines -------------------------------------------------------------------------------- */

typedef enum adamix_table_kind {
  ADAMIX_TABLE_TSV,  /* fields split at tabs, a double quote is an ordinary character (GLUE) */
  ADAMIX_TABLE_CSV,  /* RFC 4180: quoted fields, doubled quotes, line breaks inside quotes; LF or CRLF */
  ADAMIX_TABLE_JSONL /* an object a line; columns are the keys of the first line; numbers become text */
} adamix_table_kind;

/* A file of records.  A leading byte-order mark is skipped; text is UTF-8, checked. */
typedef struct adamix_table {
  char *path; /* owned */
  int64_t rows, columns;
  char **column;      /* [columns] names; "" each without a header line */
  const char **field; /* [rows * columns] NUL-terminated views into `text`; a missing trailing field is NULL */
  int64_t *line;      /* [rows] line of the file where the record starts, from 1 */
  char *text;         /* owned */
} adamix_table;

/* Read a whole file.  `header`: the first record names the columns (TSV, CSV).  A record with fewer fields than the
 * first keeps NULLs, one with more keeps the first ones: the caller knows which columns matter.  Blank lines are skipped,
 * but are empty texts in a table of one column.  NUL bytes and invalid UTF-8 are errors with file and line; a file without
 * records gives rows 0.  Errors: EIO, EFORMAT, ENOMEM. */
adamix_err adamix_table_read (adamix_table *out, const char *path, adamix_table_kind kind, bool header);
/* By the ending of the path: .csv, .jsonl or .json, anything else TSV. */
adamix_table_kind adamix_table_kind_of (const char *path);
void adamix_table_destroy (adamix_table *table);
/* Index of a column by name, or -1. */
int64_t adamix_table_column (const adamix_table *table, const char *name);

/* ---- TensorBoard ----------------------------------------------------------------------------------------------------- */

/* A file of events, TFRecords of protocol buffers. */
typedef struct adamix_events adamix_events;
typedef struct adamix_scalar {
  const char *tag; /* "train/loss" */
  double value;    /* stored as float */
} adamix_scalar;

/* Does this build write such files? */
bool adamix_events_are_there (void);
/* Begin the one file of `folder`, which is made if need be; one that is there is replaced.  Errors: EIO, ENOMEM, EUNSUPPORTED. */
adamix_err adamix_events_open (adamix_events **out, const char *folder);
/* Scalars of a step, flushed at once.  wall_time: seconds since 1970.  Errors: EIO, ENOMEM. */
adamix_err adamix_events_write (adamix_events *events, int64_t step, double wall_time, const adamix_scalar *scalar,
                                int64_t count);
void adamix_events_close (adamix_events *events);

#ifdef __cplusplus
}
#endif
#endif
