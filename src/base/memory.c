#include "base/fault.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bytes of `count` items rounded up to ADAMIX_ALIGN; SIZE_MAX, which no system has, where that does not fit. */
static size_t
aligned_bytes (int64_t count, size_t item)
{
  size_t bytes;
  if (count < 0 || __builtin_mul_overflow ((size_t) count, item, &bytes)) return SIZE_MAX;
  if (bytes > SIZE_MAX - ADAMIX_ALIGN) return SIZE_MAX;
  return (bytes + ADAMIX_ALIGN - 1) / ADAMIX_ALIGN * ADAMIX_ALIGN;
}

adamix_err
adamix_arena_create (adamix_arena *out, size_t size)
{
  *out = (adamix_arena){ 0 };
  if (size < ADAMIX_ALIGN) size = ADAMIX_ALIGN;
  void *base =
      ADAMIX_FAULT (alloc) ? MAP_FAILED : mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return adamix_err_set (ADAMIX_ENOMEM, "out of memory: an arena of %zu bytes was refused; use a smaller batch",
                           size);
  *out = (adamix_arena){ .base = base, .size = size };
  return ADAMIX_OK;
}

void *
adamix_arena_take (adamix_arena *arena, int64_t count, size_t item)
{
  size_t bytes = aligned_bytes (count, item), start = arena->used;
  if (__builtin_add_overflow (start, bytes, &arena->used)) arena->used = SIZE_MAX;
  if (!arena->base) return NULL;
  ADAMIX_ASSERT (arena->used <= arena->size);
  return arena->base + start;
}

void
adamix_arena_destroy (adamix_arena *arena)
{
  if (!arena) return;
  if (arena->base) munmap (arena->base, arena->size);
  *arena = (adamix_arena){ 0 };
}

adamix_err
adamix_alloc (void **out, int64_t count, size_t item)
{
  size_t bytes = aligned_bytes (count, item);
  if (bytes == 0) bytes = ADAMIX_ALIGN;
  *out = bytes == SIZE_MAX || ADAMIX_FAULT (alloc) ? NULL : aligned_alloc (ADAMIX_ALIGN, bytes);
  if (!*out)
    return adamix_err_set (ADAMIX_ENOMEM, "out of memory: %lld items of %zu bytes were refused", (long long) count,
                           item);
  memset (*out, 0, bytes);
  return ADAMIX_OK;
}

adamix_err
adamix_grow (void **array, int64_t *capacity, int64_t need, size_t item)
{
  enum { FIRST = 16 };
  if (need <= *capacity) return ADAMIX_OK;
  int64_t wanted = *capacity < FIRST ? FIRST : *capacity;
  while (wanted < need) wanted = wanted > INT64_MAX / 2 ? INT64_MAX : 2 * wanted;
  size_t bytes;
  void *grown =
      __builtin_mul_overflow ((size_t) wanted, item, &bytes) || ADAMIX_FAULT (alloc) ? NULL : realloc (*array, bytes);
  if (!grown)
    return adamix_err_set (ADAMIX_ENOMEM, "out of memory: %lld items of %zu bytes were refused", (long long) wanted,
                           item);
  *array = grown;
  *capacity = wanted;
  return ADAMIX_OK;
}

adamix_err
adamix_format_list (char **out, const char *format, va_list arguments)
{
  if (!ADAMIX_FAULT (alloc) && vasprintf (out, format, arguments) >= 0) return ADAMIX_OK;
  *out = NULL;
  return adamix_err_set (ADAMIX_ENOMEM, "out of memory: a text could not be put together");
}

adamix_err
adamix_format (char **out, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  const adamix_err err = adamix_format_list (out, format, arguments);
  va_end (arguments);
  return err;
}

void
adamix_number_text (char out[ADAMIX_NUMBER_TEXT], double value)
{
  enum { DIGITS = 17 };
  for (int digits = 1; digits <= DIGITS; digits++) {
    snprintf (out, ADAMIX_NUMBER_TEXT, "%.*g", digits, value);
    if (strtod (out, NULL) == value) break;
  }
}
