#include <adamix/format.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, BITS_PER_BYTE = 8 };

/* A tensor's place in the data part of the file. */
typedef struct extent {
  uint64_t begin, end;
  const char *name;
} extent;

typedef struct reader {
  adamix_safetensors *file;
  const char *data; /* what the offsets count from */
  uint64_t size;    /* of the data */
  extent *extent;   /* [file->tensors] */
} reader;

/* ---- one entry of the header ------------------------------------------------------------------------------------- */

static adamix_err
bad_tensor (const reader *reader, const char *name, const char *what)
{
  return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor \"%s\": %s; the file is damaged or not a safetensors file",
                         reader->file->path, name, what);
}

static adamix_err
read_dtype (const reader *reader, const char *name, const json_t *entry, adamix_dtype *out)
{
  const char *text = json_string_value (json_object_get (entry, "dtype"));
  if (!text) return bad_tensor (reader, name, "has no \"dtype\"");
  for (int i = 0; i < ADAMIX_DTYPE_COUNT; i++) {
    *out = (adamix_dtype) i;
    if (strcmp (text, adamix_dtype_name (*out)) == 0) return ADAMIX_OK;
  }
  return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor \"%s\": unknown dtype \"%s\"; convert it to F32 or BF16",
                         reader->file->path, name, text);
}

static adamix_err
read_shape (const reader *reader, const char *name, const json_t *entry, adamix_stored_tensor *out)
{
  const json_t *shape = json_object_get (entry, "shape");
  if (!json_is_array (shape)) return bad_tensor (reader, name, "has no \"shape\"");
  if (json_array_size (shape) > ADAMIX_TENSOR_MAX_RANK) return bad_tensor (reader, name, "has too many dimensions");
  out->rank = (int) json_array_size (shape);
  out->count = 1;
  for (int i = 0; i < out->rank; i++) {
    const json_t *extent = json_array_get (shape, (size_t) i);
    out->shape[i] = json_integer_value (extent);
    if (!json_is_integer (extent) || out->shape[i] < 0) return bad_tensor (reader, name, "has an impossible \"shape\"");
    if (__builtin_mul_overflow (out->count, out->shape[i], &out->count))
      return bad_tensor (reader, name, "has a \"shape\" beyond any memory");
  }
  if (__builtin_mul_overflow ((size_t) out->count, adamix_dtype_bytes (out->dtype), &out->bytes))
    return bad_tensor (reader, name, "has a \"shape\" beyond any memory");
  return ADAMIX_OK;
}

static adamix_err
read_extent (const reader *reader, const char *name, const json_t *entry, extent *out)
{
  const json_t *offsets = json_object_get (entry, "data_offsets");
  const json_t *begin = json_array_get (offsets, 0), *end = json_array_get (offsets, 1);
  if (json_array_size (offsets) != 2 || !json_is_integer (begin) || !json_is_integer (end))
    return bad_tensor (reader, name, "has no \"data_offsets\" of two integers");
  int64_t first = json_integer_value (begin), last = json_integer_value (end);
  if (first < 0 || last < first || (uint64_t) last > reader->size)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: tensor \"%s\": data_offsets %" PRId64 " to %" PRId64 " lie outside the %" PRIu64
                           " bytes of data; the file is truncated or damaged, fetch it again",
                           reader->file->path, name, first, last, reader->size);
  *out = (extent){ .begin = (uint64_t) first, .end = (uint64_t) last, .name = name };
  return ADAMIX_OK;
}

static adamix_err
read_tensor (const reader *reader, const char *name, const json_t *entry, int64_t index)
{
  adamix_stored_tensor *tensor = &reader->file->tensor[index];
  extent *extent = &reader->extent[index];
  if (!json_is_object (entry)) return bad_tensor (reader, name, "is not described by an object");
  ADAMIX_RETURN_IF (adamix_format (&tensor->name, "%s", name));
  ADAMIX_RETURN_IF (read_dtype (reader, name, entry, &tensor->dtype));
  ADAMIX_RETURN_IF (read_shape (reader, name, entry, tensor));
  ADAMIX_RETURN_IF (read_extent (reader, name, entry, extent));
  if (extent->end - extent->begin != tensor->bytes)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: tensor \"%s\": shape and dtype need %zu bytes, data_offsets give %" PRIu64
                           "; the file is damaged",
                           reader->file->path, name, tensor->bytes, extent->end - extent->begin);
  tensor->data = reader->data + extent->begin;
  return ADAMIX_OK;
}

/* ---- the whole file ---------------------------------------------------------------------------------------------- */

