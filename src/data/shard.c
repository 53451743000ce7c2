#include <adamix/data.h>

#include <string.h>

void
adamix_order_epoch (uint64_t seed, int64_t epoch, int64_t examples, int64_t *out)
{
  adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_ORDER);
  adamix_rng_permutation (rng, (uint32_t) epoch, (uint32_t) ((uint64_t) epoch >> 32), examples, out);
}

/* The examples of a step, as the sort sees them. */
typedef struct step_examples {
  const adamix_dataset *dataset;
  const int64_t *chosen;
} step_examples;

static int64_t
tokens_of (const step_examples *step, int64_t position)
{
  int64_t example = step->chosen[position];
  return step->dataset->offset[example + 1] - step->dataset->offset[example];
}

/* Does position a come after b, longest first and, among equals, in the order given? */
static bool
comes_after (const step_examples *step, int64_t a, int64_t b)
{
  int64_t tokens_a = tokens_of (step, a), tokens_b = tokens_of (step, b);
  return tokens_a != tokens_b ? tokens_a < tokens_b : a > b;
}

static void
sift_down (const step_examples *step, int64_t *heap, int64_t root, int64_t n)
{
  int64_t moved = heap[root];
  for (int64_t child; (child = 2 * root + 1) < n; root = child) {
    if (child + 1 < n && comes_after (step, heap[child + 1], heap[child])) child++;
    if (!comes_after (step, heap[child], moved)) break;
    heap[root] = heap[child];
  }
  heap[root] = moved;
}

/* Heap sort: in place and never slow, where qsort() may allocate. */
static void
sort_positions (const step_examples *step, int64_t *position, int64_t n)
{
  for (int64_t i = 0; i < n; i++) position[i] = i;
  for (int64_t i = n / 2 - 1; i >= 0; i--) sift_down (step, position, i, n);
  for (int64_t last = n - 1; last > 0; last--) {
    int64_t swapped = position[0];
    position[0] = position[last];
    position[last] = swapped;
    sift_down (step, position, 0, last);
  }
}

/* A shard as a number: (tokens (n + 1) + examples) shards + s, so that fewer examples decide between equal token counts, and
 * then the lower s.  `heap` holds one of each, the least at its root, which has just grown. */
static void
settle (int64_t *heap, int shards)
{
  int64_t root = 0, grown = heap[0];
  for (int64_t child; (child = 2 * root + 1) < shards; root = child) {
    if (child + 1 < shards && heap[child + 1] < heap[child]) child++;
    if (grown < heap[child]) break;
    heap[root] = heap[child];
  }
  heap[root] = grown;
}

/* part[position] = its shard, part[] of n values.  heap: [shards], overwritten. */
static void
deal (const step_examples *step, const int64_t *sorted, int64_t n, int shards, int64_t *part, int64_t *heap)
{
  for (int s = 0; s < shards; s++) heap[s] = s;
  for (int64_t i = 0; i < n; i++) {
    part[sorted[i]] = heap[0] % shards;
    heap[0] += (tokens_of (step, sorted[i]) * (n + 1) + 1) * shards;
    settle (heap, shards);
  }
}

void
adamix_shard_cut (const adamix_dataset *dataset, const int64_t *chosen, int64_t n, int shards, int64_t *out,
                  int64_t *first, int64_t *scratch)
{
  const step_examples step = { dataset, chosen };
  sort_positions (&step, scratch, n);
  deal (&step, scratch, n, shards, out, first);
  /* The order of lengths has done its work: its array keeps the parts, and `out` is free for the result. */
  memcpy (scratch, out, (size_t) n * sizeof *scratch);
  memset (first, 0, (size_t) (shards + 1) * sizeof *first);
  for (int64_t i = 0; i < n; i++) first[scratch[i] + 1]++;
  for (int s = 0; s < shards; s++) first[s + 1] += first[s];
  for (int64_t i = 0; i < n; i++) out[first[scratch[i]]++] = chosen[i];
  /* Each start has moved to its end, which is the next one's start. */
  memmove (first + 1, first, (size_t) shards * sizeof *first);
  first[0] = 0;
}
