#include "driver.h"

static json_t *
parts_json (const int64_t bytes[ADAMIX_MEMORY_COUNT], int64_t *total)
{
  json_t *out = json_object ();
  *total = 0;
  for (int p = 0; p < ADAMIX_MEMORY_COUNT; p++) {
    adamix_json_put (&out, adamix_memory_row_of ((adamix_memory_part) p)->key, json_integer (bytes[p]));
    *total += bytes[p];
  }
  adamix_json_put (&out, "memory_bytes", json_integer (*total));
  return out;
}

adamix_err
driver_plan_memory (const adamix_train_args *args, int ranks, json_t **out)
{
  adamix_memory_plan plan;
  int64_t rank, node;
  ADAMIX_RETURN_IF (adamix_train_plan_memory (&plan, args, ranks));
  json_t *of_rank = parts_json (plan.rank, &rank), *of_node = parts_json (plan.node, &node);
  adamix_json_put (out, "kind", json_string ("memory"));
  adamix_json_put (out, "ranks", json_integer (ranks));
  adamix_json_put (out, "threads", json_integer (args->threads));
  adamix_json_put (out, "passes", json_integer (plan.passes));
  adamix_json_put (out, "shard_tokens", json_integer (plan.tokens));
  adamix_json_put (out, "num_hidden_layers", json_integer (plan.layers));
  adamix_json_put (out, "recomputed_layers", json_integer (plan.recomputed));
  adamix_json_put (out, "activation_bytes", json_integer (plan.rank[ADAMIX_MEMORY_ACTIVATIONS]));
  adamix_json_put (out, "predicted_memory_bytes", json_integer (node));
  adamix_json_put (out, "rank", of_rank);
  adamix_json_put (out, "node", of_node);
  return ADAMIX_OK;
}

static double
mebibytes (const json_t *parts, const char *key)
{
  return (double) json_integer_value (json_object_get (parts, key)) / (1 << 20);
}

static void
print_row (const json_t *memory, const char *text, const char *key)
{
  printf ("%-48s %9.1fM %9.1fM\n", text, mebibytes (json_object_get (memory, "rank"), key),
          mebibytes (json_object_get (memory, "node"), key));
}

static long long
number (const json_t *memory, const char *key)
{
  return (long long) json_integer_value (json_object_get (memory, key));
}

void
driver_print_memory (const json_t *memory)
{
  printf ("ranks: %lld of %lld threads\n", number (memory, "ranks"), number (memory, "threads"));
  printf ("largest shard: %lld tokens in %lld pass%s\n", number (memory, "shard_tokens"), number (memory, "passes"),
          number (memory, "passes") == 1 ? "" : "es");
  printf ("computed again in the backward pass: %lld of %lld layers\n\n", number (memory, "recomputed_layers"),
          number (memory, "num_hidden_layers"));
  printf ("%-48s %10s %10s\n", "", "a rank", "the node");
  for (int p = 0; p < ADAMIX_MEMORY_COUNT; p++) {
    const adamix_memory_row *row = adamix_memory_row_of ((adamix_memory_part) p);
    print_row (memory, row->text, row->key);
  }
  print_row (memory, "together", "memory_bytes");
}
