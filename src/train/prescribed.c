#include "train/train_private.h"

#include <string.h>

/* ---- JSON lines ---- */

/* A file of which each line is a JSON value, read line by line. */
typedef struct json_lines {
  const char *path;
  adamix_file_map map;
  size_t next;  /* byte where the next line starts */
  int64_t line; /* the last one read, from 1 */
} json_lines;

static adamix_err
open_lines (json_lines *lines, const char *path, adamix_sha256 *hash)
{
  *lines = (json_lines){ .path = path };
  ADAMIX_RETURN_IF (adamix_file_map_open (&lines->map, path));
  return adamix_sha256_memory (hash, lines->map.data, lines->map.size);
}

/* *out is a new reference.  `steps` is what the file is needed for. */
static adamix_err
next_line (json_lines *lines, int64_t steps, json_t **out)
{
  json_error_t where;
  if (lines->next >= lines->map.size)
    return adamix_err_set (ADAMIX_EDATA, "%s has %lld lines, one a step, but the run makes %lld steps", lines->path,
                           (long long) lines->line, (long long) steps);
  const char *at = lines->map.data + lines->next;
  const char *newline = memchr (at, '\n', lines->map.size - lines->next);
  const size_t length = newline ? (size_t) (newline - at) : lines->map.size - lines->next;
  lines->next += length + 1;
  lines->line++;
  adamix_err err = adamix_json_parse (out, at, length, JSON_DECODE_ANY, &where);
  if (err != ADAMIX_EFORMAT)
    return err ? adamix_err_prefix (err, "%s:%lld", lines->path, (long long) lines->line) : ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s:%lld: not valid JSON: %s", lines->path, (long long) lines->line,
                         where.text);
}

static adamix_err
locate (adamix_err err, const json_lines *lines)
{
  return err ? adamix_err_prefix (err, "%s:%lld", lines->path, (long long) lines->line) : ADAMIX_OK;
}

/* ---- order ---- */

/* What a line of the order has to keep to. */
typedef struct order_rules {
  int64_t batch, examples;
  int64_t *seen; /* [examples] line in which a record stood last */
} order_rules;

static adamix_err
read_record (const json_t *item, const order_rules *rules, int64_t line, int64_t *out)
{
  if (!json_is_integer (item))
    return adamix_err_set (ADAMIX_EFORMAT, "an item of the array is not a whole number: record numbers are needed");
  const json_int_t record = json_integer_value (item);
  if (record < 0 || record >= rules->examples)
    return adamix_err_set (ADAMIX_EDATA, "there is no record %lld: the training set has the records 0 to %lld",
                           (long long) record, (long long) rules->examples - 1);
  if (rules->seen[record] == line)
    return adamix_err_set (ADAMIX_EDATA, "record %lld stands there twice", (long long) record);
  rules->seen[record] = line;
  *out = record;
  return ADAMIX_OK;
}

static adamix_err
read_step (const json_t *array, const order_rules *rules, int64_t line, int64_t *out)
{
  const int64_t n = (int64_t) json_array_size (array);
  if (!json_is_array (array)) return adamix_err_set (ADAMIX_EFORMAT, "not an array of record numbers");
  if (n < 1 || n > rules->batch)
    return adamix_err_set (ADAMIX_EDATA, "%lld records where a step takes 1 to %lld (--batch)", (long long) n,
                           (long long) rules->batch);
  for (int64_t i = 0; i < n; i++)
    ADAMIX_RETURN_IF (read_record (json_array_get (array, (size_t) i), rules, line, &out[i]));
  return ADAMIX_OK;
}

adamix_err
adamix_prescribed_order_read (adamix_prescribed_order *out, const char *path, int64_t steps, int64_t batch,
                              int64_t examples)
{
  adamix_err err = ADAMIX_OK;
  json_lines lines;
  json_t *array = NULL;
  order_rules rules = { .batch = batch, .examples = examples };
  int64_t records = 0, firsts = 0;
  *out = (adamix_prescribed_order){ 0 };
  ADAMIX_TRY (open_lines (&lines, path, &out->hash));
  ADAMIX_TRY (ADAMIX_ALLOC (rules.seen, examples));
  ADAMIX_TRY (ADAMIX_GROW (out->first, &firsts, 1));
  out->first[0] = 0;
  for (int64_t step = 0; step < steps; step++) {
    json_decref (array);
    array = NULL;
    ADAMIX_TRY (next_line (&lines, steps, &array));
    const int64_t end = out->first[step] + (int64_t) json_array_size (array);
    ADAMIX_TRY (ADAMIX_GROW (out->first, &firsts, step + 2));
    ADAMIX_TRY (ADAMIX_GROW (out->record, &records, end));
    ADAMIX_TRY (locate (read_step (array, &rules, lines.line, out->record + out->first[step]), &lines));
    out->first[step + 1] = end;
  }
done:
  json_decref (array);
  free (rules.seen);
  adamix_file_map_close (&lines.map);
  if (err) {
    adamix_prescribed_order_destroy (out);
    adamix_err_prefix (err, "--order-file");
  }
  return err;
}

