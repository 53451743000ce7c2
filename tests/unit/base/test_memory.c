#include "base/scratch.h"

Test (arena, plan_and_use_walk_the_same_lines)
{
  adamix_arena plan = { 0 }, arena;
  cr_assert_null (adamix_arena_take (&plan, 3, sizeof (float)));
  cr_assert_null (adamix_arena_take (&plan, 0, 8));
  cr_assert_null (adamix_arena_take (&plan, 65, 1));
  cr_assert_eq (plan.used, 64 + 0 + 128);

  cr_assert_succeeds (adamix_arena_create (&arena, plan.used));
  char *first = adamix_arena_take (&arena, 3, sizeof (float));
  adamix_arena_take (&arena, 0, 8);
  char *last = adamix_arena_take (&arena, 65, 1);
  cr_assert_eq ((uintptr_t) first % ADAMIX_ALIGN, 0);
  cr_assert_eq (last - first, 64);
  for (size_t i = 0; i < arena.size; i++) cr_assert_eq (first[i], 0);
  cr_assert_eq (arena.used, arena.size);
  adamix_arena_destroy (&arena);
  adamix_arena_destroy (NULL);
  cr_assert_null (arena.base);
}

Test (arena, impossible_plan_is_refused)
{
  adamix_arena plan = { 0 }, arena;
  adamix_arena_take (&plan, INT64_MAX, 1024);
  adamix_arena_take (&plan, 1, 1);
  cr_assert_fails (adamix_arena_create (&arena, plan.used), ADAMIX_ENOMEM, "out of memory");
}

Test (alloc, aligned_zeroed_and_never_null)
{
  double *values, *none;
  cr_assert_succeeds (ADAMIX_ALLOC (values, 1001));
  cr_assert_eq ((uintptr_t) values % ADAMIX_ALIGN, 0);
  for (int i = 0; i < 1001; i++) cr_assert_eq (values[i], 0);
  cr_assert_succeeds (ADAMIX_ALLOC (none, 0));
  cr_assert_not_null (none);
  free (values);
  free (none);
}

Test (alloc, overflow_is_out_of_memory)
{
  void *none;
  cr_assert_fails (adamix_alloc (&none, INT64_MAX, 16), ADAMIX_ENOMEM, "9223372036854775807");
  cr_assert_null (none);
  /* 2^64 - 2 bytes fit into size_t, but not rounded up to the alignment */
  cr_assert_fails (adamix_alloc (&none, INT64_MAX, 2), ADAMIX_ENOMEM, "9223372036854775807");
  cr_assert_fails (adamix_alloc (&none, -1, 1), ADAMIX_ENOMEM, "-1");
}

Test (grow, doubles_and_keeps_what_was_there)
{
  int32_t *array = NULL;
  int64_t capacity = 0, moves = 0;
  for (int32_t i = 0; i < 10000; i++) {
    int64_t before = capacity;
    cr_assert_succeeds (ADAMIX_GROW (array, &capacity, i + 1));
    moves += capacity != before;
    array[i] = i;
  }
  for (int32_t i = 0; i < 10000; i++) cr_assert_eq (array[i], i);
  cr_assert_lt (moves, 16);
  cr_assert_fails (ADAMIX_GROW (array, &capacity, INT64_MAX), ADAMIX_ENOMEM, "out of memory");
  cr_assert_eq (array[9999], 9999, "a failed growth leaves the array as it was");
  free (array);
}

Test (text, format)
{
  char *text;
  cr_assert_succeeds (adamix_format (&text, "%s-%d", "step", 12));
  cr_assert_str_eq (text, "step-12");
  free (text);
}