static adamix_err
read_metadata (const reader *reader, json_t *metadata)
{
  const char *key;
  json_t *value;
  if (!json_is_object (metadata))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"__metadata__\" is not an object of strings", reader->file->path);
  json_object_foreach (metadata, key, value) if (!json_is_string (value)) return adamix_err_set (
      ADAMIX_EFORMAT, "%s: \"__metadata__\": \"%s\" is not a string", reader->file->path, key);
  reader->file->metadata = json_incref (metadata);
  return ADAMIX_OK;
}

static adamix_err
read_entries (reader *reader, json_t *header)
{
  adamix_safetensors *file = reader->file;
  const char *name;
  json_t *entry;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (file->tensor, (int64_t) json_object_size (header)));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (reader->extent, (int64_t) json_object_size (header)));
  json_object_foreach (header, name, entry)
  {
    if (strcmp (name, "__metadata__") == 0) {
      ADAMIX_RETURN_IF (read_metadata (reader, entry));
      continue;
    }
    ADAMIX_RETURN_IF (read_tensor (reader, name, entry, file->tensors++));
  }
  return ADAMIX_OK;
}

static int
by_extent (const void *a, const void *b)
{
  const extent *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* The tensors must cover the data from end to end: what is in no tensor or in two has no business in the file. */
static adamix_err
check_cover (const reader *reader)
{
  uint64_t covered = 0;
  qsort (reader->extent, (size_t) reader->file->tensors, sizeof *reader->extent, by_extent);
  for (int64_t i = 0; i < reader->file->tensors; i++) {
    const extent *extent = &reader->extent[i];
    if (extent->begin < covered) return bad_tensor (reader, extent->name, "overlaps another tensor");
    if (extent->begin > covered) return bad_tensor (reader, extent->name, "comes after a hole in the data");
    covered = extent->end;
  }
  if (covered == reader->size) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT,
                         "%s: %" PRIu64 " bytes of data belong to no tensor; the file is damaged or not a safetensors "
                         "file",
                         reader->file->path, reader->size - covered);
}

static int
by_name (const void *a, const void *b)
{
  const adamix_stored_tensor *x = a, *y = b;
  return strcmp (x->name, y->name);
}

static adamix_err
parse_header (const adamix_safetensors *file, json_t **out, uint64_t *length)
{
  json_error_t where;
  *length = 0;
  if (file->map.size < LENGTH_BYTES)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: %zu bytes are too few for a safetensors file; fetch it again",
                           file->path, file->map.size);
  for (int i = 0; i < LENGTH_BYTES; i++) *length |= (uint64_t) (uint8_t) file->map.data[i] << (BITS_PER_BYTE * i);
  if (*length > file->map.size - LENGTH_BYTES)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: the header's length is given as %" PRIu64
                           " bytes, the file has %zu; it is truncated or "
                           "not a safetensors file",
                           file->path, *length, file->map.size);
  adamix_err err = adamix_json_parse (out, file->map.data + LENGTH_BYTES, *length, JSON_REJECT_DUPLICATES, &where);
  if (err == ADAMIX_ENOMEM) return adamix_err_prefix (err, "%s", file->path);
  if (json_is_object (*out)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: the header at byte %d is not a JSON object: %s", file->path,
                         LENGTH_BYTES + where.position, *out ? "another value" : where.text);
}

adamix_err
adamix_safetensors_open (adamix_safetensors *out, const char *path)
{
  adamix_err err = ADAMIX_OK;
  json_t *header = NULL;
  uint64_t length;
  reader reader = { .file = out };
  *out = (adamix_safetensors){ 0 };
  ADAMIX_TRY (adamix_format (&out->path, "%s", path));
  ADAMIX_TRY (adamix_file_map_open (&out->map, path));
  ADAMIX_TRY (parse_header (out, &header, &length));
  reader.data = out->map.data + LENGTH_BYTES + length;
  reader.size = out->map.size - LENGTH_BYTES - length;
  ADAMIX_TRY (read_entries (&reader, header));
  ADAMIX_TRY (check_cover (&reader));
  qsort (out->tensor, (size_t) out->tensors, sizeof *out->tensor, by_name);
done:
  free (reader.extent);
  json_decref (header);
  if (err != ADAMIX_OK) adamix_safetensors_close (out);
  return err;
}

void
adamix_safetensors_close (adamix_safetensors *file)
{
  if (!file) return;
  for (int64_t i = 0; i < file->tensors; i++) free (file->tensor[i].name);
  free (file->tensor);
  free (file->path);
  json_decref (file->metadata);
  adamix_file_map_close (&file->map);
  *file = (adamix_safetensors){ 0 };
}

const adamix_stored_tensor *
adamix_safetensors_find (const adamix_safetensors *file, const char *name)
{
  adamix_stored_tensor key = { .name = (char *) name };
  if (!file->tensors) return NULL;
  return bsearch (&key, file->tensor, (size_t) file->tensors, sizeof *file->tensor, by_name);
}