void
adamix_prescribed_order_destroy (adamix_prescribed_order *order)
{
  free (order->first);
  free (order->record);
  *order = (adamix_prescribed_order){ 0 };
}

/* ---- routes ---- */

static adamix_err
read_pair (const json_t *pair, const adamix_bank_shape *shape, int32_t *out)
{
  static const char *const name[ADAMIX_PROJECTIONS] = { "down", "up" };
  if (json_array_size (pair) != ADAMIX_PROJECTIONS)
    return adamix_err_set (ADAMIX_EFORMAT, "not a pair [down, up] of expert numbers");
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    const json_t *item = json_array_get (pair, (size_t) p);
    const int64_t last = adamix_bank_copies (shape, p) - 1;
    const json_int_t expert = json_integer_value (item);
    if (!json_is_integer (item))
      return adamix_err_set (ADAMIX_EFORMAT, "%s: not a whole number, but an expert from 0 to %lld is needed", name[p],
                             (long long) last);
    if (expert < 0 || expert > last)
      return adamix_err_set (ADAMIX_EDATA, "%s: there is no expert %lld: allowed is 0 to %lld%s", name[p],
                             (long long) expert, (long long) last,
                             last == 0 && shape->experts > 1 ? ", as the projection is shared" : "");
    out[p] = (int32_t) expert;
  }
  return ADAMIX_OK;
}

static adamix_err
check_size (const json_t *array, int64_t size, const char *what)
{
  if (json_is_array (array) && (int64_t) json_array_size (array) == size) return ADAMIX_OK;
  if (!json_is_array (array)) return adamix_err_set (ADAMIX_EFORMAT, "not an array of %lld %s", (long long) size, what);
  return adamix_err_set (ADAMIX_EDATA, "an array of %lld where the run needs %lld %s",
                         (long long) json_array_size (array), (long long) size, what);
}

static adamix_err
read_route (const json_t *route, int64_t passes, const adamix_bank_shape *shape, int32_t *out)
{
  ADAMIX_RETURN_IF (check_size (route, passes, passes == 1 ? "pass" : "passes"));
  for (int64_t pass = 0; pass < passes; pass++) {
    const json_t *layers = json_array_get (route, (size_t) pass);
    adamix_err err = check_size (layers, shape->layers, "layers");
    if (err) return adamix_err_prefix (err, "pass %lld", (long long) pass);
    for (int64_t i = 0; i < shape->layers; i++, out += ADAMIX_PROJECTIONS) {
      err = read_pair (json_array_get (layers, (size_t) i), shape, out);
      if (err) return adamix_err_prefix (err, "pass %lld, layer %lld", (long long) pass, (long long) i);
    }
  }
  return ADAMIX_OK;
}

adamix_err
adamix_prescribed_routes_read (adamix_prescribed_routes *out, const char *path, int64_t steps, int64_t passes,
                               const adamix_bank_shape *shape)
{
  adamix_err err = ADAMIX_OK;
  json_lines lines;
  json_t *route = NULL;
  int64_t capacity = 0;
  *out = (adamix_prescribed_routes){ .size = passes * shape->layers * ADAMIX_PROJECTIONS };
  ADAMIX_TRY (open_lines (&lines, path, &out->hash));
  for (int64_t step = 0; step < steps; step++) {
    json_decref (route);
    route = NULL;
    ADAMIX_TRY (next_line (&lines, steps, &route));
    ADAMIX_TRY (ADAMIX_GROW (out->expert, &capacity, (step + 1) * out->size));
    ADAMIX_TRY (locate (read_route (route, passes, shape, out->expert + step * out->size), &lines));
  }
done:
  json_decref (route);
  adamix_file_map_close (&lines.map);
  if (err) {
    adamix_prescribed_routes_destroy (out);
    adamix_err_prefix (err, "--routes-file");
  }
  return err;
}

void
adamix_prescribed_routes_destroy (adamix_prescribed_routes *routes)
{
  free (routes->expert);
  *routes = (adamix_prescribed_routes){ 0 };
}
