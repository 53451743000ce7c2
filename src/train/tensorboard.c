#include "train/run_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What has a number under its name, or a list of numbers, becomes "train/NAME", "train/NAME/0", ..., of an evaluation
 * "eval/NAME". */
typedef struct scalars {
  adamix_scalar *scalar;
  int64_t count, capacity;
} scalars;

static void
scalars_destroy (scalars *s)
{
  for (int64_t i = 0; i < s->count; i++) free ((char *) s->scalar[i].tag);
  free (s->scalar);
}

static adamix_err
add (scalars *s, const char *key, int64_t part, const json_t *value)
{
  static const char evaluated[] = "eval_";
  const size_t prefix = sizeof evaluated - 1;
  const bool of_eval = strncmp (key, evaluated, prefix) == 0;
  char number[24] = "", *tag;
  if (!json_is_number (value)) return ADAMIX_OK;
  if (part >= 0) snprintf (number, sizeof number, "/%lld", (long long) part);
  ADAMIX_RETURN_IF (ADAMIX_GROW (s->scalar, &s->capacity, s->count + 1));
  ADAMIX_RETURN_IF (adamix_format (&tag, "%s/%s%s", of_eval ? "eval" : "train", key + (of_eval ? prefix : 0), number));
  s->scalar[s->count++] = (adamix_scalar){ tag, json_number_value (value) };
  return ADAMIX_OK;
}

static adamix_err
collect (scalars *s, json_t *line)
{
  const char *key;
  json_t *value, *one;
  size_t part;
  json_object_foreach (line, key, value)
  {
    if (strcmp (key, "step") == 0) continue;
    ADAMIX_RETURN_IF (add (s, key, -1, value));
    json_array_foreach (value, part, one) ADAMIX_RETURN_IF (add (s, key, (int64_t) part, one));
  }
  return ADAMIX_OK;
}

adamix_err
adamix_tensorboard_write (adamix_events *events, json_t *line)
{
  scalars s = { 0 };
  struct timespec now;
  adamix_err err = collect (&s, line);
  clock_gettime (CLOCK_REALTIME, &now);
  if (!err)
    err = adamix_events_write (events, json_integer_value (json_object_get (line, "step")),
                               (double) now.tv_sec + (double) now.tv_nsec * 1e-9, s.scalar, s.count);
  scalars_destroy (&s);
  return err;
}

/* A resumed run's file begins with the lines that the run has kept. */
static adamix_err
write_kept (adamix_events *events, FILE *metrics)
{
  adamix_err err = ADAMIX_OK;
  char *text = NULL;
  size_t capacity = 0;
  rewind (metrics);
  while (!err && getline (&text, &capacity, metrics) > 0) {
    json_t *line = json_loads (text, 0, NULL);
    if (line) err = adamix_tensorboard_write (events, line);
    json_decref (line);
  }
  free (text);
  if (!err && fseeko (metrics, 0, SEEK_END) != 0) err = adamix_err_set (ADAMIX_EIO, "cannot go on in " FILE_METRICS);
  return err;
}

adamix_err
adamix_tensorboard_open (adamix_events **out, const char *run, FILE *metrics)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL;
  ADAMIX_TRY (adamix_path_join (&folder, run, FOLDER_TENSORBOARD));
  ADAMIX_TRY (adamix_events_open (out, folder));
  ADAMIX_TRY (write_kept (*out, metrics));
done:
  free (folder);
  return err;
}
