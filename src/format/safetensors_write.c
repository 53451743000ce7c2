#include <adamix/format.h>

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, BITS_PER_BYTE = 8, DATA_ALIGNMENT = 64 };

static const char metadata_key[] = "__metadata__";

static adamix_err
source_bytes (const char *path, const adamix_tensor_source *source, size_t *out)
{
  size_t bytes = adamix_dtype_bytes (source->dtype);
  bool possible = source->rank >= 0 && source->rank <= ADAMIX_TENSOR_MAX_RANK;
  for (int i = 0; possible && i < source->rank; i++)
    possible = source->shape[i] >= 0 && !__builtin_mul_overflow (bytes, (size_t) source->shape[i], &bytes);
  *out = bytes;
  if (possible) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_ESHAPE, "%s: tensor \"%s\" cannot be written: impossible shape", path, source->name);
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, or NULL without memory. */
static json_t *
describe (const adamix_tensor_source *source, size_t begin, size_t end)
{
  json_t *shape = json_array ();
  for (int i = 0; i < source->rank; i++) adamix_json_append (&shape, json_integer (source->shape[i]));
  return json_pack ("{s:s, s:o, s:[I, I]}", "dtype", adamix_dtype_name (source->dtype), "shape", shape, "data_offsets",
                    (json_int_t) begin, (json_int_t) end);
}

static adamix_err
add_entry (json_t *header, const char *path, const adamix_tensor_source *source, size_t begin, size_t end)
{
  if (json_object_get (header, source->name) || strcmp (source->name, metadata_key) == 0)
    return adamix_err_set (ADAMIX_EEXIST, "%s: tensor name \"%s\" is taken; give each tensor a name of its own", path,
                           source->name);
  if (json_object_set_new (header, source->name, describe (source, begin, end)) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_ENOMEM, "%s: tensor \"%s\" cannot be described: out of memory or not UTF-8", path,
                         source->name);
}

/* Length, JSON and blanks up to where the data may begin. */
static adamix_err
print_header (const json_t *header, const char *path, char **out, size_t *size)
{
  char *text = json_dumps (header, JSON_COMPACT);
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "%s: out of memory while the header was made", path);
  size_t used = LENGTH_BYTES + strlen (text);
  *size = (used + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
  adamix_err err = adamix_alloc ((void **) out, (int64_t) *size, 1);
  if (err == ADAMIX_OK) {
    for (int i = 0; i < LENGTH_BYTES; i++) (*out)[i] = (char) ((*size - LENGTH_BYTES) >> (BITS_PER_BYTE * i));
    memcpy (*out + LENGTH_BYTES, text, used - LENGTH_BYTES);
    memset (*out + used, ' ', *size - used);
  }
  free (text);
  return err;
}

adamix_err
adamix_safetensors_write (const char *path, const adamix_tensor_source *tensor, int64_t tensors, const json_t *metadata)
{
  adamix_err err = ADAMIX_OK;
  adamix_file_piece *piece = NULL;
  char *text = NULL;
  size_t begin = 0;
  json_t *header = json_object ();
  ADAMIX_TRY (ADAMIX_ALLOC (piece, tensors + 1));
  if (metadata) adamix_json_put (&header, metadata_key, json_deep_copy (metadata));
  for (int64_t i = 0; i < tensors; i++) {
    size_t bytes;
    ADAMIX_TRY (source_bytes (path, &tensor[i], &bytes));
    ADAMIX_TRY (add_entry (header, path, &tensor[i], begin, begin + bytes));
    piece[i + 1] = (adamix_file_piece){ .data = tensor[i].data, .size = bytes };
    begin += bytes;
  }
  ADAMIX_TRY (print_header (header, path, &text, &piece[0].size));
  piece[0].data = text;
  ADAMIX_TRY (adamix_file_write_pieces (path, piece, tensors + 1));
done:
  free (text);
  free (piece);
  json_decref (header);
  return err;
}
