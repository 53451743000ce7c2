#include <adamix/base.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

adamix_err
adamix_json_parse (json_t **out, const char *text, size_t size, size_t flags, json_error_t *where)
{
  *out = json_loadb (text, size, flags, where);
  if (*out) return ADAMIX_OK;
  if (where->text[0]) return ADAMIX_EFORMAT;
  return adamix_err_set (ADAMIX_ENOMEM, "out of memory while JSON was read");
}

adamix_err
adamix_json_load (json_t **out, const char *path)
{
  adamix_file_map map;
  json_error_t where;
  *out = NULL;
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, path));
  adamix_err err = adamix_json_parse (out, map.data, map.size, JSON_REJECT_DUPLICATES, &where);
  adamix_file_map_close (&map);
  if (err == ADAMIX_ENOMEM) return adamix_err_prefix (err, "%s", path);
  if (err == ADAMIX_OK) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: line %d, column %d: not valid JSON: %s", path, where.line, where.column,
                         where.text);
}

static void
give_up (json_t **value)
{
  json_decref (*value);
  *value = NULL;
}

void
adamix_json_put (json_t **object, const char *key, json_t *value)
{
  if (json_object_set_new (*object, key, value) != 0) give_up (object);
}

void
adamix_json_append (json_t **array, json_t *value)
{
  if (json_array_append_new (*array, value) != 0) give_up (array);
}

adamix_err
adamix_json_store (const json_t *value, const char *path, bool compact)
{
  enum { DIGITS = 17, INDENT = 2 };
  size_t layout = compact ? JSON_COMPACT : JSON_INDENT (INDENT);
  char *text = json_dumps (value, layout | JSON_REAL_PRECISION (DIGITS) | JSON_ENCODE_ANY);
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "%s: out of memory while the JSON text was made", path);
  size_t length = strlen (text);
  text[length] = '\n'; /* in place of the terminating NUL: the file is written by length */
  adamix_err err = adamix_file_write (path, text, length + 1);
  free (text);
  return err;
}

/* The member, or NULL with *err ADAMIX_OK for an optional one that is absent or null. */
static const json_t *
member (const json_t *object, const char *where, const char *key, bool required, adamix_err *err)
{
  const json_t *value = json_object_get (object, key);
  *err = ADAMIX_OK;
  if (value && (required || !json_is_null (value))) return value;
  if (required) *err = adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\" is missing", where, key);
  return NULL;
}

static adamix_err
wrong_type (const json_t *value, const char *where, const char *key, const char *expected)
{
  static const char *const name[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string", [JSON_INTEGER] = "an integer",
    [JSON_REAL] = "a real",      [JSON_TRUE] = "true",      [JSON_FALSE] = "false",     [JSON_NULL] = "null"
  };
  return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\" is %s, expected %s", where, key, name[json_typeof (value)],
                         expected);
}

adamix_err
adamix_json_integer (const json_t *object, const char *where, const char *key, bool required, int64_t min, int64_t max,
                     int64_t *out)
{
  adamix_err err;
  const json_t *value = member (object, where, key, required, &err);
  if (!value) return err;
  if (!json_is_integer (value)) return wrong_type (value, where, key, "an integer");
  int64_t number = json_integer_value (value);
  if (number < min || number > max)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\" is %" PRId64 ", expected a number from %" PRId64 " to %" PRId64,
                           where, key, number, min, max);
  *out = number;
  return ADAMIX_OK;
}

adamix_err
adamix_json_real (const json_t *object, const char *where, const char *key, bool required, double *out)
{
  adamix_err err;
  const json_t *value = member (object, where, key, required, &err);
  if (!value) return err;
  if (!json_is_number (value)) return wrong_type (value, where, key, "a number");
  *out = json_number_value (value);
  return ADAMIX_OK;
}

adamix_err
adamix_json_boolean (const json_t *object, const char *where, const char *key, bool required, bool *out)
{
  adamix_err err;
  const json_t *value = member (object, where, key, required, &err);
  if (!value) return err;
  if (!json_is_boolean (value)) return wrong_type (value, where, key, "true or false");
  *out = json_is_true (value);
  return ADAMIX_OK;
}

adamix_err
adamix_json_string (const json_t *object, const char *where, const char *key, bool required, const char **out)
{
  adamix_err err;
  const json_t *value = member (object, where, key, required, &err);
  if (!value) return err;
  if (!json_is_string (value)) return wrong_type (value, where, key, "a string");
  *out = json_string_value (value);
  return ADAMIX_OK;
}

json_t *
adamix_json_number (double value)
{
  return isfinite (value) ? json_real (value) : json_null ();
}
