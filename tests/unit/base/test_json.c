#include "base/scratch.h"

#include <math.h>

TestSuite (json, .init = scratch_begin, .fini = scratch_end);

static json_t *
parsed (const char *text)
{
  json_t *value = json_loads (text, 0, NULL);
  cr_assert_not_null (value);
  return value;
}

Test (json, stored_files_keep_order_and_bits)
{
  json_t *value = json_object (), *back;
  json_object_set_new (value, "zeta", json_real (0.1));
  json_object_set_new (value, "alpha", json_integer (7));
  cr_assert_succeeds (adamix_json_store (value, scratch_path ("a.json"), false));
  cr_assert_succeeds (adamix_json_load (&back, scratch_path ("a.json")));
  cr_assert (json_equal (value, back));

  adamix_file_map map;
  cr_assert_succeeds (adamix_file_map_open (&map, scratch_path ("a.json")));
  static const char expected[] = "{\n  \"zeta\": 0.10000000000000001,\n  \"alpha\": 7\n}\n";
  cr_assert_eq (map.size, strlen (expected));
  cr_assert_eq (memcmp (map.data, expected, map.size), 0);

  cr_assert_succeeds (adamix_json_store (value, scratch_path ("b.json"), true));
  cr_assert_succeeds (adamix_file_map_open (&map, scratch_path ("b.json")));
  static const char compact[] = "{\"zeta\":0.10000000000000001,\"alpha\":7}\n";
  cr_assert_eq (map.size, strlen (compact));
  cr_assert_eq (memcmp (map.data, compact, map.size), 0);
}

Test (json, errors_name_file_line_and_column)
{
  static const char broken[] = "{\n  \"a\": ]\n}", twice[] = "{\"a\": 1, \"a\": 2}";
  json_t *value;
  cr_assert_fails (adamix_json_load (&value, scratch_file ("x.json", broken, strlen (broken))), ADAMIX_EFORMAT,
                   "x.json: line 2, column 8");
  cr_assert_null (value);
  cr_assert_fails (adamix_json_load (&value, scratch_file ("y.json", twice, strlen (twice))), ADAMIX_EFORMAT,
                   "duplicate");
  cr_assert_fails (adamix_json_load (&value, scratch_file ("z.json", "", 0)), ADAMIX_EFORMAT, "z.json");
  cr_assert_fails (adamix_json_load (&value, scratch_path ("none")), ADAMIX_EIO, "No such file");
}

Test (json, members_are_typed)
{
  json_t *object = parsed ("{\"i\": 12, \"r\": 0.5, \"b\": true, \"s\": \"text\", \"n\": null}");
  int64_t integer = -1;
  double real = -1;
  bool boolean = false;
  const char *string = "untouched";
  cr_assert_succeeds (adamix_json_integer (object, "f", "i", true, 0, 100, &integer));
  cr_assert_succeeds (adamix_json_real (object, "f", "r", true, &real));
  cr_assert_succeeds (adamix_json_boolean (object, "f", "b", true, &boolean));
  cr_assert (integer == 12 && real == 0.5 && boolean);
  cr_assert_succeeds (adamix_json_real (object, "f", "i", true, &real));
  cr_assert_eq (real, 12);
  cr_assert_succeeds (adamix_json_string (object, "f", "none", false, &string));
  cr_assert_succeeds (adamix_json_string (object, "f", "n", false, &string));
  cr_assert_str_eq (string, "untouched");
  cr_assert_succeeds (adamix_json_string (object, "f", "s", true, &string));
  cr_assert_str_eq (string, "text");
}

Test (json, wrong_members_are_named)
{
  json_t *object = parsed ("{\"i\": 12, \"r\": 0.5, \"n\": null}");
  int64_t integer = -1;
  bool boolean;
  const char *string;
  cr_assert_fails (adamix_json_integer (object, "config.json", "hidden", true, 0, 1, &integer), ADAMIX_EFORMAT,
                   "config.json: \"hidden\" is missing");
  cr_assert_fails (adamix_json_integer (object, "f", "i", true, 13, 20, &integer), ADAMIX_EFORMAT, "from 13 to 20");
  cr_assert_fails (adamix_json_integer (object, "f", "i", false, 0, 11, &integer), ADAMIX_EFORMAT, "is 12");
  cr_assert_fails (adamix_json_integer (object, "f", "r", true, 0, 11, &integer), ADAMIX_EFORMAT, "is a real");
  cr_assert_fails (adamix_json_boolean (object, "f", "i", true, &boolean), ADAMIX_EFORMAT, "true or false");
  cr_assert_fails (adamix_json_string (object, "f", "n", true, &string), ADAMIX_EFORMAT, "is null");
  cr_assert_eq (integer, -1);
}

Test (json, what_is_not_finite_is_null)
{
  cr_assert (json_is_null (adamix_json_number (NAN)));
  cr_assert (json_is_null (adamix_json_number (INFINITY)));
  cr_assert_eq (json_real_value (adamix_json_number (0.25)), 0.25);
}

Test (json, one_refused_member_is_noticed_at_the_end)
{
  json_t *object = json_object ();
  char *path = scratch_path ("refused.json");
  adamix_json_put (&object, "a", json_integer (1));
  cr_assert_eq (json_integer_value (json_object_get (object, "a")), 1);
  adamix_json_put (&object, "b", NULL);
  cr_assert_null (object);
  adamix_json_put (&object, "c", json_integer (2));
  cr_assert_null (object);
  cr_assert_fails (adamix_json_store (object, path, false), ADAMIX_ENOMEM, "refused.json: out of memory");
  cr_assert_not (adamix_path_exists (path));
  free (path);
}

Test (json, one_refused_item_is_noticed_at_the_end)
{
  json_t *array = json_array ();
  adamix_json_append (&array, json_integer (1));
  cr_assert_eq (json_array_size (array), 1);
  adamix_json_append (&array, NULL);
  cr_assert_null (array);
  adamix_json_append (&array, json_integer (2));
  cr_assert_null (array);
}

static void *
refuse (size_t size)
{
  (void) size;
  return NULL;
}

Test (json, memory_refused_to_the_parser_is_no_bad_json)
{
  json_error_t where;
  json_t *value;
  cr_assert_eq (adamix_json_parse (&value, "{", 1, 0, &where), ADAMIX_EFORMAT);
  json_set_alloc_funcs (refuse, free);
  cr_assert_fails (adamix_json_parse (&value, "{}", 2, 0, &where), ADAMIX_ENOMEM, "out of memory");
  json_set_alloc_funcs (malloc, free);
}
