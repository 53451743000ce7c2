#include "base/scratch.h"

#include <adamix/format.h>

#include <sched.h>
#include <sys/mount.h>

TestSuite (safetensors, .init = scratch_begin, .fini = scratch_end);

enum { LENGTH_BYTES = 8 };

/* A file of the given header and `size` bytes 0, 1, 2, ... of data; `claimed` is the header length it tells. */
static char *
file_claiming (uint64_t claimed, const char *header, size_t size)
{
  size_t length = strlen (header);
  char *bytes = malloc (LENGTH_BYTES + length + size);
  for (int i = 0; i < LENGTH_BYTES; i++) bytes[i] = (char) (claimed >> (8 * i));
  memcpy (bytes + LENGTH_BYTES, header, length);
  for (size_t i = 0; i < size; i++) bytes[LENGTH_BYTES + length + i] = (char) i;
  char *path = scratch_file ("x.safetensors", bytes, LENGTH_BYTES + length + size);
  free (bytes);
  return path;
}

static adamix_err
open_text (adamix_safetensors *file, const char *header, size_t size)
{
  return adamix_safetensors_open (file, file_claiming (strlen (header), header, size));
}

Test (safetensors, tensors_are_found_by_name)
{
  adamix_safetensors file;
  cr_assert_succeeds (open_text (&file,
                                 "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[12,20]},"
                                 "\"a\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]},"
                                 "\"c\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[12,12]}}   ",
                                 20));
  cr_assert_eq (file.tensors, 3);
  cr_assert_str_eq (file.tensor[0].name, "a");
  const adamix_stored_tensor *a = adamix_safetensors_find (&file, "a"), *b = adamix_safetensors_find (&file, "b");
  const adamix_stored_tensor *c = adamix_safetensors_find (&file, "c");
  cr_assert (a->dtype == ADAMIX_DTYPE_BF16 && a->rank == 2 && a->shape[0] == 2 && a->shape[1] == 3 && a->count == 6);
  cr_assert (a->bytes == 12 && ((const char *) a->data)[11] == 11);
  cr_assert (b->dtype == ADAMIX_DTYPE_I64 && b->rank == 0 && b->count == 1 && ((const char *) b->data)[0] == 12);
  cr_assert (c->count == 0 && c->bytes == 0);
  cr_assert_null (adamix_safetensors_find (&file, "d"));
  cr_assert_str_eq (json_string_value (json_object_get (file.metadata, "format")), "pt");
  adamix_safetensors_close (&file);
  adamix_safetensors_close (NULL);
}

Test (safetensors, a_file_may_hold_nothing)
{
  adamix_safetensors file;
  cr_assert_succeeds (open_text (&file, "{}", 0));
  cr_assert_eq (file.tensors, 0);
  cr_assert_null (file.metadata);
  cr_assert_null (adamix_safetensors_find (&file, "a"));
  adamix_safetensors_close (&file);
}

Test (safetensors, header_lengths_that_lie)
{
  adamix_safetensors file;
  const uint64_t lies[] = { 3, UINT64_MAX, UINT64_MAX - LENGTH_BYTES + 1, (uint64_t) INT64_MAX + 1, 1000000 };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
    cr_assert_fails (adamix_safetensors_open (&file, file_claiming (lies[i], "{}", 0)), ADAMIX_EFORMAT,
                     "x.safetensors: the header's length");
  cr_assert_fails (adamix_safetensors_open (&file, scratch_file ("short", "1234567", 7)), ADAMIX_EFORMAT, "too few");
  cr_assert_fails (adamix_safetensors_open (&file, scratch_file ("empty", "", 0)), ADAMIX_EFORMAT, "too few");
  cr_assert_fails (adamix_safetensors_open (&file, scratch_path ("none")), ADAMIX_EIO, "No such file");
  cr_assert_fails (adamix_safetensors_open (&file, file_claiming (0, "{}", 0)), ADAMIX_EFORMAT, "not a JSON object");
}

