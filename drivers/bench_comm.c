#include "bench.h"

#include <string.h>

typedef struct comm_config {
  bool json;
} comm_config;

static const adamix_option table[] = {
  { "json", ADAMIX_OPTION_FLAG, offsetof (comm_config, json), "false", NULL, 0, 0, NULL, "print JSON instead of text" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

/* What is printed: text line by line, or JSON at the end; on rank 0. */
typedef struct comm_report {
  bool text;
  json_t *links, *collectives;
} comm_report;

static void
report_link (comm_report *r, const char *name, bool there, const adamix_link *link, double factor)
{
  json_object_set_new (r->links, name, there ? bench_link_json (link, factor) : json_null ());
  if (!r->text) return;
  if (there)
    printf ("link %-5s latency %10.3g us, bandwidth %8.3g GB/s (all-reduce of two ranks; worst factor %.2f)\n", name,
            link->latency * 1e6, link->bandwidth / 1e9, factor);
  else
    printf ("link %-5s not measured: %s\n", name,
            strcmp (name, "node") == 0 ? "no node has two ranks" : "all ranks are on one node");
}

static void
report_times (comm_report *r, const char *scope, int ranks, const char *name, const bench_times *times)
{
  json_t *sizes = json_array ();
  if (r->text) printf ("\n%s, %s, %d ranks\n%12s %14s %14s\n", name, scope, ranks, "bytes", "median us", "least us");
  for (int i = 0; i < times->sizes; i++) {
    json_array_append_new (sizes, json_pack ("{s:I, s:f, s:f}", "bytes", (json_int_t) times->bytes[i], "median_seconds",
                                             times->median[i], "least_seconds", times->least[i]));
    if (r->text) printf ("%12.0f %14.2f %14.2f\n", times->bytes[i], times->median[i] * 1e6, times->least[i] * 1e6);
  }
  json_t *row = json_pack ("{s:s, s:s, s:i, s:o}", "collective", name, "scope", scope, "ranks", ranks, "sizes", sizes);
  adamix_link fit;
  if (times->sizes > 1 && adamix_link_fit (&fit, times->bytes, times->median, times->sizes) == ADAMIX_OK) {
    json_object_set_new (row, "latency_seconds", json_real (fit.latency));
    json_object_set_new (row, "bandwidth_bytes_per_second", json_real (fit.bandwidth));
    if (r->text) printf ("%12s %14.2f us and %.3g GB/s\n", "fit", fit.latency * 1e6, fit.bandwidth / 1e9);
  }
  json_array_append_new (r->collectives, row);
}

/* All collectives over `comm`; every rank's own where there are several, of which the first reports. */
static adamix_err
measure_scope (comm_report *r, const char *scope, adamix_comm *comm)
{
  int count;
  const bench_collective *collective = bench_collectives (&count);
  for (int c = 0; c < count; c++) {
    bench_times times;
    ADAMIX_RETURN_IF (bench_times_measure (&times, comm, &collective[c]));
    if (r) report_times (r, scope, comm->size, collective[c].name, &times);
  }
  return ADAMIX_OK;
}

static adamix_err
measure (comm_report *r, adamix_comm *world, bench_links *links)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm node = { .handle = MPI_COMM_NULL };
  ADAMIX_TRY (bench_links_measure (links, world));
  if (r) report_link (r, "node", links->has_node, &links->network.node, links->node_factor);
  if (r) report_link (r, "wire", links->has_wire, &links->network.wire, links->wire_factor);
  ADAMIX_TRY (measure_scope (r, "world", world));
  if (links->nodes == 1 || links->network.ranks_per_node == 1) goto done;
  ADAMIX_TRY (adamix_comm_split_node (&node, world));
  ADAMIX_TRY (measure_scope (r, "node", &node));
  ADAMIX_TRY (adamix_comm_arrive (world));
done:
  adamix_comm_destroy (&node);
  return err;
}

int
bench_comm (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  adamix_options *options = NULL;
  comm_config config;
  bench_links links;
  comm_report report = { 0 };
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (driver_parse (&options, table, ROWS, argc, argv, &config));
  ADAMIX_TRY (bench_require_ranks (self, &session));
  report = (comm_report){ !config.json, json_object (), json_array () };
  ADAMIX_TRY (measure (session.world.rank == 0 ? &report : NULL, &session.world, &links));
  if (config.json && session.world.rank == 0) {
    json_t *out =
        json_pack ("{s:i, s:i, s:i, s:O, s:O}", "ranks", session.world.size, "nodes", links.nodes, "ranks_per_node",
                   links.network.ranks_per_node, "links", report.links, "collectives", report.collectives);
    bench_print_json (out);
    json_decref (out);
  }
done:
  json_decref (report.collectives);
  json_decref (report.links);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