/* One tensor "t" with the given members, and 16 bytes of data. */
static adamix_err
open_tensor (const char *members)
{
  char header[512];
  adamix_safetensors file;
  snprintf (header, sizeof header, "{\"t\":{%s}}", members);
  return open_text (&file, header, 16);
}

Test (safetensors, hostile_tensors)
{
  static const struct {
    const char *members, *part;
  } cases[] = {
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,20]", "lie outside the 16 bytes" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]", "lie outside" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]", "lie outside" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[9223372036854775807,9223372036854775807]", "lie outside" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,18446744073709551616]", "not a JSON object" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]", "need 16 bytes, data_offsets give 12" },
    { "\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]", "need 12 bytes, data_offsets give 16" },
    { "\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,16]", "need 32 bytes" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16.0]", "data_offsets" },
    { "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16]", "data_offsets" },
    { "\"dtype\":\"F32\",\"shape\":[4]", "data_offsets" },
    { "\"dtype\":\"F7\",\"shape\":[4],\"data_offsets\":[0,16]", "unknown dtype \"F7\"" },
    { "\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,16]", "\"dtype\"" },
    { "\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]", "impossible \"shape\"" },
    { "\"dtype\":\"F32\",\"shape\":[-2,-2],\"data_offsets\":[0,16]", "impossible \"shape\"" },
    { "\"dtype\":\"F32\",\"shape\":[\"4\"],\"data_offsets\":[0,16]", "impossible \"shape\"" },
    { "\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]", "\"shape\"" },
    { "\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]", "beyond any memory" },
    /* 2^62 + 4 elements of 4 bytes are 16 bytes modulo 2^64 */
    { "\"dtype\":\"F32\",\"shape\":[4611686018427387908],\"data_offsets\":[0,16]", "beyond any memory" },
    { "\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]", "too many dimensions" },
  };
  cr_assert_eq (open_tensor ("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]"), ADAMIX_OK);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_fails (open_tensor (cases[i].members), ADAMIX_EFORMAT, cases[i].part);
}

Test (safetensors, hostile_headers)
{
  static const struct {
    const char *header, *part;
  } cases[] = {
    { "[1]", "not a JSON object" },
    { "{\"t\":1}", "not described by an object" },
    { "{\"__metadata__\":1}", "__metadata__" },
    { "{\"__metadata__\":{\"k\":1}}", "\"k\" is not a string" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
      "\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,16]}}",
      "duplicate" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
      "\"u\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[7,16]}}",
      "tensor \"u\": overlaps" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]},"
      "\"u\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]}}",
      "overlaps" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
      "\"u\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[9,16]}}",
      "tensor \"u\": comes after a hole" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[15],\"data_offsets\":[1,16]}}", "comes after a hole" },
    { "{\"t\":{\"dtype\":\"U8\",\"shape\":[15],\"data_offsets\":[0,15]}}", "1 bytes of data belong to no tensor" },
    { "{}", "16 bytes of data belong to no tensor" },
  };
  adamix_safetensors file;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_fails (open_text (&file, cases[i].header, 16), ADAMIX_EFORMAT, cases[i].part);
}

/* Every beginning of a good file is refused, none crashes. */
Test (safetensors, truncated_anywhere)
{
  static const char header[] = "{\"t\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
  adamix_safetensors file;
  adamix_file_map whole;
  cr_assert_succeeds (adamix_file_map_open (&whole, file_claiming (strlen (header), header, 4)));
  for (size_t size = 0; size < whole.size; size++)
    cr_assert_eq (adamix_safetensors_open (&file, scratch_file ("part", whole.data, size)), ADAMIX_EFORMAT, "%zu",
                  size);
  cr_assert_succeeds (adamix_safetensors_open (&file, scratch_file ("part", whole.data, whole.size)));
}

static const float weight[6] = { 1, -2, 3.5f, 1e-30f, -0.0f, 6 };
static const int64_t step = 12;

static const adamix_tensor_source sources[] = {
  { "z.weight", ADAMIX_DTYPE_F32, 2, { 2, 3 }, weight },
  { "a.step", ADAMIX_DTYPE_I64, 0, { 0 }, &step },
  { "none", ADAMIX_DTYPE_F16, 1, { 0 }, NULL },
};

Test (safetensors, what_is_written_is_read)
{
  adamix_safetensors file;
  json_t *metadata = json_pack ("{s:s}", "format", "pt");
  char *path = scratch_path ("out.safetensors");
  cr_assert_succeeds (adamix_safetensors_write (path, sources, 3, metadata));
  cr_assert_succeeds (adamix_safetensors_open (&file, path));
  cr_assert_eq (file.tensors, 3);
  const adamix_stored_tensor *z = adamix_safetensors_find (&file, "z.weight");
  cr_assert_eq (memcmp (z->data, weight, sizeof weight), 0);
  cr_assert (z->rank == 2 && z->shape[0] == 2 && z->shape[1] == 3);
  cr_assert_eq (((const char *) z->data - file.map.data) % 64, 0);
  cr_assert_eq (memcmp (adamix_safetensors_find (&file, "a.step")->data, &step, sizeof step), 0);
  cr_assert_eq (adamix_safetensors_find (&file, "none")->count, 0);
  cr_assert (json_equal (file.metadata, metadata));
  adamix_safetensors_close (&file);
}

/* Two independent writes, byte for byte, and the layout that the format prescribes. */
Test (safetensors, bytes_depend_on_the_input_alone)
{
  adamix_file_map first, second;
  cr_assert_succeeds (adamix_safetensors_write (scratch_path ("first"), sources, 3, NULL));
  cr_assert_succeeds (adamix_safetensors_write (scratch_path ("second"), sources, 3, NULL));
  cr_assert_succeeds (adamix_file_map_open (&first, scratch_path ("first")));
  cr_assert_succeeds (adamix_file_map_open (&second, scratch_path ("second")));
  cr_assert_eq (first.size, second.size);
  cr_assert_eq (memcmp (first.data, second.data, first.size), 0);
  static const char header[] = "{\"z.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                               "\"a.step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]},"
                               "\"none\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[32,32]}}";
  cr_assert_eq (memcmp (first.data + LENGTH_BYTES, header, strlen (header)), 0);
  cr_assert_eq (first.size, 192 + sizeof weight + sizeof step);
  cr_assert_eq ((unsigned char) first.data[0], 192 - LENGTH_BYTES);
}

Test (safetensors, impossible_sources)
{
  const adamix_tensor_source twice[] = { sources[0], sources[0] };
  const adamix_tensor_source reserved = { "__metadata__", ADAMIX_DTYPE_F32, 0, { 0 }, weight };
  const adamix_tensor_source negative = { "t", ADAMIX_DTYPE_F32, 1, { -1 }, weight };
  char *path = scratch_path ("out");
  cr_assert_fails (adamix_safetensors_write (path, twice, 2, NULL), ADAMIX_EEXIST, "\"z.weight\" is taken");
  cr_assert_fails (adamix_safetensors_write (path, &reserved, 1, NULL), ADAMIX_EEXIST, "__metadata__");
  cr_assert_fails (adamix_safetensors_write (path, &negative, 1, NULL), ADAMIX_ESHAPE, "\"t\"");
  cr_assert_not (adamix_path_exists (path));
}

/* The mount belongs to a name space of this process. */
Test (safetensors, a_full_disk_leaves_nothing_behind)
{
  if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount ("adamix-test", scratch_folder, "tmpfs", 0, "size=128k") != 0)
    cr_skip_test ("a small file system cannot be mounted without privileges");
  enum { COUNT = 1 << 20 };
  float *values = calloc (COUNT, sizeof *values);
  const adamix_tensor_source large = { "t", ADAMIX_DTYPE_F32, 1, { COUNT }, values };
  char *path = scratch_path ("out");
  cr_assert_fails (adamix_safetensors_write (path, &large, 1, NULL), ADAMIX_EIO, "No space left on device");
  cr_assert_not (adamix_path_exists (path));
  cr_assert_eq (umount (scratch_folder), 0);
}
